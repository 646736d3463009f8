"""Dyck-(n,k) of any bounded depth in three layers: count the depth, match every closer, sum the flags.

After Yao, Peng, Papadimitriou, Narasimhan 2021 and Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3; one head a
layer, causal. Layer 1: uniform attention to +1 for openers and -1 for closers gives depth / i; k + 2 sharp steps make
an exact integer of it. Layer 2: a closer with depth d behind it attends to the last opener with depth d + 1 behind it
and compares types. Layer 3 takes the mean of the flags.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.flag_units import Units
from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.dyck import Dyck

MOST = 512  # what the kernel checks in a minute


def size(task: Dyck, n: int) -> Size:
    """Three layers of one head; width = 2 bits of a type + 9. InputError where the construction does not reach."""
    task.domain(n)
    require(n <= MOST, f"dyck-three-layer: N = {n}; take N up to {MOST}")
    bits = code_bits(task.types)
    width, first, second = _residual(bits).width, 2 * (task.depth + 2), 4 * bits + 1
    parameters = (2 * task.types + 1 + n + 1) * width
    parameters += 4 * width + 4 * width + 2 * width * bits + 4 * width  # attention
    parameters += (2 * width + 1) * (first + second) + 2 * width + 2 * width + 2
    return Size(3, 1, width, 2, bits, n + 1, None, parameters, Precision(64, "stored"))


def _residual(bits: int) -> Residual:
    parts = {"kind": 1, "type": bits, "opener": bits, "mean": 1, "depth": 1, "square": 1, "flag": 1}
    return Residual.of(**parts, position=3, end=1)


@witness(
    "dyck-three-layer",
    task="dyck",
    source="Yao, Peng, Papadimitriou, Narasimhan 2021; Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3",
    formula="3 causal layers of 1 head, key width 2, b = ⌈log₂ types⌉, width 2b + 9, "
    "2(k + 2) and 4b + 1 hidden units, 64 stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are numbers up to 5 k^2 N, sharp steps have slope N: O(log kN) bits would do
)
def build(task: Dyck, n: int) -> Model:
    """A flag is 0, or at least 1 where the word goes wrong, and never negative: the mean is 0, or at least 1/(N+1)."""
    size(task, n)
    types, depth, bits = task.types, task.depth, code_bits(task.types)
    residual = _residual(bits)
    d, eye = residual.width, np.eye(residual.width)
    names = ("kind", "type", "opener", "mean", "depth", "square", "flag", "end")
    kind, code, opener, mean, level, square, flag, end = map(residual.slice, names)
    inverse, recency, one = range(residual.slice("position").start, residual.slice("position").stop)

    token = np.zeros((2 * types + 1, d))  # the end token is of no kind and no type
    token[:types, kind], token[types : 2 * types, kind] = 1.0, -1.0
    token[: 2 * types, code] = np.tile(binary_codes(types), (2, 1))
    token[2 * types, end] = 1.0
    t = np.arange(1, n + 2, dtype=np.float64)
    place = np.zeros((n + 1, d))
    place[:, inverse], place[:, recency], place[:, one] = 1.0 / t, t, 1.0

    # the mean is h / i for the integer h = openers - closers: [h >= m] = clip(S (h - m + 1/2) / i + 1/2), S >= i
    slope, counts = float(n + 1), Units(d)
    for m in range(depth + 2):
        out = {level.start: 1.0, square.start: 2.0 * m - 1.0} if m else {}
        if m in (0, depth + 1):  # flag = [h > k] + 1 - [h >= 0]
            out[flag.start] = 1.0 if m else -1.0
        counts.clip({mean.start: slope, inverse: -slope * (m - 0.5)}, 0.5, out)

    # score(i, j) = j + B [j opens] - B ((h_j - h_i - 1)^2 - (h_i + 1)^2): the last opener of the right depth scores
    # j + B, earlier ones have odds e^-2 + e^-4 + .. < 0.16 (their distances are even), all others at most N + 1:
    # closers of the right depth, openers of a wrong one
    b = n + 1 + math.ceil(math.log(100 * n))
    query, key = np.zeros((d, 2)), np.zeros((d, 2))
    query[one], query[level.start, 1] = [1.0, 2.0 * b], 2.0 * b
    key[recency, 0], key[kind.start, 0], key[square.start, 0], key[level.start, 1] = 1.0, b / 2, -b, 1.0

    flags = Units(d)
    for bit in range(bits):  # a closer whose type differs
        flags.differs(code.start + bit, opener.start + bit, flag.start, {kind.start: -2.0}, -2.0)
    flags.relu({level.start: 1.0, end.start: depth + 1.0}, -(depth + 1.0), {flag.start: 1.0})  # ends above depth 0
    begin = np.zeros(d)
    begin[flag] = 1.0
    readout = np.zeros((d, 2))
    readout[flag, 0] = 1.0  # logit of "wrong" is the mean flag, logit of "right" 1/(2N + 2)
    none = np.zeros((1, d, 1))
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=2 * types + 1, positions=n + 1),
            layers=(
                Attention(heads=1, key_width=1, value_width=1, mask="causal", residual=True),
                FeedForward(hidden=len(counts), residual=True),
                Attention(heads=1, key_width=2, value_width=bits, mask="causal", residual=True),
                FeedForward(hidden=len(flags), residual=True),
                Attention(heads=1, key_width=1, value_width=1, mask="causal"),
            ),
            readout=Readout(2),
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.position": place,
            "layers.0.query": none,
            "layers.0.key": none,
            "layers.0.value": eye[None, :, kind],
            "layers.0.output": eye[None, mean, :],
            **counts.tensors(1),
            "layers.1.out_bias": begin,
            "layers.2.query": query[None],
            "layers.2.key": key[None],
            "layers.2.value": eye[None, :, code],
            "layers.2.output": eye[None, opener, :],
            **flags.tensors(3),
            "layers.4.query": none,
            "layers.4.key": none,
            "layers.4.value": eye[None, :, flag],
            "layers.4.output": eye[None, flag, :],
            "readout.weight": readout,
            "readout.bias": np.array([0.0, 0.5 / (n + 1)]),
        },
    )
