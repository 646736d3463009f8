"""Match3 by Strassen attention: the score of a pair is minus the square of x_i + x_j + x_k - S, for S = M and S = 2M.

Kozachinskiy, Urrutia, Jimenez, Steifer, Pizarro, Fuentes, Meza, Buc, Rojas 2025, Theorem 4.2 (Match3 in one layer, two
heads). A square of a sum of three is a sum over three sides. In place of ties that are broken and numbers that are read
back, each head compares all pairs with a blank one at -1/2. Numbers run from 0 to M - 1, so that the sum is M or 2M
where it is 0 modulo M, unless x_i = x_j = x_k = 0; then x_i = 0, which needs no partner.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Readout, Residual, Strassen, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.match3 import Match3

MOST_MODULUS, MOST_N = 512, 4096  # what the kernel checks: 2 M^2 exponentials a residue, and some
RESIDUAL = Residual.of(number=1, square=1, real=1, zero=1, blank=1, share=1)
KEY = 8


def temperature(n: int) -> float:
    """eta with e^(eta / 2) = 4 N^2: a match outweighs the blank by 4 N^2, and the blank outweighs all else by 4."""
    return 2 * math.log(4 * n * n)


def size(task: Match3, n: int) -> Size:
    """Two heads of key width 8 on a stream of width 6, and the model's own blank."""
    task.domain(n)
    require(
        not task.distinct_indices,
        "match3-strassen: pairs repeat indices; take distinct_indices=False (as in the paper)",
    )
    require(
        task.modulus <= MOST_MODULUS and n <= MOST_N,
        f"match3-strassen: M = {task.modulus}, N = {n}; take M up to {MOST_MODULUS} and N up to {MOST_N}",
    )
    d = RESIDUAL.width
    parameters = (task.modulus + 1) * d + 2 * (3 * d * KEY + 3 * d) + 2 * d + 2
    return Size(1, 2, d, KEY, 1, None, None, parameters, Precision(64, "stored"))


@witness(
    "match3-strassen",
    task="match3",
    arch="strassen",
    source="Kozachinskiy et al. 2025, Theorem 4.2, Match3 by one layer of Strassen attention with two heads",
    formula="2 heads of Strassen attention, width 6, key width 8, value width 1, one blank token, 64 stored bits; "
    "scores are integers up to 25 M² times 2 ln(4N²)",
    size=size,
    method="tuples",
    growth="log",  # scores must be known to a fraction of 1: log2(M^2 log N) bits and a few
)
def build(task: Match3, n: int) -> Model:
    """Positions are not used; logit of 1 is z_M + z_2M + [x_i = 0], logit of 0 is 5/8."""
    size(task, n)
    m, d = task.modulus, RESIDUAL.width
    x = np.arange(m, dtype=np.float64)
    token = np.stack([x, x * x, np.ones(m), x == 0, np.zeros(m), np.zeros(m)], axis=1)
    number, square, real, zero, blank, share = np.eye(d)  # columns that read one coordinate of the stream
    none, apart = np.zeros(d), 16.0 * m * m  # a pair of a token and the blank scores below 4 M^2 - 16 M^2

    # with a = x_i - S: -(a + b + c)^2 = (-2ab - a^2) + (-2bc - b^2) + (-2ca - c^2), a side a bracket; the last column
    # gives the pair of blanks its -1/2
    queries = []
    for target in (m, 2 * m):
        a, a_squared = number - target * real, square - 2.0 * target * number + target * target * real
        queries.append(np.stack([-2 * a, -a_squared, none, none, none, a, real, -real / 2], axis=1))
    first = np.stack([number, real, -2 * number, -square - apart * blank, -apart * real, none, none, blank], axis=1)
    second = np.stack([none, none, number, real, blank, -2 * number, -square, none], axis=1)
    readout = np.zeros((d, 2))
    readout[:, 1] = share + zero
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=m),
            layers=(Strassen(heads=2, key_width=KEY, value_width=1, scale=temperature(n), residual=True),),
            readout=Readout(2),
            blank=True,
            residual=RESIDUAL.parts,
        ),
        {
            "embed.token": token,
            "embed.blank": blank,
            "layers.0.query": np.stack(queries),
            "layers.0.keys": np.stack([[first] * 2, [second] * 2]),
            "layers.0.values": np.tile(real[:, None], (2, 2, 1, 1)),
            "layers.0.output": np.tile(share, (2, 1, 1)),
            "readout.weight": readout,
            "readout.bias": np.array([0.625, 0.0]),
        },
    )
