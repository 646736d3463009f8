"""Associative recall in two layers, keys and labels at positions of their own: an induction head.

After Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7 (the paper solves recall as a nearest neighbour; their
Proposition 9 is the bound for recurrent models). Layer 1 copies each key onto the label behind it, layer 2 asks for the
key. One layer cannot: it adds up terms of single tokens (see the task).
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.induction import Induction, induction_size
from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall

NAME = "associative-recall-two-layer"
MOST_KEYS = 2**12


def size(task: AssociativeRecall, n: int) -> Size:
    """Two layers of one head; width = 2 bits of a key + 2 bits of a label + 5."""
    positions = task.domain(n).positions
    require(not task.joined, f"{NAME}: keys and labels are apart; for pairs in one token take one layer")
    require(task.keys <= MOST_KEYS, f"{NAME}: keys = {task.keys}; take up to {MOST_KEYS}")
    bits, label = code_bits(task.keys), code_bits(task.labels)
    return induction_size(task.keys + task.labels, positions, bits, label, task.labels)


@witness(
    NAME,
    task="associative-recall",
    source="after Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7, as an induction head",
    formula="2 layers of 1 head, k = ⌈log₂|keys|⌉, b = ⌈log₂|labels|⌉, key width k + 1, width 2k + 2b + 5, 64 stored "
    "bits; keys and labels apart",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to 192 (2N)^2, and k ln N
)
def build(task: AssociativeRecall, n: int) -> Model:
    """Codes of different keys differ in a bit, which costs 2 B; all but labels are moved as far again below that."""
    size(task, n)
    bits, positions = code_bits(task.keys), task.domain(n).positions
    step = math.ceil(math.log(8 * positions)) / 2  # (2N + 1) e^(-2B) <= 1/8: the fetched label keeps its sign
    codes = np.zeros((task.keys + task.labels, bits))
    labels = np.zeros((len(codes), code_bits(task.labels)))
    codes[: task.keys], labels[task.keys :] = binary_codes(task.keys), binary_codes(task.labels)
    at = np.arange(positions)
    holds = (at % 2 == 1) & (at < 2 * n)
    readout = binary_codes(task.labels).T
    return Induction(codes, labels, step, np.zeros(positions), holds, readout, np.zeros(task.labels)).model()
