"""The swap identity: one position's value as a short combination of averages.

For j, a q-set S that holds j, and for each k in S \\ {j} a q-set T that holds j and not k, T' = T - j + k:

    v_j = a_S + sum_k (a_T - a_T'),   a_Y = (1/q) sum_{i in Y} v_i,

2q - 1 averages in all (Sanford, Hsu, Telgarsky 2023, proof of Theorem 10; needs q + 1 positions). The kernel checks the
identity on the task's own coefficients, in exact rationals, for every j.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.needs import SLACK

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


def combination(n: int, q: int, j: int) -> list[tuple[int, tuple[int, ...]]]:
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


def least_weight(task: Task, n: int, q: int) -> Fraction:
    """min over j of (own weight - absolute sum of the others) in the identity's combination of coefficients.

    If it is w > 0, then for every v with max |v_j| = 1 some q-set has |answer| >= w / (2q - 1); less what the task's
    floats may be off by, which is subtracted.
    """
    if n * n * (2 * q - 1) > MOST_WORK:
        raise UnknownError(f"N = {n}, q = {q}: the swap identity has too many terms to evaluate")
    least = Fraction(2)
    for j in range(n):
        total: dict[int, Fraction] = {}
        terms = combination(n, q, j)
        for sign, chosen in terms:
            weights = coefficients(task, n, n, chosen)
            for i in np.flatnonzero(weights).tolist():
                total[i] = total.get(i, Fraction(0)) + sign * Fraction(float(weights[i]))
        rest = sum((abs(value) for i, value in total.items() if i != j), Fraction(0))
        least = min(least, total.get(j, Fraction(0)) - rest - SLACK)
    return least
