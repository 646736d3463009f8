"""Nearest neighbour in one layer, where a token holds a point and its label: inner products, and recency among equals.

The second layer of the induction-style construction for in-context nearest neighbours (Bhattamishra, Hahn, Blunsom,
Kanade 2024, Theorem 7, replaces it by two look-ups): score = c j + (B/2) <x_q, x_j> over +-1 bits. One bit of distance
is worth B, more than all of recency; among equals the latest pair wins by e^c, e^2c, ..
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Attention, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.nearest_neighbour import NearestNeighbour

RECENCY = 2.0  # e^-2 + e^-4 + .. < 0.16
MOST_DIM = 8


def step(n: int) -> float:
    """B with N e^(c N - B) <= 1/100: everybody who is farther weighs next to nothing together."""
    return float(RECENCY * n + math.ceil(math.log(100 * n)))


def size(task: NearestNeighbour, n: int) -> Size:
    """One head of key width dim + 1; width = bits of a label + 2 dim + 2."""
    task.domain(n)
    require(
        task.joined,
        "nearest-neighbour-recency: one layer cannot tell whose label is whose where points and labels are separate "
        "tokens; take --joined true",
    )
    require(task.dim <= MOST_DIM, f"nearest-neighbour-recency: dim = {task.dim}; take up to {MOST_DIM}")
    bits, m = code_bits(task.labels), task.dim + 1
    width, vocabulary = bits + 2 * m, 2**task.dim * (task.labels + 1)
    parameters = (vocabulary + n + 1) * width + 2 * width * m + 2 * width * bits + (width + 1) * task.labels
    return Size(1, 1, width, m, bits, n + 1, None, parameters, Precision(64, "stored"))


@witness(
    "nearest-neighbour-recency",
    task="nearest-neighbour",
    source="after Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7 (induction style), on the hypercube",
    formula="1 head, key width d + 1, value width b = ⌈log₂|labels|⌉, width b + 2d + 2, 64 stored bits; joined tokens",
    size=size,
    growth="log",  # scores are integers up to d (c N + ln N)
)
def build(task: NearestNeighbour, n: int) -> Model:
    """The token that asks has key 0 and value 0; it scores 0, so everything is shifted to be at least B / 2."""
    size(task, n)
    bits, dim, b = code_bits(task.labels), task.dim, step(n)
    residual = Residual.of(label=bits, query=dim + 1, key=dim + 1)
    label, query, key = map(residual.slice, ("label", "query", "key"))
    d, codes = residual.width, binary_codes(task.labels)
    signs = 2.0 * ((np.arange(2**dim)[:, None] >> np.arange(dim)) & 1) - 1.0
    pairs = 2**dim * task.labels
    token, place = np.zeros((pairs + 2**dim, d)), np.zeros((n + 1, d))
    token[:pairs, label] = np.tile(codes, (2**dim, 1))
    token[:pairs, key.start : key.stop - 1] = np.repeat(signs, task.labels, axis=0)
    token[pairs:, query.start : query.stop - 1] = b / 2 * signs
    token[pairs:, query.stop - 1] = RECENCY
    # B/2 <x, y> is at least -B dim / 2; B (dim + 1) / (2 c) more on every pair keeps all of them above the asking token
    place[:n, key.stop - 1] = np.arange(1, n + 1) + b * (dim + 1) / (2 * RECENCY)
    eye = np.eye(d)
    readout = np.zeros((d, task.labels))
    readout[label] = codes.T
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=len(token), positions=n + 1),
            layers=(Attention(heads=1, key_width=dim + 1, value_width=bits),),
            readout=Readout(task.labels),
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.position": place,
            "layers.0.query": eye[None, :, query],
            "layers.0.key": eye[None, :, key],
            "layers.0.value": eye[None, :, label],
            "layers.0.output": eye[None, label, :],
            "readout.weight": readout,
            "readout.bias": np.zeros(task.labels),
        },
    )
