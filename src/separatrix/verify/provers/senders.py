"""The senders prover: sparse propagation within eps for all sets of receivers, or an input on which it is not.

The kernel decides. The search for a failing input is plain float64: at each position the sets that score least and most
among those that hold it, and most among the others, with k senders, and z_j = +-e_1 along the error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from separatrix.core.arch import Attention, PointerSet
from separatrix.core.seeds import child
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.embed import pointer_keys, pointer_query
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.sparse_propagation import SparsePropagation
from separatrix.verify.provers.outcome import Outcome, registry, submit

SCORED = 2**13  # sets that the search looks at
SUBMITTED = 6  # inputs that the kernel is asked about
RANDOM = 16

Input = tuple[np.ndarray, np.ndarray, int]  # tokens (N, q), signs (N,), query


@registry.register("senders")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves or refutes one attention layer on a pointer-set first map, in exact arithmetic."""
    first = model.arch.first
    if not isinstance(task, SparsePropagation) or not isinstance(first, PointerSet):
        return Outcome("unknown", None, "this prover is about sparse propagation on a pointer-set first map")
    if semantics != REAL:
        return Outcome("unknown", None, f"senders are proved in real arithmetic, not {semantics}")
    if (first.positions, first.pointers, first.reals) != (n, task.q, task.dim):
        return Outcome("unknown", None, f"the model's first map does not fit the task at n = {n}")
    certificate, verdict = submit("senders", model, task, n, semantics, progress=progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    for tokens, signs, query in worst_inputs(model, task, n):
        evidence = {"tokens": tokens.tolist(), "signs": signs.tolist(), "query": query}
        found, judged = submit("pointer-counterexample", model, task, n, REAL, "incorrect", evidence)
        if judged.accepted:
            return Outcome("refuted", found, judged.sentence, (tokens, query))
    return Outcome("unknown", None, f"{verdict.sentence}; and no failing input was found")


def worst_inputs(model: Model, task: SparsePropagation, n: int) -> Iterator[Input]:
    """The inputs with the largest errors among those tried, worst first."""
    rows = [*_extreme(model, task, n)]
    rng = child(0, "senders-refuter", n)
    rows += [(row, int(rng.integers(0, n))) for row in task.sample(n, RANDOM, rng)[0]]
    found = []
    for tokens, query in rows:
        for signs in {tuple(s) for s in (_along(model, task, tokens, query), np.ones(n, dtype=int))}:
            reals = np.zeros((1, n, task.dim))
            reals[0, :, 0] = signs
            got = evaluate(model, tokens[None], reals, [query])[0, 0] - task.answer(tokens[None], reals)[0, query]
            found.append((float(np.linalg.norm(got)), tokens, np.array(signs), query))
    for error, tokens, signs, query in sorted(found, key=lambda item: -item[0])[:SUBMITTED]:
        if not error <= task.eps:
            yield tokens, signs, query


def _along(model: Model, task: SparsePropagation, tokens: np.ndarray, query: int) -> np.ndarray:
    """Signs that add up what each z_j does to the error, where scores do not depend on z."""
    n = len(tokens)
    reals = np.zeros((n, n, task.dim))
    reals[np.arange(n), np.arange(n), 0] = 1.0
    many = np.broadcast_to(tokens, (n, *tokens.shape))
    error = evaluate(model, many, reals, [query])[:, 0, 0] - task.answer(many, reals)[:, query, 0]
    return np.where(error < 0, -1, 1)


def _extreme(model: Model, task: SparsePropagation, n: int) -> Iterator[tuple[np.ndarray, int]]:
    """Inputs (tokens, query): nobody, one, half, all but one or all send to the query, by extreme sets."""
    first, layer, t = model.arch.first, model.arch.layers[0], model.tensors
    assert isinstance(first, PointerSet) and isinstance(layer, Attention)
    if math.comb(n, task.q) <= SCORED:
        sets = np.array(list(combinations(range(n), task.q)))
    else:
        drawn = child(0, "senders-sets", n).random((SCORED, n)).argpartition(task.q - 1, axis=1)[:, : task.q]
        sets = np.sort(drawn, axis=1)
    keys = pointer_keys(first, t).astype(np.float64)
    asked = np.stack([pointer_query(first, keys, t, row) for row in sets]).astype(np.float64)
    block = slice(first.reals, first.reals + first.key_width)
    w_q, w_k = (t[f"layers.0.{name}"][0].astype(np.float64) for name in ("query", "key"))
    scores = (asked @ w_k[-asked.shape[1] :]) @ (keys @ w_q[block]).T * float(t["embed.temperature"]) * layer.scale
    inside = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(inside, sets, True, axis=1)
    for i in range(n):
        held, free = np.flatnonzero(inside[:, i]), np.flatnonzero(~inside[:, i])
        if not len(held):
            continue
        least, most = held[scores[held, i].argmin()], held[scores[held, i].argmax()]
        loud = free[scores[free, i].argmax()] if len(free) else most
        ways = {(k, low) for k in (0, 1, n // 2, n - 1, n) for low in (0, 1, k)} if len(free) else {(n, 1), (n, n // 2)}
        for k, low in ways:  # k send, `low` of them by the set that scores least
            chosen = [least] * min(low, k) + [most] * (k - min(low, k)) + [loud] * (n - k)
            yield sets[chosen], i
