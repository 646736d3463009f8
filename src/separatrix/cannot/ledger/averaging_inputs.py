"""The inputs of two parties inside sparse averaging: signs that are asked for, pairs that have an element in common."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.cannot.bound import of_kind
from separatrix.cannot.reduction import DISJ, INDEX, Reduction
from separatrix.core.task import Task
from separatrix.tasks.sparse_averaging import SparseAveraging

MARGIN = Fraction(1, 2**31)  # certificates leave room for float64 coefficients


def blurred(task: SparseAveraging) -> str | None:
    """A sentence where eps hides a pointer."""
    if Fraction(task.eps) < Fraction(1, task.q) - MARGIN:
        return None
    return f"eps = {task.eps} is not below 1/q = 1/{task.q}: one pointer more or less need not be seen"


def signs(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """INDEX: +-1 for her bits, 0 elsewhere; the last token points at one of hers and at q - 1 zeros."""
    averaging, u = of_kind(SparseAveraging, task), a.shape[1]
    tokens, reals = _blank(averaging, n, len(a))
    reals[:, :u, 0] = 2 * a - 1
    tokens[:, -1, 0], tokens[:, -1, 1:] = b.argmax(axis=1), np.arange(u, u + averaging.q - 1)
    return tokens, reals


def signs_bits(task: Task, n: int) -> int:
    """All positions but those of the zeros and of the query."""
    averaging = of_kind(SparseAveraging, task)
    return max(0, n - max(1, averaging.q - 1)) if blurred(averaging) is None else 0


def common(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DISJ: the last token points at 2i + a_i, and at -1 besides; 2i + 1 holds +1 iff b_i. A common element shows."""
    averaging, k = of_kind(SparseAveraging, task), a.shape[1]
    tokens, reals = _blank(averaging, n, len(a))
    reals[:] = np.eye(averaging.dim)[0] * -1
    reals[:, 1 : 2 * k : 2, 0] = 2 * b - 1
    tokens[:, -1, :k], tokens[:, -1, k:] = 2 * np.arange(k) + a, np.arange(2 * k, k + averaging.q)
    return tokens, reals


def common_bits(task: Task, n: int) -> int:
    """Pairs of which the last token points at one each, the rest of its pointers elsewhere."""
    averaging = of_kind(SparseAveraging, task)
    return max(0, min(averaging.q, n - 1 - averaging.q)) if blurred(averaging) is None else 0


def _blank(task: SparseAveraging, n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    return np.tile(np.arange(task.q), (size, n, 1)), np.zeros((size, n, task.dim))


SIGNS = Reduction(
    INDEX,
    signs_bits,
    signs,
    lambda task, answers: (answers[:, -1, 0] > 0).astype(np.int64),
)
COMMON = Reduction(
    DISJ,
    common_bits,
    common,
    lambda task, answers: (answers[:, -1, 0] > -1 + 1 / of_kind(SparseAveraging, task).q).astype(np.int64),
)
