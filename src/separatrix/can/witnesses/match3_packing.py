"""Match3 by one ordinary layer that packs the whole input: the upper bound that any function has.

Sanford, Hsu, Telgarsky 2023 (what makes the bound m p H >= c N / log log N for one layer nearly tight). Every position
attends to all alike; position j writes x_j as a digit of its own, two digits of base M a coordinate, so N / 2 numbers
of 2 log2 M bits hold the input and every position has all of it. A first feed-forward layer takes the digits apart, a
second one adds x_i and any two and raises a flag where the sum is 0, M or 2M. In exact arithmetic: a mean of p-bit
fixed-point numbers would lose log2 N of their bits.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.flag_units import Units
from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.match3 import Match3

MOST_INPUTS = 2**12  # what the kernel enumerates in a few minutes


def _residual(n: int) -> Residual:
    half = (n + 1) // 2
    return Residual.of(number=1, flag=1, here=n, packed=half, low=half, high=half)


def size(task: Match3, n: int) -> Size:
    """One head of value width N/2 between feed-forward layers. InputError where it is not proved any more."""
    task.domain(n)
    require(
        not task.distinct_indices,
        "match3-packing: pairs repeat indices; take distinct_indices=False (as in the paper)",
    )
    m = task.modulus
    require(
        n * math.log2(m) <= math.log2(MOST_INPUTS) + 1e-9,
        f"match3-packing: M = {m}, N = {n}; its only proof is enumeration, take M^N up to 2^12: a modulus up to "
        f"{int(MOST_INPUTS ** (1 / n) + 1e-9)} at this N",
    )
    d, half = _residual(n).width, (n + 1) // 2
    units = n + 2 * (m - 1) * half + 9 * n * (n + 1) // 2
    parameters = (m + n) * d + (2 * d + 1) * units + 3 * d + 2 * d + 2 * d * half + 2 * d + 2
    return Size(1, 1, d, 1, half, n, None, parameters, Precision(64, "stored"))


@witness(
    "match3-packing",
    task="match3",
    source="Sanford, Hsu, Telgarsky 2023, the packing upper bound beside the lower bound for Match3",
    formula="1 head of value width ⌈N/2⌉ (numbers of 2 log₂ M bits: m p = N log₂ M), width N + 3⌈N/2⌉ + 2, "
    "N, 2(M − 1)⌈N/2⌉ and 9N(N + 1)/2 hidden units; proved by enumeration, up to M^N = 2^12",
    size=size,
    method="exhaustive",
    growth="linear",
)
def build(task: Match3, n: int) -> Model:
    """All numbers are integers behind the head, which multiplies the mean by N."""
    size(task, n)
    m, residual = task.modulus, _residual(n)
    d, eye = residual.width, np.eye(residual.width)
    s = {name: residual.slice(name) for name, _, _ in residual.parts}
    number, flag, half = s["number"].start, s["flag"].start, (n + 1) // 2
    token, place = np.zeros((m, d)), np.zeros((n, d))
    token[:, number], place[:, s["here"]] = np.arange(m), np.eye(n)

    write, split, pairs = Units(d), Units(d), Units(d)
    for j in range(n):
        digit = {s["packed"].start + j // 2: float(m) if j % 2 else 1.0}
        write.relu({number: 1.0, s["here"].start + j: float(m)}, -float(m), digit)
    for c in range(half):  # the high digit is the number of multiples of M up to the whole
        low, high = s["low"].start + c, s["high"].start + c
        for step in range(1, m):
            split.clip({low: 2.0}, 1.5 - 2.0 * step * m, {high: 1.0, low: -float(m)})
    held = [s["high" if j % 2 else "low"].start + j // 2 for j in range(n)]
    for a in range(n):
        for b in range(a, n):
            reads = {number: 1.0}
            for at in (held[a], held[b]):
                reads[at] = reads.get(at, 0.0) + 1.0
            for target in (0, m, 2 * m):  # a tent of height 1 and half width 1/2
                for shift, height in ((0.5, 2.0), (0.0, -4.0), (-0.5, 2.0)):
                    pairs.relu(reads, shift - target, {flag: height})

    readout = np.zeros((d, 2))
    readout[flag, 1] = 1.0
    none = np.zeros((1, d, 1))
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=m, positions=n),
            layers=(
                FeedForward(hidden=len(write), residual=True),
                Attention(heads=1, key_width=1, value_width=half, residual=True),
                FeedForward(hidden=len(split), residual=True),
                FeedForward(hidden=len(pairs), residual=True),
            ),
            readout=Readout(2),
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.position": place,
            **write.tensors(0),
            "layers.1.query": none,
            "layers.1.key": none,
            "layers.1.value": eye[None, :, s["packed"]],
            "layers.1.output": n * eye[None, s["low"], :],
            **split.tensors(2),
            **pairs.tensors(3),
            "readout.weight": readout,
            "readout.bias": np.array([0.5, 0.0]),
        },
    )
