"""Index lookup by quadratic keys: key (j, j^2), query (2 eta t, -eta), so score = eta t^2 - eta (j - t)^2.

A width-2 replacement for the near-orthogonal codes of Bhattamishra et al. 2024, Theorem 1: the target position beats
its neighbours by eta, their neighbours by 4 eta, and so on, whatever the symbols are.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.parts import lookup_arch, lookup_tensors, symbol_bits
from separatrix.can.witness import require, witness
from separatrix.core.arch import Residual
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

LEAST_WEIGHT = 0.75  # as in the paper: every retrieved bit is then at least 1/4 away from the threshold


def slope() -> int:
    """The least power of two eta with target weight 1 / (1 + 2 sum_m e^(-eta m^2)) >= 3/4.

    A power of two keeps eta out of the rounding: scores are multiples of eta.
    """
    eta = 1
    while 1 / (1 + 2 * sum(math.exp(-eta * m * m) for m in range(1, 40))) < LEAST_WEIGHT:
        eta *= 2
    return eta


def precision(n: int) -> Precision:
    """Significand bits at which every score is an exact integer (3 N^2 <= 2^p), and at least 16."""
    return Precision(max(16, math.ceil(math.log2(3 * (n + 1) ** 2))), "float")


def size(task: IndexLookup, n: int) -> Size:
    """One head; width = bits of a symbol + 2 + 2. InputError where scores are no longer exact integers."""
    require(3 * (n + 1) ** 2 <= 2**53, f"index-lookup-quadratic: N = {n}; scores are exact up to N = 54,000,000")
    bits = symbol_bits(task)
    width = bits + 4
    tables = (task.symbols + n) * width + (n + 1) * width
    weights = 2 * width * 2 + 2 * width * bits + (width + 1) * task.symbols
    return Size(1, 1, width, 2, bits, n + 1, None, tables + weights, precision(n))


@witness(
    "index-lookup-quadratic",
    task="index-lookup",
    source="width-2 variant of Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 1",
    formula="1 head, key width 2, value width b = ⌈log₂|Σ|⌉, width b + 4, p = ⌈log₂ 3(N+1)²⌉ bits",
    size=size,
)
def build(task: IndexLookup, n: int) -> Model:
    """Positions are t = 1..N; the query token's own key (0, 0) is that of a position before the first."""
    size(task, n)
    eta, t = slope(), np.arange(1, n + 1, dtype=np.float64)
    residual = Residual.of(symbol=symbol_bits(task), query=2, position=2)
    return Model(
        lookup_arch(task, n, residual, key_width=2),
        lookup_tensors(
            task,
            residual,
            queries=np.stack([2 * eta * t, np.full(n, -eta)], axis=1),
            keys=np.stack([t, t * t], axis=1),
        ),
    )
