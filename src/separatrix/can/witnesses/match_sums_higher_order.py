"""Sums of s numbers by one head of attention of order s: the score is the cosine of the sum of s angles.

Sanford, Hsu, Telgarsky 2023 (the third-order unit for Match3, generalised). cos(a_1 + .. + a_s) is a sum of 2^(s-1)
products of cosines and sines, one for each even set of sines, with the sign (-1)^(size / 2). One more coordinate gives
the tuple of blanks its place between a match and the best other tuple; a tuple of tokens and blanks scores 0.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from separatrix.can.witness import require, witness
from separatrix.can.witnesses.match2_circle import gap
from separatrix.core.arch import Arch, HigherOrder, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.match_sums import MatchSums

MOST_TUPLES, MOST_WORK = 2**22, 2**28  # what the kernel checks: M^(s-1) exponentials a residue


def temperature(task: MatchSums, n: int) -> float:
    """alpha with e^(alpha gap / 2) = 4 (N + 1)^(s-1): tuples with a blank count on the side that they make heavier."""
    return 2 * math.log(4.0 * (n + 1) ** (task.order - 1)) / gap(task.modulus)


def size(task: MatchSums, n: int) -> Size:
    """One head of key width 2^(s-1) + 1 on a stream of width 4, and the model's own blank."""
    task.domain(n)
    m, s = task.modulus, task.order
    require(s >= 3, f"match-sums-higher-order: order = {s}; take 3 or more (Match2 takes ordinary attention)")
    require(m >= 3, f"match-sums-higher-order: M = {m}; take 3 or more")
    require(
        (m + 1) ** (s - 1) <= MOST_TUPLES and m * (m + 1) ** (s - 1) <= MOST_WORK and n ** (s - 1) <= 2**50,
        f"match-sums-higher-order: M = {m}, N = {n}, s = {s}; take (M + 1)^(s-1) up to {MOST_TUPLES}, "
        f"M (M + 1)^(s-1) up to {MOST_WORK} and N^(s-1) up to 2^50",
    )
    key = 2 ** (s - 1) + 1
    return Size(
        1, 1, 4, key, 1, None, None, (m + 1) * 4 + s * 4 * key + (s - 1) * 4 + 4 + 8 + 2, Precision(64, "stored")
    )


@witness(
    "match-sums-higher-order",
    task="match-sums",
    arch="higher-order",
    source="Sanford, Hsu, Telgarsky 2023, the third-order unit for Match3 at order s",
    formula="1 head of attention of order s, width 4, key width 2^(s−1) + 1, value width 1, one blank token, "
    "64 stored bits; scores of size 2 ln(4(N + 1)^(s−1))/(1 − cos(2π/M))",
    size=size,
    method="tuples",
    growth="log",  # for fixed s, scores must be known to a fraction of 1: log2(M^2 log N) bits and a few
)
def build(task: MatchSums, n: int) -> Model:
    """Positions are not used; z, the share of attention on tuples of real tokens, is read against 1/2."""
    size(task, n)
    m, slots = task.modulus, task.order - 1
    residual = Residual.of(circle=2, real=1, blank=1)
    alpha, b = temperature(task, n), 1 - gap(m) / 2
    angle = 2 * np.pi * np.arange(m) / m
    token = np.stack([np.cos(angle), np.sin(angle), np.ones(m), np.zeros(m)], axis=1)
    c, s, real, blank = np.eye(4)  # columns that read one coordinate of the stream
    query, keys = [], [[] for _ in range(slots)]
    for sines in product((0, 1), repeat=slots):  # the query takes a sine where the others' are an odd number
        odd = sum(sines) % 2
        sign = -1.0 if (sum(sines) + odd) // 2 % 2 else 1.0
        query.append(alpha * sign * (s if odd else c))
        for slot, sine in enumerate(sines):
            keys[slot].append(s if sine else c)
    query.append(alpha * real)
    for slot in range(slots):
        keys[slot].append(b * blank if slot == 0 else blank)
    readout = np.zeros((4, 2))
    readout[residual.slice("real"), 1] = 1.0
    key_width = len(query)
    return Model(
        Arch(
            width=4,
            first=Table(vocabulary=m),
            layers=(HigherOrder(heads=1, key_width=key_width, value_width=1, order=task.order),),
            readout=Readout(2),
            blank=True,
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.blank": blank,
            "layers.0.query": np.stack(query, axis=1)[None],
            "layers.0.keys": np.stack([np.stack(key, axis=1) for key in keys])[:, None],
            "layers.0.values": np.stack([real] * slots)[:, None, :, None],
            "layers.0.output": real[None, None],
            "readout.weight": readout,
            "readout.bias": np.array([0.5, 0.0]),
        },
    )
