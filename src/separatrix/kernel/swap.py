"""The swap identity: one position's value as a short combination of averages.

For j, a q-set S that holds j, and for each k in S \\ {j} a q-set T that holds j and not k, T' = T - j + k:

    v_j = a_S + sum_k (a_T - a_T'),   a_Y = (1/q) sum_{i in Y} v_i,

2q - 1 averages in all, and q + 1 positions (Sanford, Hsu, Telgarsky 2023, proof of Theorem 10). For every j the kernel
checks the identity on the sets, in integers, and that the task's own coefficients are such averages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.needs import SLACK

Terms = list[tuple[int, tuple[int, ...]]]
MOST_WORK = 2**31  # coefficients that are evaluated


def coefficients(task: Task, n: int, positions: int, pointers: tuple[int, ...]) -> np.ndarray:
    """(positions,) the task's weights t: the answer is sum_j t_j z_j at a token that points at `pointers`."""
    evaluate = getattr(task, "coefficients", None)
    if evaluate is None:
        raise UnknownError(f"task {task.name} does not say its coefficients")
    weights = np.asarray(evaluate(n, pointers))
    if weights.shape != (positions,) or weights.dtype != np.float64 or not np.isfinite(weights).all():
        raise RejectedError("the task's coefficients are not one finite number a position")
    return weights


def combination(n: int, q: int, j: int) -> Terms:
    """The 2q - 1 signed q-sets of the identity for position j of n; ValueError for n <= q."""
    if n <= q:
        raise ValueError("the swap needs q + 1 positions")
    others = [(j + 1 + i) % n for i in range(q)]
    terms = [(1, (j, *others[: q - 1]))]
    for at in range(q - 1):
        k = others[at]
        rest = [*others[:at], *others[at + 1 :]]  # q - 1 positions other than j and k
        terms += [(1, (j, *rest)), (-1, (k, *rest))]
    return [(sign, tuple(sorted(chosen))) for sign, chosen in terms]


def all_combinations(n: int, q: int) -> Iterator[tuple[int, Terms]]:
    """The combination of every position, each checked to be q times that position's indicator; bounded work."""
    if n * n * (2 * q - 1) > MOST_WORK:
        raise UnknownError(f"N = {n}, q = {q}: the swap identity has too many terms to evaluate")
    for j in range(n):
        terms = combination(n, q, j)
        total: Counter[int] = Counter()
        for sign, chosen in terms:
            for i in chosen:
                total[i] += sign
        if {i: count for i, count in total.items() if count} != {j: q} or any(len(set(c)) != q for _, c in terms):
            raise AssertionError("the swap identity does not hold")
        yield j, terms


def pointer_weight(task: Task, n: int, q: int) -> Fraction:
    """The c with answer c * (sum over the pointers) on every q-set of the identity, less what floats may be off by.

    RejectedError unless the task's coefficients are one number on each of these sets and exact zeros elsewhere.
    """
    found: float | None = None
    for _, terms in all_combinations(n, q):
        for _, chosen in terms:
            weights = coefficients(task, n, n, chosen)
            at = np.flatnonzero(weights)
            found = float(weights[chosen[0]]) if found is None else found
            if at.tolist() != list(chosen) or (weights[at] != found).any() or not found > 0:
                raise RejectedError("an answer is not a plain average over its pointers")
    assert found is not None
    return Fraction(found) - SLACK
