"""What a prover returns, and the function that picks one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.registry import Registry
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel import Verdict, judge
from separatrix.kernel.case import Progress, silent
from separatrix.kernel.real_outputs import Worst
from separatrix.models.model import Model
from separatrix.verify.provers.limits import GRACE, stopping, time_left


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on a model, always the kernel's.

    Attributes:
        verdict: `proved` right on every input, `refuted` by an input, `checked` (right on every input but for a weak
            link that the certificate names: a solver's word), or `unknown`.
        certificate: what the kernel accepted; None when unknown.
        sentence: the kernel's sentence, or why nothing was decided.
        counterexample: (positions,) tokens on which the model errs, with the query, when refuted.
        seconds: all of it, search and check.
        worst_error: for real answers, what the kernel found of the greatest error over the domain.
    """

    verdict: Literal["proved", "refuted", "checked", "unknown"]
    certificate: Certificate | None
    sentence: str
    counterexample: tuple[np.ndarray, int] | None = None
    seconds: float = 0.0
    worst_error: Worst | None = None


Prover = Callable[[Model, Task, int, Semantics, Progress], Outcome]
registry: Registry[Prover] = Registry("prover")


def certify(
    model: Model, task: Task, n: int, semantics: Semantics = REAL, method: str = "auto", progress: Progress = silent
) -> Outcome:
    """Decides whether the model answers right on every input of length n.

    `auto` tries the registered provers, enumeration last, and returns the first verdict that is not unknown.
    """
    start = time.perf_counter()
    task.domain(n)
    if semantics.bits is not None and method not in ("auto", "circuit"):
        raise InputError(f"{semantics} is decided by --method circuit, not by {method}")
    progress = stopping(progress)
    every = ["circuit"] if semantics.bits is not None else sorted(registry, key="exhaustive".__eq__)
    methods = every if method == "auto" else [method]
    provers = [registry.get(name) for name in methods]
    reasons = []
    for name, prover in zip(methods, provers, strict=True):
        if reasons and time_left(1.0) <= 0 and time.perf_counter() - start > GRACE:
            break
        try:
            outcome = prover(model, task, n, semantics, progress)
        except UnknownError as error:
            outcome = Outcome("unknown", None, str(error))
        if outcome.verdict != "unknown":
            return replace(outcome, seconds=time.perf_counter() - start)
        reasons.append(f"{name}: {outcome.sentence}")
    return Outcome("unknown", None, "; ".join(reasons), seconds=time.perf_counter() - start)


def submit(
    kind: str,
    model: Model,
    task: Task,
    n: int,
    semantics: Semantics,
    statement: Literal["correct", "incorrect"] = "correct",
    evidence: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> tuple[Certificate, Verdict]:
    """Writes the claim down and asks the judge."""
    claim = Claim(task.name, task.parameters(), n, statement, semantics.text)
    certificate = Certificate(kind, claim, PROVED, task.source_sha256(), evidence or {}, {}, model.reference())
    return certificate, judge(certificate, model.arch, model.tensors, progress)


def submit_arrays(
    kind: str,
    model: Model,
    task: Task,
    n: int,
    semantics: Semantics,
    arrays: dict[str, np.ndarray],
    progress: Progress = silent,
) -> Outcome:
    """The judge's verdict on the claim that the model is right, whose evidence is these arrays."""
    claim = Claim(task.name, task.parameters(), n, "correct", semantics.text)
    certificate = Certificate(kind, claim, PROVED, task.source_sha256(), {}, arrays, model.reference())
    verdict = judge(certificate, model.arch, model.tensors, progress)
    return Outcome(
        "proved" if verdict.accepted else "unknown", certificate if verdict.accepted else None, verdict.sentence
    )


def refute(model: Model, task: Task, n: int, tokens: np.ndarray, query: int) -> Outcome:
    """Asks the judge whether the model errs on this input."""
    evidence = {"tokens": [int(t) for t in tokens], "query": int(query)}
    certificate, verdict = submit("counterexample", model, task, n, REAL, "incorrect", evidence)
    if not verdict.accepted:
        return Outcome("unknown", None, f"the worst input found is not proved to fail ({verdict.sentence})")
    return Outcome("refuted", certificate, verdict.sentence, (np.asarray(tokens), int(query)))
