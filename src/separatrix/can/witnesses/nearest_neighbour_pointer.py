"""Nearest neighbour by two look-ups, as in the paper: which pair is nearest, then what its label is.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7. Layer 1: the point that asks attends to points by inner product
and fetches the code of the pair's number; a feed-forward layer makes its signs exact. Layer 2 looks the label up by
that code. Two changes: codes are the binary ones, in +-1 (the paper's, with inner products below a hundredth of the
margin, take millions of entries; see docs/errata), and recency decides between equals, which the paper's margin rules
out. Attending to points alone, not to labels, takes a shift by position, like the paper's third coordinate.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.flag_units import Units
from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.can.witnesses.nearest_neighbour_recency import MOST_DIM, RECENCY, step
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.nearest_neighbour import NearestNeighbour
from separatrix.tasks.nearest_steps import MOST

NAME = "nearest-neighbour-pointer"


def _residual(task: NearestNeighbour, n: int) -> Residual:
    places, label = code_bits(n), code_bits(task.labels)
    return Residual.of(point=task.dim, shift=1, one=1, label=label, number=places, fetched=places, pointer=places)


def size(task: NearestNeighbour, n: int) -> Size:
    """Two layers of one head, with 2 hidden units a bit of a pair's number between them."""
    positions = task.domain(n).positions
    require(not task.joined, f"{NAME}: points and labels are apart; for pairs in one token take one layer")
    require(task.dim <= MOST_DIM, f"{NAME}: dim = {task.dim}; take up to {MOST_DIM}")
    require(n <= MOST, f"{NAME}: N = {n}; take N up to {MOST}")
    places, label, width = code_bits(n), code_bits(task.labels), _residual(task, n).width
    key, value, hidden = max(task.dim + 1, places), max(places, label), 2 * places
    parameters = (2**task.dim + task.labels + positions) * width + 2 * (2 * width * key + 2 * width * value)
    parameters += (2 * width + 1) * hidden + width + (width + 1) * task.labels
    return Size(2, 1, width, key, value, positions, None, parameters, Precision(64, "stored"))


@witness(
    NAME,
    task="nearest-neighbour",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7, with binary codes, on the hypercube",
    formula="2 layers of 1 head, P = ⌈log₂ N⌉, b = ⌈log₂|labels|⌉, key width max(d + 1, P), width d + b + 3P + 2, 2P "
    "hidden units, 64 stored bits; points and labels apart",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to d (c N + ln N)
)
def build(task: NearestNeighbour, n: int) -> Model:
    """The fetched signs are off by less than 1/2; the pointer is +-1 exactly."""
    stated = size(task, n)
    residual = _residual(task, n)
    d, eye, s = residual.width, np.eye(residual.width), {name: residual.slice(name) for name, _, _ in residual.parts}
    points, positions, b = 2**task.dim, stated.tokens or 0, step(2 * n)
    at, key_width, value_width = np.arange(positions), stated.key_width or 0, stated.value_width or 0
    token, place = np.zeros((points + task.labels, d)), np.zeros((positions, d))
    token[:points, s["point"]] = 2.0 * ((np.arange(points)[:, None] >> np.arange(task.dim)) & 1) - 1.0
    token[points:, s["label"]] = binary_codes(task.labels)
    pair, labels = np.minimum(at // 2, n - 1), (at % 2 == 1)
    place[:, s["number"]] = np.where((at < 2 * n)[:, None], binary_codes(n)[pair], 0.0)
    # one bit of distance is worth B, all of recency less; labels and the point that asks stand B below the farthest
    holds = ~labels & (at < 2 * n)
    place[:, s["shift"]] = np.where(holds, RECENCY * pair, -b * (task.dim + 1))[:, None]
    place[:, s["one"]] = 1.0

    def pad(weights: np.ndarray, columns: int) -> np.ndarray:
        return np.concatenate([weights, np.zeros((d, columns))], axis=1)[None, :, :columns]

    units = Units(d)
    for got, to in zip(range(*s["fetched"].indices(d)), range(*s["pointer"].indices(d)), strict=True):
        units.clip({got: 1.0}, 0.5, {to: 2.0})  # 2 step - 1, the 1 in the output bias
    # numbers differ in a bit, which costs 2 eta; points and labels of a pair share its number, but points hold no label
    eta = math.ceil(math.log(16 * n)) / 2
    readout = np.zeros((d, task.labels))
    readout[s["label"]] = binary_codes(task.labels).T
    tensors = {
        "embed.token": token,
        "embed.position": place,
        "layers.0.query": pad(np.concatenate([b / 2 * eye[:, s["point"]], eye[:, s["one"]]], axis=1), key_width),
        "layers.0.key": pad(np.concatenate([eye[:, s["point"]], eye[:, s["shift"]]], axis=1), key_width),
        "layers.0.value": pad(eye[:, s["number"]], value_width),
        "layers.0.output": pad(eye[:, s["fetched"]], value_width).transpose(0, 2, 1),
        **units.tensors(1),
        "layers.2.query": pad(eta * eye[:, s["pointer"]], key_width),
        "layers.2.key": pad(eye[:, s["number"]], key_width),
        "layers.2.value": pad(eye[:, s["label"]], value_width),
        "layers.2.output": pad(eye[:, s["label"]], value_width).transpose(0, 2, 1),
        "readout.weight": readout,
        "readout.bias": np.zeros(task.labels),
    }
    tensors["layers.1.out_bias"] = -eye[s["pointer"]].sum(axis=0)
    layers = (
        Attention(1, key_width, value_width, residual=True),
        FeedForward(hidden=len(units), residual=True),
        Attention(1, key_width, value_width),
    )
    arch = Arch(d, Table(len(token), positions), layers, Readout(task.labels), residual=residual.parts)
    return Model(arch, tensors)
