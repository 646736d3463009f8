"""Nearest neighbour in two layers, points and labels at positions of their own: the induction-style construction.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7, with its two look-ups replaced: layer 1 copies each point onto the
label behind it, layer 2 scores by inner products, in steps of B, and by recency. The width does not depend on the
margin, which only enters B: margins N^-c cost O(log N) bits and no width (the codes of the printed proof grow with the
square of 1/margin, see `nearest_neighbour_pointer`).
"""

from __future__ import annotations

import numpy as np

from separatrix.can.induction import Induction, induction_size
from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.can.witnesses.nearest_neighbour_recency import MOST_DIM, RECENCY, step
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.nearest_neighbour import NearestNeighbour

NAME = "nearest-neighbour-two-layer"
MOST = 2**10


def size(task: NearestNeighbour, n: int) -> Size:
    """Two layers of one head; width = 2 dim + 2 bits of a label + 5."""
    positions = task.domain(n).positions
    require(not task.joined, f"{NAME}: points and labels are apart; for pairs in one token take one layer")
    require(task.dim <= MOST_DIM, f"{NAME}: dim = {task.dim}; take up to {MOST_DIM}")
    require(n <= MOST, f"{NAME}: N = {n}; take N up to {MOST}")
    return induction_size(2**task.dim + task.labels, positions, task.dim, code_bits(task.labels), task.labels)


@witness(
    NAME,
    task="nearest-neighbour",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7, induction style, on the hypercube",
    formula="2 layers of 1 head, b = ⌈log₂|labels|⌉, key width d + 1, width 2d + 2b + 5, 64 stored bits; points and "
    "labels apart",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to 192 (2N)^2 and d (c N + ln N)
)
def build(task: NearestNeighbour, n: int) -> Model:
    """One bit of distance is worth B, more than all of recency; all but labels lie B below the farthest point."""
    size(task, n)
    points, b = 2**task.dim, step(2 * n)
    codes, labels = np.zeros((points + task.labels, task.dim)), np.zeros((points + task.labels, code_bits(task.labels)))
    codes[:points] = 2.0 * ((np.arange(points)[:, None] >> np.arange(task.dim)) & 1) - 1.0
    labels[points:] = binary_codes(task.labels)
    at = np.arange(task.domain(n).positions)
    holds = (at % 2 == 1) & (at < 2 * n)
    readout, bias = binary_codes(task.labels).T, np.zeros(task.labels)
    return Induction(codes, labels, b / 2, RECENCY * (at // 2), holds, readout, bias).model()
