"""Kinds of certificates that know transformers only say so when the model is recurrent."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from kernel.every_kind import CASES, TASKS
from kernel.heads_cases import OneCell
from models.recurrent_models import random_recurrent
from separatrix.core.arch import Readout
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import Labels
from separatrix.core.errors import UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.mixers import DeltaNet, Dense, LinearAttention, Mixer, Retention, Rwkv, SelectiveSsm
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint
from separatrix.depth.compiler.recurrent import compile_recurrent
from separatrix.kernel import judge
from separatrix.kernel.arb import NAME
from separatrix.kernel.judge import KINDS, WITH_ARB
from separatrix.tasks import make_task
from separatrix.tasks import registry as tasks
from separatrix.verify.provers import certify
from separatrix.verify.provers import registry as provers

TRANSFORMERS_ONLY = ("separable", "heads", "exhaustive", "contract", "pointer-sets", "pointer-counterexample")
EVIDENCE = {
    "contract": {"factor": "mismatch", "noise": "0x0.0p+0", "terms": 0, "merge": True},
    "pointer-sets": {"method": "exhaustive"},
    "pointer-counterexample": {"tokens": [[1], [0], [0]], "signs": [1, 0, 0], "query": 0},
}


@pytest.mark.parametrize("engine", ["fast", "arb"])
@pytest.mark.parametrize("kind", TRANSFORMERS_ONLY)
def test_a_recurrent_model_is_refused(kind: str, engine: str) -> None:
    name, n = ("sparse-averaging", 3) if kind.startswith("pointer") else ("equality", 4)
    task = make_task(name, {"q": 1} if kind.startswith("pointer") else {})
    model = random_recurrent((Elman(3),), seed=0, vocabulary=2, outputs=2)
    claim = Claim(task.name, task.parameters(), n, KINDS[kind].statement)  # pyright: ignore[reportArgumentType]
    certificate = Certificate(kind, claim, PROVED, task.source_sha256(), EVIDENCE.get(kind, {}), {}, model.reference())
    verdict = judge(certificate, model.arch, model.tensors, engine=engine)  # pyright: ignore[reportArgumentType]
    assert not verdict.accepted and verdict.exit_code == 3, verdict.sentence


@pytest.mark.parametrize("prover", list(provers))
def test_provers_of_transformers_prove_nothing(prover: str) -> None:
    model = random_recurrent((Elman(3),), seed=0, vocabulary=2, outputs=2)
    task = make_task("equality", {})
    assert certify(model, task, 4, method=prover).verdict != "proved"


MIXERS: list[Mixer] = [
    LinearAttention(1, 2, 2, 3),
    Retention(1, 2, 2, 3),
    DeltaNet(1, 2, 2, 3, negative=True),
    SelectiveSsm(3, 2, 1, 3, convolution=2),
    Rwkv(3, 4, 3),
    Dense(3, 3),
]
ABOUT_RECURRENT = ("exhaustive", "counterexample", "automaton", "stored")
WORDS = {"counterexample": {"tokens": [0, 1, 1, 0], "query": 3}}


@pytest.mark.parametrize("engine", ["fast", "arb"])
@pytest.mark.parametrize("layer", MIXERS, ids=lambda layer: layer.kind)
def test_no_kind_knows_layers_with_parallel_forms(layer: Mixer, engine: str) -> None:
    """Before, between or behind layers that it knows, with a state that is rounded or not."""
    task, known = make_task("equality", {}), 0
    wide = (Elman(4), dataclasses.replace(layer, width=4) if isinstance(layer, Rwkv) else layer, DiagonalSsm(2, 3))
    for layers, grid in itertools.product(((layer,), wide, (DiagonalSsm(2, 4), layer)), (None, FixedPoint(4, 2))):
        model = random_recurrent(layers, seed=0, vocabulary=2, outputs=2, grid=grid)
        for kind in ABOUT_RECURRENT:
            claim = Claim(task.name, task.parameters(), 4, KINDS[kind].statement)  # pyright: ignore[reportArgumentType]
            parts = (PROVED, task.source_sha256(), WORDS.get(kind, {}), {}, model.reference(), WITH_ARB)
            for factor in ("", "mismatch") if kind == "stored" else ("",):
                evidence = parts[2] | ({"factor": factor} if factor else {})
                certificate = Certificate(kind, claim, *parts[:2], evidence, *parts[3:])
                verdict = judge(certificate, model.arch, model.tensors, engine=engine)  # pyright: ignore[reportArgumentType]
                assert not verdict.accepted and verdict.exit_code in (2, 3), (kind, verdict.sentence)
                known += verdict.exit_code == 3
        for prover in provers:
            assert certify(model, task, 4, method=prover).verdict == "unknown"
        with pytest.raises(UnknownError):
            compile_recurrent(model, 4, (3,))
    assert known > 20


FIRST = {name.split()[0]: name for name in reversed(CASES)}  # one case of each kind
ABOUT_MODELS = [kind for kind in FIRST if KINDS[kind].statement != "needs"]


@pytest.mark.parametrize("kind", ABOUT_MODELS)
def test_a_true_certificate_is_not_one_of_such_a_model(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of every kind, on its own task, put beside models that read that task's tokens."""
    for own in (*TASKS, OneCell):
        monkeypatch.setitem(tasks._entries, own.name, own)
    certificate, _ = CASES[FIRST[kind]]()
    task = make_task(certificate.claim.task, dict(certificate.claim.parameters))
    answers, vocabulary = task.outputs(), max(1, task.domain(certificate.claim.n).vocabulary)
    outputs, decision = (answers.k, "argmax") if isinstance(answers, Labels) else (answers.dim, "reals")
    for layer, grid in itertools.product(MIXERS, (None, FixedPoint(4, 2))):
        model = random_recurrent((layer,), seed=0, vocabulary=vocabulary, outputs=outputs, grid=grid)
        arch = dataclasses.replace(model.arch, readout=Readout(outputs, decision))
        for trusted in (KINDS[kind].trusted, (*KINDS[kind].trusted, NAME)):
            given = dataclasses.replace(certificate, trusted=trusted)
            codes = {judge(given, arch, model.tensors, engine=engine).exit_code for engine in ("fast", "arb")}
            assert codes == {3} or (kind == "counterexample" and codes == {1, 3} and NAME not in trusted), codes
