"""Associative recall in one layer, where a token holds a key and its label: index lookup with keys for positions.

The head of `index_lookup_quadratic` (after Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 1) with the key's number
for the position: key (k, k^2), query (2 eta t, -eta), score eta t^2 - eta (k - t)^2. With keys and labels at separate
positions one layer adds up terms of single tokens, which does not tell whose label is whose (see the task).
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Attention, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall

MOST_KEYS = 2**12


def slope(n: int) -> int:
    """The least power of two eta at which n + 1 tokens of neighbouring keys, were that possible, weigh at most 1/4.

    Keys are distinct, so 2 e^-eta + 2 e^-4eta + .. would do; this is for the kernel's relaxation, which lets all others
    be neighbours: (n + 1) e^-eta <= 1/3.
    """
    return 2 ** max(0, math.ceil(math.log2(math.log(3 * (n + 1)))))


def size(task: AssociativeRecall, n: int) -> Size:
    """One head; width = bits of a label + 2 + 2."""
    task.domain(n)
    require(
        task.joined,
        "associative-recall-quadratic: one layer cannot tell whose label is whose where keys and labels are separate "
        "tokens; take --joined true",
    )
    require(task.keys <= MOST_KEYS, f"associative-recall-quadratic: keys = {task.keys}; take up to {MOST_KEYS}")
    bits = code_bits(task.labels)
    width, vocabulary = bits + 4, task.keys * (task.labels + 1)
    parameters = vocabulary * width + 2 * width * 2 + 2 * width * bits + (width + 1) * task.labels
    return Size(1, 1, width, 2, bits, n + 1, None, parameters, Precision(64, "stored"))


@witness(
    "associative-recall-quadratic",
    task="associative-recall",
    source="after Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 1, with keys in place of positions",
    formula="1 head, key width 2, value width b = ⌈log₂|labels|⌉, width b + 4, 64 stored bits; keys and labels joined",
    size=size,
    growth="log",  # scores are integers up to 3 eta K^2, K keys
)
def build(task: AssociativeRecall, n: int) -> Model:
    """Keys are counted from 1: the token that asks has key (0, 0), that of a key before the first, and value 0."""
    size(task, n)
    eta, bits = slope(n), code_bits(task.labels)
    residual = Residual.of(label=bits, query=2, key=2)
    label, query, key = map(residual.slice, ("label", "query", "key"))
    d, codes = residual.width, binary_codes(task.labels)
    number = np.arange(1, task.keys + 1, dtype=np.float64)
    token = np.zeros((task.keys * (task.labels + 1), d))
    pairs = task.keys * task.labels
    token[:pairs, label] = np.tile(codes, (task.keys, 1))
    token[:pairs, key] = np.repeat(np.stack([number, number**2], axis=1), task.labels, axis=0)
    token[pairs:, query] = np.stack([2 * eta * number, np.full(task.keys, -eta)], axis=1)
    eye = np.eye(d)
    readout = np.zeros((d, task.labels))
    readout[label] = codes.T
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=len(token)),
            layers=(Attention(heads=1, key_width=2, value_width=bits),),
            readout=Readout(task.labels),
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "layers.0.query": eye[None, :, query],
            "layers.0.key": eye[None, :, key],
            "layers.0.value": eye[None, :, label],
            "layers.0.output": eye[None, label, :],
            "readout.weight": readout,
            "readout.bias": np.zeros(task.labels),
        },
    )
