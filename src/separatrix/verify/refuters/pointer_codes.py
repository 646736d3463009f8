"""Equal-code pointer sets: two sets that the first map turns into nearly the same query, for sparse averaging.

A token's pointers enter the model through one vector of the first map and nowhere else, at any depth. Where two sets
y, y' have the same vector, the model answers alike, while z = 1 on y, -1 on y' moves the answer by 2 |y - y'| / q;
so it errs by half of that on one of them. With m p < log2 C(N, q) bits two sets must agree (Sanford et al. 2023,
Theorem 5, for any depth); sets whose vectors are nearest each other are tried first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from separatrix.core.arch import PointerSet
from separatrix.models.embed import pointer_keys, pointer_query
from separatrix.models.evaluate import evaluate
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.verify.refuters.search import Found, Search, registry

MOST_SETS = 2**14
NEIGHBOURS = 4
PAIRS = 256


@registry.register("pointer-codes")
def pointer_codes(search: Search) -> str | None:
    """Sets of pointers with nearly equal queries, and the signs that tell them apart."""
    task, model = search.task, search.model
    first = model.arch.first
    if not isinstance(task, SparseAveraging) or not isinstance(first, PointerSet):
        return "pointer codes are those of sparse averaging"
    if (first.positions, first.pointers, first.reals) != (search.n, task.q, task.dim):
        return f"the model's first map does not fit the task at n = {search.n}"
    sets = _sets(search, task.q)
    codes = _codes(first, model.tensors, sets)
    for a, b in _nearest(sets, codes):
        signs = np.zeros(search.n, dtype=np.int64)
        signs[list(sets[a])] += 1
        signs[list(sets[b])] -= 1
        tokens = np.tile(sets[a], (2, search.n, 1))
        tokens[1] = sets[b]
        reals = np.zeros((2, search.n, task.dim))
        reals[:, :, 0] = signs
        for word in range(2):
            search.spend(1)
            with np.errstate(all="ignore"):
                error = evaluate(model, tokens[[word]], reals[[word]]) - task.answer(tokens[[word]], reals[[word]])
            wrong = np.linalg.norm(error, axis=2)[0]
            if wrong.max() > task.eps:
                raise Found(tokens[word], int(wrong.argmax()), signs)
    return f"the nearest of {len(sets):,} pointer sets are told apart"


def _sets(search: Search, q: int) -> np.ndarray:
    """(sets, q) all of them while they are few; otherwise random ones and all their kin by one changed pointer."""
    n = search.n
    if math.comb(n, q) <= MOST_SETS:
        return np.array(list(combinations(range(n), q)))
    keys = search.rng.random((MOST_SETS // 4, n))
    sets = np.argpartition(keys, q - 1, axis=1)[:, :q]
    moved = sets.copy()
    rows = np.arange(len(sets))
    at = search.rng.integers(0, q, len(sets))
    moved[rows, at] = (moved[rows, at] + search.rng.choice([-1, 1], len(sets))) % n
    moved = moved[[len(set(row)) == q for row in moved.tolist()]]
    return np.unique(np.sort(np.concatenate([sets, moved]), axis=1), axis=0)


def _codes(first: PointerSet, tensors: Mapping[str, np.ndarray], sets: np.ndarray) -> np.ndarray:
    """(sets, code) what the first map makes of each; long integers as floats relative to the largest."""
    keys = pointer_keys(first, tensors)
    codes = np.stack([pointer_query(first, keys, tensors, row) for row in sets])
    if codes.dtype.kind == "O":
        largest = max((abs(int(v)) for v in codes.ravel()), default=1) or 1
        codes = np.array([[int(v) / largest for v in row] for row in codes])
    return codes.astype(np.float64)


def _nearest(sets: np.ndarray, codes: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of different sets, nearest codes first; of equally near ones those that share few pointers."""
    from scipy.spatial import KDTree

    if len(sets) < 2:
        return []
    distance, index = map(np.asarray, KDTree(codes).query(codes, k=min(NEIGHBOURS + 1, len(sets))))
    pairs = {
        (float(d), len(set(sets[a]) & set(sets[b])), min(a, int(b)), max(a, int(b)))
        for a, (row, others) in enumerate(zip(distance, index, strict=True))
        for d, b in zip(row, others, strict=True)
        if a != b
    }
    return [(a, b) for _, _, a, b in sorted(pairs)[:PAIRS]]
