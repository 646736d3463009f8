"""The least precision: how few significand bits leave a model certified, in any order of summation or by trees."""

from __future__ import annotations

import time
from dataclasses import replace

from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.model import Model
from separatrix.verify.provers.contract import propose
from separatrix.verify.provers.outcome import Outcome, certify, submit

MOST, LEAST = 53, 2  # significand bits that `FloatSpec` knows


def least_precision(
    model: Model, task: Task, n: int, tree: bool = False, method: str = "auto", progress: Progress = silent
) -> tuple[int | None, Outcome]:
    """(p, the accepted outcome under float:p), for a p whose certificate is accepted and whose p - 1 is not.

    A binary search from 53 bits down, which takes acceptance to be monotone in p; whether it is or not, float:p was
    accepted, and float:(p - 1) was tried and not accepted (p = 2 is the least there is). A model evaluated with fewer
    bits may still be right: it is only not certified. The exponent range is that of fp32.

    Returns (None, outcome) when 53 bits are not certified: the outcome then is refuted (by an input on which the model
    errs in exact arithmetic) or unknown.
    """
    began = time.perf_counter()
    start = certify(model, task, n, _semantics(MOST, tree), method, progress)
    if start.verdict != "proved" or start.certificate is None:
        return None, start
    best, outcome, failed = MOST, start, LEAST - 1
    while best - failed > 1:
        bits = (best + failed) // 2
        progress(f"trying {bits} bits")
        attempt = _attempt(start.certificate.kind, model, task, n, _semantics(bits, tree), method, progress)
        if attempt.verdict == "proved":
            best, outcome = bits, attempt
        else:
            failed = bits
    below = f"{_semantics(failed, tree)} is not certified" if failed >= LEAST else "no format here has fewer bits"
    sentence = f"{outcome.sentence}; {below}"
    return best, replace(outcome, sentence=sentence, seconds=time.perf_counter() - began)


def _attempt(
    kind: str, model: Model, task: Task, n: int, semantics: Semantics, method: str, progress: Progress
) -> Outcome:
    """As `certify`, but without any search where the kind needs none to be judged."""
    if kind == "contract":
        return propose(model, task, n, semantics, progress)
    if kind != "separable":
        return certify(model, task, n, semantics, method, progress)
    certificate, verdict = submit(kind, model, task, n, semantics, progress=progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    return Outcome("unknown", None, verdict.sentence)


def _semantics(bits: int, tree: bool) -> Semantics:
    return Semantics.parse(f"float:{bits},tree" if tree else f"float:{bits}")
