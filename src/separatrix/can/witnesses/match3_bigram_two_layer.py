"""Match3Bigram in two layers: fetch the right neighbour's number, add, and look for minus one's own among the sums.

Sanford, Hsu, Telgarsky 2023 (Match3Bigram has depth 2), with integers in place of angles: the score of position i for
position j is -(b_j + x_i)^2 modulo M, so that partners are 1 apart from the rest and not 1 - cos(2 pi / M).
Layer 1: position j attends to j + 1, the last to itself. The feed-forward layer rounds x_j + x_(j+1) and makes
b_j = (x_j + x_(j+1)) mod M and b_j^2 of it, by steps between integers. Layer 2 is Match2 against a blank token.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.flag_units import Units
from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.match3_bigram import Match3Bigram

MOST_WORK = 2**26  # what the kernel checks in a minute or two: M^2 labels of N positions, each against N positions
RESIDUAL = Residual.of(
    number=1, following=1, sum=1, square=1, position=2, wanted=1, minus=1, minus_square=1, one=1, last=1, blank=1
)


def temperature(n: int) -> float:
    """eta with e^(eta / 2) = 4N: the share of real tokens is 4N / (4N + 1) or more with a partner, else 1/5 or less."""
    return 2 * math.log(4 * n)


def size(task: Match3Bigram, n: int) -> Size:
    """Two layers of one head, 4(M - 1) hidden units. InputError where the construction does not reach."""
    task.domain(n)
    m = task.modulus
    require(
        (m * n) ** 2 <= MOST_WORK,
        f"match3-bigram-two-layer: M = {m}, N = {n}; take M times N up to {math.isqrt(MOST_WORK)}",
    )
    d, hidden = RESIDUAL.width, 4 * (m - 1)
    parameters = (m + n + 1) * d + 2 * d * (2 + 1) + (2 * d + 1) * hidden + d + 2 * d * (3 + 1) + 2 * d + 2
    return Size(2, 1, d, 3, 1, n + 1, None, parameters, Precision(64, "stored"))


@witness(
    "match3-bigram-two-layer",
    task="match3-bigram",
    source="Sanford, Hsu, Telgarsky 2023, Match3Bigram in depth 2, with integers in place of angles",
    formula="2 layers of 1 head, width 12, key widths 2 and 3, value width 1, 4(M − 1) hidden units, one blank token, "
    "64 stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are numbers up to 5 M^2 log N + 6 N^2 log M
)
def build(task: Match3Bigram, n: int) -> Model:
    """The number that is fetched is off by 1/4 at most, and made exact before it is used."""
    size(task, n)
    m, d = task.modulus, RESIDUAL.width
    s = {name: start for name, start, _ in RESIDUAL.parts}
    eye, eta = np.eye(d), temperature(n)
    x, t = np.arange(m, dtype=np.float64), np.arange(1, n + 1, dtype=np.float64)

    token, place, blank = np.zeros((m, d)), np.zeros((n, d)), eye[s["blank"]]
    minus = -x % m
    token[:, s["number"]], token[:, s["minus"]], token[:, s["minus_square"]] = x, minus, minus**2
    place[:, s["position"]], place[:, s["position"] + 1] = t, t * t
    place[:, s["wanted"]], place[:, s["one"]], place[-1, s["last"]] = np.minimum(t + 1, n), 1.0, 1.0

    # layer 1, score sharp (2 w t - t^2): all but the wanted position weigh 2 e^-sharp + .. <= 1/(4M) together
    sharp = math.ceil(math.log(16 * m))
    query, key = np.zeros((d, 2)), eye[:, [s["position"], s["position"] + 1]]
    query[s["wanted"], 0], query[s["one"], 1] = 2.0 * sharp, -sharp

    units = Units(d)  # steps in the middle between integers; closed on the blank
    for step in range(1, 2 * m - 1):
        b, before = step % m, (step - 1) % m
        reads = {s["number"]: 2.0, s["following"]: 2.0, s["blank"]: -8.0 * m}
        units.clip(reads, 1.5 - 2.0 * step, {s["sum"]: float(b - before), s["square"]: float(b * b - before * before)})

    # layer 2, score(i, j) = eta (u^2 - (b_j - u)^2) for u = -x_i mod M, far below for the last position; the blank
    # has eta (u^2 - 1/2)
    ask, hold = np.zeros((d, 3)), np.zeros((d, 3))
    ask[s["minus"], 0], ask[s["one"], 1] = 2.0 * eta, -eta
    ask[s["minus_square"], 2], ask[s["one"], 2] = eta, -eta / 2
    hold[s["sum"], 0] = hold[s["square"], 1] = hold[s["blank"], 2] = 1.0
    hold[s["last"], 1] = 4.0 * m * m
    readout = np.zeros((d, 2))
    readout[s["one"], 1] = 1.0  # logit of 1 is the share of real tokens, logit of 0 is 1/2
    one = eye[:, [s["one"]]]
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=m, positions=n),
            layers=(
                Attention(heads=1, key_width=2, value_width=1, residual=True),
                FeedForward(hidden=len(units), residual=True),
                Attention(heads=1, key_width=3, value_width=1),
            ),
            readout=Readout(2),
            blank=True,
            residual=RESIDUAL.parts,
        ),
        {
            "embed.token": token,
            "embed.position": place,
            "embed.blank": blank,
            "layers.0.query": query[None],
            "layers.0.key": key[None],
            "layers.0.value": eye[None, :, [s["number"]]],
            "layers.0.output": eye[None, [s["following"]]],
            **units.tensors(1),
            "layers.2.query": ask[None],
            "layers.2.key": hold[None],
            "layers.2.value": one[None],
            "layers.2.output": one.T[None],
            "readout.weight": readout,
            "readout.bias": np.array([0.5, 0.0]),
        },
    )
