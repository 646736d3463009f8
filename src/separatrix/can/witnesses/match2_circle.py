"""Match2 on a circle: residue x is the angle 2 pi x / M, and the score of a pair is the cosine of the angles' sum.

Sanford, Hsu, Telgarsky 2023 (Match2 by one unit of width 3): partners add up to angle 0 and score the most, everybody
else loses to a blank token in between. Width 3 needs the blank's advantage B as a loss of the real tokens: the third
coordinate of a key is -B on real tokens and 0 on the blank, whose embedding is 0. (As a constant B on the blank it is
no linear function of (cos, sin, 1), which vanishes on no three points of the circle.)
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Attention, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.match2 import Match2


def gap(modulus: int) -> float:
    """1 - cos(2 pi / M) = 2 sin^2(pi / M): what the best other pair loses against partners."""
    return 2 * math.sin(math.pi / modulus) ** 2


def temperature(modulus: int, n: int) -> float:
    """alpha with e^(alpha gap / 2) = 4N.

    With B halfway between 1 and cos(2 pi / M) a partner weighs 4N times the blank, anybody else at most 1/(4N):
    z >= 4N / (4N + 1) with a partner; z <= N / (N + 4N) = 1/5 without.
    """
    return 2 * math.log(4 * n) / gap(modulus)


def precision(task: Match2, n: int) -> Precision:
    """Significand bits at which the kernel's rounding analysis closes.

    Scores are sums of size 3 alpha, some 20 roundings each; N tokens may err at the top while only the blank, 4N times
    lighter, is sure to be in the normaliser: N * 4N * 60 alpha 2^-p must stay below 1/2 or so.
    """
    bits = 9 + math.ceil(math.log2(temperature(task.modulus, n)) + 2 * math.log2(n + 1))
    return Precision(bits, "float")


def size(task: Match2, n: int) -> Size:
    """One head of width 3 and the model's own blank. InputError where the construction does not reach."""
    require(
        not task.distinct_indices,
        "match2-circle: a token also attends to itself, so it cannot exclude j = i; "
        "take distinct_indices=False (as in the paper)",
    )
    bits = precision(task, n).bits
    require(
        bits <= 53,
        f"match2-circle: M = {task.modulus}, N = {n} needs {bits}-bit numbers, float64 has 53; take a smaller M",
    )
    parameters = task.modulus * 3 + 3 + 2 * 9 + 2 * 3 + 3 * 2 + 2
    return Size(1, 1, 3, 3, 1, n + 1, None, parameters, precision(task, n))


@witness(
    "match2-circle",
    task="match2",
    source="Sanford, Hsu, Telgarsky 2023, Match2 by one self-attention unit of width 3",
    formula="1 head, width 3, key width 3, value width 1, one blank token, "
    "p = 9 + ⌈log₂ α(N+1)²⌉ bits, α = ln(4N) / sin²(π/M)",
    size=size,
    growth="log",  # as the formula says; it is stated while p fits float64
)
def build(task: Match2, n: int) -> Model:
    """Positions are not used; the unit reads z, the share of attention on real tokens, against 1/2."""
    m = task.modulus
    size(task, n)
    residual = Residual.of(circle=2, flag=1)
    circle, flag = residual.slice("circle"), residual.slice("flag")

    angle = 2 * np.pi * np.arange(m) / m
    token = np.zeros((m, 3))
    token[:, circle] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    token[:, flag] = 1.0

    # score(i, j) = alpha (cos a_i cos a_j - sin a_i sin a_j - B) = alpha (cos(a_i + a_j) - B); 0 on the blank
    b = 1 - gap(m) / 2
    query = temperature(m, n) * np.eye(3)
    key = np.diag([1.0, -1.0, -b])
    value, output = np.eye(3)[:, flag], np.eye(3)[flag]
    readout = np.zeros((3, 2))
    readout[flag, 1] = 1.0  # logit of 1 is z, logit of 0 is 1/2
    return Model(
        Arch(
            width=residual.width,
            first=Table(vocabulary=m),
            layers=(Attention(heads=1, key_width=3, value_width=1),),
            readout=Readout(2),
            blank=True,
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.blank": np.zeros(3),
            "layers.0.query": query[None],
            "layers.0.key": key[None],
            "layers.0.value": value[None],
            "layers.0.output": output[None],
            "readout.weight": readout,
            "readout.bias": np.array([0.5, 0.0]),
        },
    )
