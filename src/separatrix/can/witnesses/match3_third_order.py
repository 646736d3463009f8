"""Match3 by one head of third-order attention: the score of a pair is the cosine of the sum of three angles.

Sanford, Hsu, Telgarsky 2023 (Match3 by one third-order unit, m = 5). With c, s the cosine and sine of 2 pi x / M,
cos(a + b + c) = ca cb cc - ca sb sc - sa cb sc - sa sb cc takes four coordinates, and the pair (blank, blank), which
stands between a match and the best other pair, the fifth. A pair of a token and the blank scores 0 and has value 0.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.witness import require, witness
from separatrix.can.witnesses.match2_circle import gap
from separatrix.core.arch import Arch, HigherOrder, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.match3 import Match3

MOST_MODULUS, MOST_N = 1024, 4096  # what the kernel checks: M^2 exponentials a residue, and some


def temperature(modulus: int, n: int) -> float:
    """alpha with e^(alpha gap / 2) = 4 N^2.

    With B halfway between 1 and cos(2 pi / M), a match weighs 4 N^2 times the pair of blanks, and any other pair at
    most 1/(4 N^2) of it: z >= e^alpha / (e^alpha + e^(alpha B) + 2 N) with a match, z <= N^2 / (N^2 + 4 N^2) = 1/5
    without, since the 2 N mixed pairs only help there. (2 N against e^alpha = (4 N^2)^(2/gap) is nothing.)
    """
    return 2 * math.log(4 * n * n) / gap(modulus)


def size(task: Match3, n: int) -> Size:
    """One head of key width 5 on a stream of width 4, and the model's own blank."""
    task.domain(n)
    require(
        not task.distinct_indices,
        "match3-third-order: pairs repeat indices; take distinct_indices=False (as in the paper)",
    )
    require(
        task.modulus <= MOST_MODULUS and n <= MOST_N,
        f"match3-third-order: M = {task.modulus}, N = {n}; take M up to {MOST_MODULUS} and N up to {MOST_N}",
    )
    parameters = task.modulus * 4 + 4 + 3 * 4 * 5 + 3 * 4 + 4 * 2 + 2
    return Size(1, 1, 4, 5, 1, None, None, parameters, Precision(64, "stored"))


@witness(
    "match3-third-order",
    task="match3",
    arch="third-order",
    source="Sanford, Hsu, Telgarsky 2023, Match3 by one third-order unit (m = 5)",
    formula="1 head of third-order attention, width 4, key width 5, value width 1, one blank token, 64 stored bits; "
    "scores of size 2 ln(4N²)/(1 − cos(2π/M))",
    size=size,
    method="tuples",
    growth="log",  # scores must be known to a fraction of 1: log2(M^2 log N) bits and a few
)
def build(task: Match3, n: int) -> Model:
    """Positions are not used; z, the share of attention on pairs of real tokens, is read against 1/2."""
    m = task.modulus
    size(task, n)
    residual = Residual.of(circle=2, real=1, blank=1)
    alpha, b = temperature(m, n), 1 - gap(m) / 2

    angle = 2 * np.pi * np.arange(m) / m
    token = np.zeros((m, 4))
    token[:, residual.slice("circle")] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    token[:, residual.slice("real")] = 1.0
    c, s, real, blank = np.eye(4)  # columns that read one coordinate of the stream
    query = alpha * np.stack([c, -c, -s, -s, real], axis=1)
    keys = np.stack([np.stack([c, s, c, s, b * blank], axis=1), np.stack([c, s, s, c, blank], axis=1)])
    readout = np.zeros((4, 2))
    readout[residual.slice("real"), 1] = 1.0  # logit of 1 is z, logit of 0 is 1/2
    return Model(
        Arch(
            width=4,
            first=Table(vocabulary=m),
            layers=(HigherOrder(heads=1, key_width=5, value_width=1),),
            readout=Readout(2),
            blank=True,
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.blank": blank,
            "layers.0.query": query[None],
            "layers.0.keys": keys[:, None],
            "layers.0.values": np.stack([real, real])[:, None, :, None],
            "layers.0.output": real[None, None],
            "readout.weight": readout,
            "readout.bias": np.array([0.5, 0.0]),
        },
    )
