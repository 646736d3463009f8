"""Folders with evidence: a witness with its certificate, a bound with its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from separatrix.can import Witness
from separatrix.cannot import Bound
from separatrix.cannot.bound import STATE
from separatrix.core.errors import SeparatrixError, UnknownError
from separatrix.core.guarantee import CHECKED
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.size import Size
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel.case import Progress, silent
from separatrix.verify.provers import certify

ONE_LAYER = ("message", "exchange", "one-way")  # measures of what one attention layer sends
CORRECT = "correct"  # file name of the certificate beside a model


@dataclass(frozen=True, slots=True)
class Proof:
    """A witness at one size: `certificate` is None where the kernel did not accept one, `sentence` says why."""

    witness: str
    n: int
    size: Size
    semantics: str
    certificate: Path | None
    sentence: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Floor:
    """A lower bound at one size; `guarantee` is `checked` where only the formula, not a certificate, stands."""

    bound: str
    expression: str
    source: str
    measure: str
    merge: str
    bits: float
    guarantee: str
    vacuous: str | None
    violated: bool
    certificate: Path | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Keys that scripts rely on, and more."""
        return {
            "name": self.bound,
            "expression": self.expression,
            "bits": self.bits,
            "measure": self.measure,
            "merge": self.merge,
            "guarantee": self.guarantee,
            "source": self.source,
            "vacuous": self.vacuous,
            "violated": self.violated,
            "certificate": None if self.certificate is None else str(self.certificate),
            "sentence": self.sentence,
        }


def prove_witness(
    witness: Witness, task: Task, n: int, folder: Path, semantics: Semantics = REAL, progress: Progress = silent
) -> Proof:
    """Builds the witness, certifies it and, where the kernel accepts, writes model and certificate into `folder`."""
    model = witness.build(task, n)
    size = witness.size(task, n)
    outcome = certify(model, task, n, semantics, witness.method, progress)
    path = None
    if outcome.verdict == "proved" and outcome.certificate is not None:
        model.save(folder)
        path = outcome.certificate.write(folder, CORRECT)
    return Proof(witness.name, n, size, semantics.text, path, outcome.sentence, outcome.seconds)


def state_bound(bound: Bound, task: Task, n: int, folder: Path | None, limits: Size | None = None) -> Floor:
    """Evaluates a bound; where it says something, has its certificate judged and written into `folder`."""
    bits = bound.bits(task, n)
    vacuous = bound.vacuous(task, n)
    guarantee, path, sentence = CHECKED, None, "the formula of the theorem; no certificate was made"
    if folder is not None and vacuous is None:
        try:
            certificate = bound.certificate(task, n)
            verdict = judge(certificate)
            if verdict.accepted and verdict.guarantee is not None:
                guarantee, sentence = verdict.guarantee, verdict.sentence
                bits = float.fromhex(certificate.claim.bound)
                path = certificate.write(folder, bound.name)
            else:
                sentence = verdict.sentence
        except SeparatrixError as error:
            sentence = str(error)
    violated = vacuous is None and limits is not None and bound.violated(limits, bits)
    return Floor(
        bound.name,
        bound.expression,
        bound.source,
        bound.measure,
        bound.merge,
        bits,
        str(guarantee),
        vacuous,
        violated,
        path,
        sentence,
    )


def matrix_floors(task: Task, n: int, cut: int | None, folder: Path) -> list[Floor]:
    """Bounds on recurrent state from the whole communication matrix at `cut` (default: the best of the task's splits).

    Distinct rows (the exact one-way cost at that cut), a greedy fooling set and a shattered set; UnknownError where the
    matrix is too large to enumerate.
    """
    from separatrix.cannot.engine.matrix import Matrix

    matrices = [Matrix.of(task, n, at) for at in ([cut] if cut is not None else task.splits(n))]
    matrix = max(matrices, key=lambda m: len(m.labels))
    floors = []
    for measure in ("rows", "fooling", "shattered"):
        name = f"{task.name}-matrix-{measure}"
        try:
            certificate = getattr(matrix, measure)()
        except UnknownError:
            continue  # no fooling sets for real answers, nothing shattered where all rows agree
        verdict = judge(certificate)
        if verdict.accepted and verdict.guarantee is not None:
            path = certificate.write(folder / name, name)
            floors.append(
                Floor(
                    name,
                    f"log₂ {measure} at cut {matrix.cut}",
                    "communication matrix, enumerated (Yao 1979)",
                    "state",
                    STATE,
                    float.fromhex(certificate.claim.bound),
                    str(verdict.guarantee),
                    None,
                    False,
                    path,
                    verdict.sentence,
                )
            )
    return floors
