"""The pointer-set prover: sparse averaging within eps for every pointer set, or an input on which it is not.

The kernel decides, by the method that fits the first map. The search for a failing input is plain float64: sets on
which sum_j |sum_h c_h a_hj - t_j| is large, with z_j = +-e_1 to match.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from separatrix.core.arch import Attention, PointerSet
from separatrix.core.guarantee import CHECKED, Guarantee
from separatrix.core.seeds import child
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.embed import pointer_keys, pointer_query
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.verify.provers.outcome import Outcome, registry, submit

FEW_SETS = 2**18  # enumerated without asking; up to MOST_SETS where nothing else helps
MOST_SETS = 2**22
SEARCHED = 2**12  # sets that the search looks at
SUBMITTED = 4  # inputs of each source that the kernel is asked about


@registry.register("pointer-sets")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves or refutes one attention layer on a pointer-set first map, in exact arithmetic."""
    first = model.arch.first
    if not isinstance(task, SparseAveraging) or not isinstance(first, PointerSet):
        return Outcome("unknown", None, "this prover is about sparse averaging on a pointer-set first map")
    if semantics != REAL:
        return Outcome("unknown", None, f"pointer sets are proved in real arithmetic, not {semantics}")
    if (first.positions, first.pointers, first.reals) != (n, task.q, task.dim):
        return Outcome("unknown", None, f"the model's first map does not fit the task at n = {n}")
    sentence = ""
    for method in _methods(first, math.comb(n, task.q)):
        certificate, verdict = submit(
            "pointer-sets", model, task, n, semantics, evidence={"method": method}, progress=progress
        )
        if verdict.accepted:
            return Outcome("proved", certificate, verdict.sentence)
        sentence = f"{method}: {verdict.sentence}"
    for tokens, signs, query in worst_inputs(model, task, n):
        evidence = {"tokens": tokens.tolist(), "signs": signs.tolist(), "query": query}
        certificate, verdict = submit("pointer-counterexample", model, task, n, REAL, "incorrect", evidence)
        if verdict.accepted:
            return Outcome("refuted", certificate, verdict.sentence, (tokens, query))
    return Outcome("unknown", None, f"{sentence}; and no failing input was found")


def _methods(first: PointerSet, sets: int) -> list[str]:
    """Kernel methods worth trying, in order."""
    match first.query:
        case "moment":
            return ["moment"]
        case "slots":
            return ["slots"] + ["exhaustive"] * (sets <= FEW_SETS)
        case "least-norm" if sets > FEW_SETS:
            return ["babel"] + ["exhaustive"] * (sets <= MOST_SETS)
    return ["exhaustive"]


@dataclass(frozen=True, slots=True)
class PerInput:
    """Worst error over z at every position, (positions,), for one input's pointers: float64, hence `checked`."""

    errors: np.ndarray
    guarantee: Guarantee = CHECKED


def per_input_error(model: Model, tokens: np.ndarray) -> PerInput:
    """What z in the unit ball can do at each position of the input with pointers `tokens` (positions, q).

    A check of this input, no certificate about others; it assumes scores that do not depend on z.
    """
    return PerInput(np.abs(_excess(model, tokens)).sum(axis=1))


def worst_inputs(model: Model, task: SparseAveraging, n: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Inputs (tokens, signs, query) that may fail, z = signs e_1: first the worst sets, then random inputs."""
    sets = _candidates(model, task, n)
    excess = _excess(model, sets)
    errors = np.abs(excess).sum(axis=1)
    for b in np.argsort(-errors)[:SUBMITTED]:
        if errors[b] > task.eps * (1 - 1e-9):
            yield np.tile(sets[b], (n, 1)), np.where(excess[b] < 0, -1, 1), 0
    rng, first = child(0, "pointer-set-refuter", n), model.arch.first
    found = []
    for _ in range(4 * SUBMITTED):
        tokens, _ = task.sample(n, 1, rng)
        signs = rng.integers(0, 2, n) * 2 - 1
        reals = np.zeros((1, n, task.dim))
        reals[0, :, 0] = signs
        wrong = np.linalg.norm(evaluate(model, tokens, reals) - task.answer(tokens, reals), axis=2)[0]
        found.append((float(wrong.max()), tokens[0], signs, int(wrong.argmax())))
    for error, tokens, signs, query in sorted(found, key=lambda item: -item[0])[:SUBMITTED]:
        if error > task.eps or (isinstance(first, PointerSet) and first.keys == "moment"):
            yield tokens, signs, query  # float64 says little about long integers


def _candidates(model: Model, task: SparseAveraging, n: int) -> np.ndarray:
    """(sets, q): all of them when few; else the neighbours of each position by number and by key, and random ones."""
    if math.comb(n, task.q) <= SEARCHED:
        return np.array(list(combinations(range(n), task.q)))
    first = model.arch.first
    assert isinstance(first, PointerSet)
    probes = np.arange(0, n, max(1, n // 512))
    apart = np.abs((np.arange(n) - probes[:, None] + n // 2) % n - n // 2).astype(np.float64)
    apart[apart == 0] = np.inf
    rows = [np.argsort(apart, axis=1, kind="stable")[:, : task.q]]
    if first.keys == "stored":
        keys = pointer_keys(first, model.tensors)
        gram = keys[probes] @ keys.T
        gram[np.arange(len(probes)), probes] = -np.inf
        rows.append(np.argsort(-gram, axis=1)[:, : task.q])
    random = child(0, "pointer-set-candidates", n).random((SEARCHED - 2 * len(probes), n))
    rows.append(np.argpartition(random, task.q - 1, axis=1)[:, : task.q])
    return np.sort(np.concatenate(rows), axis=1)


def _excess(model: Model, sets: np.ndarray) -> np.ndarray:
    """(sets, N) sum_h c_h a_hj - t_j of tokens that point at `sets`, from query and key blocks only."""
    first, layer, t = model.arch.first, model.arch.layers[0], model.tensors
    assert isinstance(first, PointerSet) and isinstance(layer, Attention)
    keys = pointer_keys(first, t)
    asked = np.stack([pointer_query(first, keys, t, y) for y in sets])
    block, heat = slice(first.reals, first.reals + first.key_width), float(t["embed.temperature"]) * layer.scale
    total = np.zeros((len(sets), first.positions))
    for h in range(layer.heads):
        w_q, w_k = (_numbers(t[f"layers.0.{name}"][h], keys.dtype) for name in ("query", "key"))
        scores = (asked @ w_q[-asked.shape[1] :]) @ (keys @ w_k[block]).T
        scores = (scores - scores.max(axis=1, keepdims=True)).astype(np.float64) * heat
        if heat < 0:
            scores = scores - scores.max(axis=1, keepdims=True)
        weights = np.exp(scores)
        value = t["layers.0.value"][h].astype(np.float64)[0]
        share = value @ t["layers.0.output"][h].astype(np.float64) @ t["readout.weight"].astype(np.float64)[:, 0]
        total += share * weights / weights.sum(axis=1, keepdims=True)
    np.put_along_axis(total, sets, np.take_along_axis(total, sets, axis=1) - 1 / first.pointers, axis=1)
    return total


def _numbers(weight: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """float64; Python integers beside integer keys, where they are integers."""
    if dtype.kind == "O" and not np.mod(weight, 1).any():
        return weight.astype(np.int64).astype(object)
    return weight.astype(np.float64)
