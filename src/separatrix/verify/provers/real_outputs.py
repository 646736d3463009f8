"""The prover of real answers: the worst error of one attention layer on real vectors, over all real parts.

The kernel computes it from the weights alone; what is searched here, in plain float64, is a corner that fails.
"""

from __future__ import annotations

import numpy as np

from separatrix.core.arch import Linear
from separatrix.core.domain import RealAnswer
from separatrix.core.errors import SeparatrixError
from separatrix.core.seeds import child
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.kernel.real_outputs import worst_error
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import Outcome, registry, submit

ROUNDS = 8  # of the ascent from each start
STARTS = 64
QUERIES = 64  # that the search looks at


@registry.register("real-outputs")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves that the error is within eps for all real parts, or finds a corner of the box where it is not."""
    if not isinstance(model.arch.first, Linear) or not isinstance(task.outputs(), RealAnswer):
        return Outcome("unknown", None, "this prover is about real vectors and real answers")
    if semantics != REAL:
        return Outcome("unknown", None, f"real answers are proved in real arithmetic, not {semantics}")
    try:
        worst = worst_error(task, n, model.transformer, model.tensors)
    except SeparatrixError as error:
        return Outcome("unknown", None, str(error))
    certificate, verdict = submit("real-outputs", model, task, n, semantics, progress=progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence, worst_error=worst)
    for corner, query in _corners(model, task, n):
        evidence = {"corner": corner.tolist(), "query": query}
        certificate, other = submit("real-counterexample", model, task, n, REAL, "incorrect", evidence)
        if other.accepted:
            tokens = np.zeros(n, dtype=np.int64)
            return Outcome("refuted", certificate, f"{other.sentence} ({worst})", (tokens, query), worst_error=worst)
    return Outcome("unknown", None, f"{verdict.sentence}, and no failing input was found", worst_error=worst)


@np.errstate(all="ignore")
def _corners(model: Model, task: Task, n: int) -> list[tuple[np.ndarray, int]]:
    """The worst corners (N, dim) of 0 and 1 found, with their query: random ones, then a coordinate at a time."""
    reals, eps = task.domain(n).reals, task.outputs().eps  # pyright: ignore[reportAttributeAccessIssue]
    if reals is None or reals.kind != "box":
        return []
    queries, rng = list(task.queries(n)), child(0, "real-outputs", task.name, n)

    def errors(bits: np.ndarray, of: list[int]) -> np.ndarray:
        z, none = np.where(bits == 1, reals.high, reals.low), np.zeros(bits.shape[:2], dtype=np.int64)
        at = [queries.index(q) for q in of]
        return np.linalg.norm(evaluate(model, none, z, of) - task.answer(none, z)[:, at], axis=2)

    bits = rng.integers(0, 2, (STARTS, n, reals.dim))
    found, some = [], queries[:: max(1, len(queries) // QUERIES)]
    start = errors(bits, some)
    for at in np.argsort(-start.max(axis=0))[:4]:
        query, best = some[at], bits[int(start[:, at].argmax())].copy()
        value = float(start[:, at].max())
        for _ in range(ROUNDS):
            flips = np.repeat(best[None], n * reals.dim, axis=0).reshape(-1, n * reals.dim)
            flips[np.arange(len(flips)), np.arange(len(flips))] ^= 1
            after = errors(flips.reshape(-1, n, reals.dim), [query])[:, 0]
            better = np.flatnonzero(after > value)
            if not len(better):
                break
            best, value = flips[int(after.argmax())].reshape(n, -1), float(after.max())
        if value > eps:
            found.append((value, best, query))
    return [(best, query) for _, best, query in sorted(found, key=lambda item: -item[0])]
