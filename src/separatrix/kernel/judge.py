"""The judge: dispatches a certificate to its checker and says in a sentence what was accepted.

Only this module turns a claim into `proved` (or `statistical`, for a kind that draws a fresh sample; or `checked`,
where a kind names a link that it does not re-derive). It reads nothing of a certificate but its claim and evidence,
rebuilds everything else from the task's definition and the model's weights, and never executes anything beside a
certificate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from separatrix.core.certificate import Certificate, read_model_files
from separatrix.core.config import AnyArch, read_config
from separatrix.core.errors import InputError, RejectedError, SeparatrixError
from separatrix.core.guarantee import CHECKED, PROVED, Guarantee, statistical
from separatrix.core.semantics import Semantics
from separatrix.core.shapes import check_tensors
from separatrix.kernel import (
    arb,
    automaton,
    birthday,
    bits,
    boxes,
    communication,
    contract,
    coordinates,
    decoding,
    exhaustive,
    gadget,
    heads,
    lists,
    pairs,
    pointer_counterexample,
    pointer_rows,
    pointer_sets,
    positional,
    positional_counterexample,
    rank_bound,
    reading,
    real_outputs,
    relu,
    senders,
    separable,
    stored,
    swap_rows,
    tuples,
)
from separatrix.kernel.case import Case, Progress, silent
from separatrix.tasks import make_task

TRUSTED = ("kernel", "core", "the task's file")
WITH_ARB = (*TRUSTED, arb.NAME)
SAMPLED = (*TRUSTED, "that the answer joins its blocks beyond the sample")
SOLVED = (*TRUSTED, "separatrix.depth (the compiled circuit)", "the solver that the evidence names")


@dataclass(frozen=True, slots=True)
class Kind:
    """A certificate kind: what it states, its checker (which returns the claim in a sentence, or raises).

    floats: about floating point, too. bits: about quantised models, and nothing else. delta: for a statistical kind,
    reads the failure probability from the evidence's field of that name. worth: `checked` where a link of the chain is
    not re-derived here; `trusted` then names it.
    """

    statement: str
    check: Callable[[Case], str]
    floats: bool = False
    bits: bool = False
    delta: Callable[[str], float] | None = None
    worth: Guarantee = PROVED
    trusted: tuple[str, ...] = TRUSTED

    def guarantee(self, evidence: Mapping[str, object]) -> Guarantee:
        """What an accepted certificate of this kind is worth."""
        return self.worth if self.delta is None else statistical(self.delta(str(evidence.get("delta"))))


KINDS: dict[str, Kind] = {
    "separable": Kind("correct", separable.check_case, floats=True),
    "heads": Kind("correct", heads.check_case, floats=True),
    "relu": Kind("correct", relu.check_case, floats=True),
    "exhaustive": Kind("correct", exhaustive.check_exhaustive),
    "contract": Kind("correct", contract.check_case, floats=True),
    "positional": Kind("correct", positional.check_case),
    "positional-counterexample": Kind("incorrect", positional_counterexample.check_case),
    "automaton": Kind("correct", automaton.check_case),
    "stored": Kind("correct", stored.check_case),
    "tuples": Kind("correct", tuples.check_case),
    "pairs": Kind("correct", pairs.check_case),
    "counterexample": Kind("incorrect", exhaustive.check_counterexample),
    "pointer-sets": Kind("correct", pointer_sets.check_case),
    "pointer-counterexample": Kind("incorrect", pointer_counterexample.check_case),
    "senders": Kind("correct", senders.check_case),
    "real-outputs": Kind("correct", real_outputs.check_case),
    "real-counterexample": Kind("incorrect", real_outputs.check_counterexample),
    "communication": Kind("needs", communication.check),
    "coordinates": Kind("needs", coordinates.check),
    "swap-rows": Kind("needs", swap_rows.check),
    "pointer-rows": Kind("needs", pointer_rows.check),
    "first-layer-rank": Kind("needs", rank_bound.check),
    "boxes": Kind("needs", boxes.check),
    "decoding": Kind("needs", decoding.check, delta=decoding.delta_of),
    "reading": Kind("needs", reading.check),
    "lists": Kind("needs", lists.check),
    "gadget": Kind("needs", gadget.check),
    "gadget-sampled": Kind("needs", gadget.check_sampled, worth=CHECKED, trusted=SAMPLED),
    "birthday": Kind("needs", birthday.check, delta=decoding.delta_of),
    "bits-exhaustive": Kind("correct", bits.check_exhaustive, bits=True),
    "bits-counterexample": Kind("incorrect", bits.check_counterexample, bits=True),
    "bits-solver": Kind("correct", bits.check_solver, bits=True, worth=CHECKED, trusted=SOLVED),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the kernel says of one certificate.

    Attributes:
        accepted: whether the claim was re-derived.
        sentence: the claim in words, or what is wrong.
        guarantee: the kernel's own; None when rejected.
        trusted: what the reader must trust besides arithmetic.
        exit_code: 0 accepted, 1 rejected, 2 unusable, 3 undecided.
        seconds: time that the check took.
    """

    accepted: bool
    sentence: str
    guarantee: Guarantee | None
    trusted: tuple[str, ...]
    exit_code: int
    seconds: float


