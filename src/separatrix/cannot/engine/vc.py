"""VC dimensions of small matrices, the split-VC dimension of a task, and discrepancy by the spectral norm.

One softmax layer in exact real arithmetic, with a feed-forward ReLU net after it, has a size polynomial in the split-VC
dimension: 4 H (d + 1) (t + 2) >= split-VC, t the operations of the read-out (Kozachinskiy et al. 2025, Theorem 3.2, by
Goldberg and Jerrum 1995). t must be an upper bound of them for the inequality to hold.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from separatrix.cannot.bound import need
from separatrix.cannot.engine.matrix import Matrix
from separatrix.core.task import Task

MOST_STEPS = 200_000


def vc_dimension(bits: np.ndarray) -> int:
    """The most rows of a 0/1 matrix on which its columns show all patterns; UnknownError where the search is long."""
    columns = np.unique(bits, axis=1)
    rows = [row for row in np.unique(columns, axis=0) if row.any() and not row.all()]
    best, steps = 0, 0

    def grow(start: int, groups: list[np.ndarray], size: int) -> None:
        """Adds rows to a shattered set; groups are the columns of each pattern."""
        nonlocal best, steps
        best = max(best, size)
        for at in range(start, len(rows)):
            if min(map(len, groups)) < 2 or size + len(rows) - at <= best:
                return
            steps += 1
            need(steps <= MOST_STEPS, f"more than {MOST_STEPS} steps are needed for this VC dimension")
            split = [g[rows[at][g] == value] for g in groups for value in (0, 1)]
            if all(map(len, split)):
                grow(at + 1, split, size + 1)

    grow(0, [np.arange(columns.shape[1])], 0)
    return best


def split_vc(task: Task, n: int) -> int:
    """The largest VC dimension over all position sets A: rows are words on A, columns words on the others.

    The token at the last query belongs to neither side: it is fixed, in turn, to each of its symbols.
    """
    domain, query = task.domain(n), task.queries(n)[-1]
    free = [p for p in range(domain.positions) if len(domain.alphabets[p]) > 1]
    best = 0
    if len(domain.alphabets[query]) > 1:
        free = [p for p in free if p != query]
    for symbol in np.asarray(domain.alphabets[query]).tolist():
        for size in range(1, len(free)):
            for chosen in combinations(free, size):
                labels = Matrix.of(task, n, alice=chosen, known={query: symbol}).labels
                for value in (
                    np.unique(labels)[1:].tolist() if len(np.unique(labels)) == 2 else np.unique(labels).tolist()
                ):
                    best = max(best, vc_dimension((labels == value).astype(np.int64)))
    return best


def operations(heads: int, value_width: int, width: int, parameters: int, hidden: int) -> int:
    """An upper bound of the operations after attention: merge, output map, residual and a ReLU net (any ReLU net)."""
    d = value_width
    return heads * (d + 1) + heads * d + 2 * width * d * heads + 2 * width + 2 * parameters + 2 * hidden + 1


def vc_capacity(heads: int, value_width: int, width: int, parameters: int, hidden: int) -> int:
    """What the split-VC dimension cannot exceed: 4 H (d + 1) (t + 2)."""
    return 4 * heads * (value_width + 1) * (operations(heads, value_width, width, parameters, hidden) + 2)


def discrepancy_bits(signs: np.ndarray, error: float = 1 / 3) -> float:
    """Bits of randomised two-way protocols with this error: log2 (1 - 2 error) / disc, disc <= |M|_2 / sqrt(R C).

    For the uniform distribution; signs is a +-1 matrix (R, C). Useful for inner products and little else; a float
    estimate, not a certificate.
    """
    norm = float(np.linalg.norm(signs.astype(float), 2)) * (1 + 1e-9)
    return max(0.0, math.log2((1 - 2 * error) * math.sqrt(signs.size) / norm))
