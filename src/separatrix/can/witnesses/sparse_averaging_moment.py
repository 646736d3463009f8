"""Sparse averaging by the cyclic polytope on the integer moment curve, key width 2q: exact.

Sanford, Hsu, Telgarsky 2023, Theorem 3: keys (t, t^2, .., t^2q) of the nodes t = 1..N, query the coefficients of
-prod_{i in y} (x - t_i)^2 without the constant. Scores are integers, exactly equal on y, and elsewhere lower by the
square of a nonzero integer: margin 1 for any N and q, at the price of numbers of 2 q log2 N bits.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.pointer_parts import pointer_model, pointer_size, temperature
from separatrix.can.witness import require, witness
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.sparse_averaging import SparseAveraging

MOST = 2**20


def least_margin(n: int, q: int) -> int:
    """The worst margin over y, for a node with neighbours on both sides: (floor(q/2)!)^4, times (floor(q/2) + 1)^2.

    The second factor is there when q is odd. (At the ends of the curve all neighbours lie on one side: more.)
    """
    margin = math.factorial(q // 2) ** 4
    return margin * (q // 2 + 1) ** 2 if q % 2 else margin


def precision(task: SparseAveraging, n: int) -> Precision:
    """Bits of the longest integer of the stream: powers up to N^2q, coefficients up to (N + 1)^2q, and a sign."""
    return Precision(max(64, math.ceil(2 * task.q * math.log2(n + 1)) + 1), "stored")


def size(task: SparseAveraging, n: int) -> Size:
    """One head of key width 2q; width = dim + 4 q; of the keys only the nodes are stored."""
    task.domain(n)
    require(n <= MOST, f"sparse-averaging-moment: N = {n}; take N up to {MOST}")
    return pointer_size(task, n, 2 * task.q, precision(task, n), stored=n)


@witness(
    "sparse-averaging-moment",
    task="sparse-averaging",
    source="Sanford, Hsu, Telgarsky 2023, Theorem 3 (integer moment curve)",
    formula="1 head, key width 2q, value width d, width d + 4q, ⌈2q log₂(N+1)⌉ + 1 bits (at least 64)",
    size=size,
    method="pointer-sets",
)
def build(task: SparseAveraging, n: int) -> Model:
    """The margin is 1 at least, and ln(2(N - q)/(q eps)) is enough heat."""
    size(task, n)
    nodes = np.arange(1, n + 1, dtype=np.int64)
    return pointer_model(task, "moment", nodes, temperature(task, n, gap=1.0), key_width=2 * task.q)
