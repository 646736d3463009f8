"""Sparse averaging by q heads of key width 2, one for each pointer.

Tokens sit on a circle: key (cos, sin)(2 pi j / N), and head h asks with the key of the h-th pointer, which beats its
neighbours by 1 - cos(2 pi / N); it fetches z / q. The pointers lie side by side in the query, q keys long, which is
what separates this from the single head of Sanford, Hsu, Telgarsky 2023, Theorem 2: heads in place of q log N width.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.pointer_parts import SLACK, pointer_model, pointer_size
from separatrix.can.witness import require, witness
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.sparse_averaging import SparseAveraging

MOST = 2**16


def temperature(task: SparseAveraging, n: int) -> float:
    """alpha (1 - cos(2 pi / N)) = ln(2 (N - 1)/eps): each head leaves its pointer by eps/2 at most.

    A head off by 2 (1 - weight) counts 1/q, and there are q: no q in the logarithm.
    """
    if n == 1:
        return 1.0
    return math.log(2 * (n - 1) / (SLACK * task.eps)) / (2 * math.sin(math.pi / n) ** 2)


def size(task: SparseAveraging, n: int) -> Size:
    """q heads of key width 2; width = dim + 2 + 2 q. InputError beyond the reach of float64 keys."""
    task.domain(n)
    require(n <= MOST, f"sparse-averaging-circle: N = {n}; take N up to {MOST}")
    return pointer_size(task, n, 2, Precision(64, "stored"), slots=True)


@witness(
    "sparse-averaging-circle",
    task="sparse-averaging",
    source="multi-head variant of Sanford, Hsu, Telgarsky 2023, Theorem 2",
    formula="q heads, key width 2, value width d, width d + 2 + 2q, 64 stored bits",
    size=size,
    method="pointer-sets",
    growth="log",  # p = O(log(N / eps)) bits would do; float64 covers the whole reach
)
def build(task: SparseAveraging, n: int) -> Model:
    """Scores of size alpha, about N^2 ln(N / eps) / 20, are known to 2^-50 of it: fine for N up to 2^16."""
    size(task, n)
    angle = 2 * np.pi * np.arange(n) / n
    keys = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return pointer_model(task, "slots", keys, temperature(task, n))
