"""Disjointness in two layers: fetch the partner's bit, take the AND with one's own, and the mean of what comes out.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 13 for DISJ, with quadratic keys in place of near-orthogonal codes and
one head in place of k = 2, since a position keeps its own bit on the residual path. Layer 1: position i of the second
half attends to position i - N/2, the first half to itself, where the feed-forward layer is switched off.
"""

from __future__ import annotations

import numpy as np

from separatrix.can.flag_mean import flag_mean
from separatrix.can.witness import require, witness
from separatrix.can.witnesses.index_lookup_quadratic import slope
from separatrix.core.arch import Residual
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.disjointness import Disjointness

MOST = 2**12  # what the kernel checks: its table of attention weights is quadratic in N
WIDTH = 8


def size(task: Disjointness, n: int) -> Size:
    """Two layers of one head, width 8, 2 hidden units."""
    task.domain(n)
    require(n <= MOST, f"disjointness-two-layer: N = {n}; take N up to {MOST}")
    parameters = (2 + n) * WIDTH + 2 * WIDTH * 2 + 2 * WIDTH + 2 * WIDTH * 2 + 2 + WIDTH + 4 * WIDTH + 2 * WIDTH + 2
    return Size(2, 1, WIDTH, 2, 1, n, None, parameters, Precision(64, "stored"))


@witness(
    "disjointness-two-layer",
    task="disjointness",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 13 (DISJ), with quadratic keys",
    formula="2 layers of 1 head, key widths 2 and 1, width 8, 2 hidden units, 64 stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to 6 N^2 and the mean is compared with 1/(2N): O(log N) bits would do
)
def build(task: Disjointness, n: int) -> Model:
    """Flags are exactly 0 or 1: the mean is 0, or at least 1/N."""
    size(task, n)
    half = n // 2
    residual = Residual.of(bit=1, fetched=1, flag=1, first=1, query=2, position=2)
    d = residual.width
    bit, fetched, flag, first, query, position = map(residual.slice, (p[0] for p in residual.parts))

    token = np.zeros((2, d))
    token[:, bit] = [[-1.0], [1.0]]
    t = np.arange(1, n + 1, dtype=np.float64)
    target = np.where(np.arange(n) < half, t, t - half)
    eta = slope()  # target weight >= 3/4, so the fetched bit r is off by 1/2 at most
    place = np.zeros((n, d))
    place[:, query] = np.stack([2 * eta * target, np.full(n, -eta)], axis=1)
    place[:, position] = np.stack([t, t * t], axis=1)
    place[:half, first] = 1.0

    # [b = 1 and r0 = 1] = R(1/2 + r - 2(1 - b) - 4 first) - R(-1/2 + r - 2(1 - b) - 4 first), exactly
    inner, bias, out = np.zeros((d, 2)), np.zeros(2), np.zeros((2, d))
    for unit, (shift, weight) in enumerate(((0.5, 1.0), (-0.5, -1.0))):
        inner[fetched, unit], inner[bit, unit], inner[first, unit] = 1.0, 2.0, -4.0
        bias[unit] = shift - 2.0
        out[unit, flag] = weight
    return flag_mean((token, place), residual, bit, (inner, bias, out), flagged=1)
