"""Multi-query associative recall in two causal layers: an induction head that prefers the latest pair.

After Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7, of which multi-query recall (Arora et al. 2024) is a case. A
key without a pair has to be answered as such: its query rests at the first key that asks, which no agreement reaches.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.induction import Induction, induction_size
from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.multi_query_recall import MultiQueryRecall

NAME = "multi-query-recall-two-layer"
MOST_KEYS, MOST = 2**12, 2**10
RECENCY = 2.0  # e^-2 + e^-4 + .. < 0.16


def size(task: MultiQueryRecall, n: int) -> Size:
    """Two causal layers of one head; width = 2 bits of a key + 2 bits of a label + 5."""
    require(n <= MOST, f"{NAME}: N = {n}; take N up to {MOST}")
    require(task.keys <= MOST_KEYS, f"{NAME}: keys = {task.keys}; take up to {MOST_KEYS}")
    bits, label = code_bits(task.keys), code_bits(task.labels)
    return induction_size(task.keys + task.labels, task.domain(n).positions, bits, label, task.labels + 1)


@witness(
    NAME,
    task="multi-query-recall",
    source="after Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7, as a causal induction head",
    formula="2 causal layers of 1 head, k = ⌈log₂|keys|⌉, b = ⌈log₂|labels|⌉, key width k + 1, width 2k + 2b + 5, 64 "
    "stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to 192 (3N)^2 and k (c N + ln N)
)
def build(task: MultiQueryRecall, n: int) -> Model:
    """Agreements are k B with a pair that has the key, (k - 2) B at most with others; queries rest at (k - 1) B."""
    size(task, n)
    bits, label = code_bits(task.keys), code_bits(task.labels)
    step = RECENCY * n + math.ceil(math.log(300 * n))  # all that lies B lower weighs 1/100 together
    codes, labels = np.zeros((task.keys + task.labels, bits)), np.zeros((task.keys + task.labels, label))
    codes[: task.keys], labels[task.keys :] = binary_codes(task.keys), binary_codes(task.labels)
    at = np.arange(3 * n)
    holds = (at % 2 == 1) & (at < 2 * n)
    shifts = RECENCY * (at // 2)
    shifts[2 * n] = step * (bits - 1)  # which every query sees
    # a label's code agrees with itself to 2/3 b or more, and what stands for nowhere to b / 50 at most
    readout = np.concatenate([binary_codes(task.labels).T, np.zeros((label, 1))], axis=1)
    bias = np.append(np.zeros(task.labels), 0.375 * label)
    return Induction(codes, labels, step, shifts, holds, readout, bias, causal=True, rest=2 * n).model()