def judge_file(path: Path, progress: Progress = silent, engine: arb.Engine = "fast") -> Verdict:
    """Reads a certificate file, and the model beside it, and judges it."""
    start = time.perf_counter()
    try:
        certificate = Certificate.read(path)
        if certificate.model is None:
            return judge(certificate, progress=progress, engine=engine)
        config, tensors = read_model_files(certificate.model, path.parent)
        return judge(certificate, read_config(config), tensors, progress, engine)
    except SeparatrixError as error:
        return Verdict(False, str(error), None, (), error.exit_code, time.perf_counter() - start)


def judge(
    certificate: Certificate,
    arch: AnyArch | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
    progress: Progress = silent,
    engine: arb.Engine = "fast",
) -> Verdict:
    """Judges a certificate against the model that it is about (given by the caller, already matched by hash).

    engine: `fast`, balls in float64; `arb`, the slow reference of `kernel.arb`. The fast one falls back on it where the
    certificate names it among what is trusted.
    """
    start = time.perf_counter()
    try:
        with np.errstate(all="ignore"):  # overflow becomes an infinity, which proves nothing
            sentence, slow = _check(certificate, arch, tensors, progress, engine)
        kind = KINDS[certificate.kind]
        guarantee = kind.guarantee(certificate.evidence)
        if certificate.guarantee != guarantee:
            raise RejectedError(f"the certificate claims {certificate.guarantee}; this kind is {guarantee}")
    except SeparatrixError as error:
        return Verdict(False, str(error), None, (), error.exit_code, time.perf_counter() - start)
    except MemoryError:
        return Verdict(False, "more memory is needed than there is", None, (), 3, time.perf_counter() - start)
    trusted = (*kind.trusted, arb.NAME) if slow else kind.trusted
    return Verdict(True, sentence, guarantee, trusted, 0, time.perf_counter() - start)


def _check(
    certificate: Certificate,
    arch: AnyArch | None,
    tensors: Mapping[str, np.ndarray] | None,
    progress: Progress,
    engine: arb.Engine,
) -> tuple[str, bool]:
    claim = certificate.claim
    task = make_task(claim.task, claim.parameters)
    if task.parameters() != claim.parameters:
        raise InputError("the claim must give every parameter of the task")
    if certificate.task_sha256 != task.source_sha256():
        raise RejectedError(f"task {claim.task} is not defined as when the certificate was written")
    if certificate.kind not in KINDS:
        raise InputError(f"certificate kind {certificate.kind!r} is not known; known: {', '.join(KINDS)}")
    kind = KINDS[certificate.kind]
    with_arb = (*kind.trusted, arb.NAME)
    if certificate.trusted not in (kind.trusted, with_arb):
        raise RejectedError(f"trusted must read {', '.join(kind.trusted)}, and {arb.NAME} where it is needed")
    if claim.statement != kind.statement:
        raise RejectedError(f"a {certificate.kind} certificate claims {kind.statement!r}, not {claim.statement!r}")
    semantics = Semantics.parse(claim.semantics)
    if semantics.spec is not None and not kind.floats:
        raise RejectedError(f"{certificate.kind} certificates are about real arithmetic, not {semantics}")
    if kind.bits != (semantics.bits is not None):
        raise RejectedError(f"{certificate.kind} certificates are {'' if kind.bits else 'not '}about bits: semantics")
    if kind.statement == "needs":
        if certificate.model is not None or not (claim.arch and claim.measure and claim.bound):
            raise InputError("a bound names a family, a measure and a number of bits, and no model")
    elif claim.arch or claim.measure or claim.bound:
        raise InputError("a claim about a model names no family, measure or bound")
    elif arch is None or tensors is None:
        raise InputError("this certificate needs its model")
    else:
        check_tensors(arch, tensors)
    case = Case(
        task, claim.n, claim, semantics, certificate.evidence, certificate.arrays, arch, tensors or {}, progress
    )
    return arb.derive(engine, certificate.kind, kind.check, case, certificate.trusted == with_arb)
