"""Match3Local in one layer: copy the window, one slot a number, and try all its pairs.

Sanford, Hsu, Telgarsky 2023 (Match3Local has depth 1, with keys that pick out any 2K + 1 tokens). Windows are easier
than other sets: with u = j - c the polynomial u^2 (u^2 - 1^2) .. (u^2 - K^2) vanishes on the window around c and is
positive on all other integers, so the powers t .. t^(2K + 2) do for keys. Position j brings x_j into slot
j mod (2K + 1) of 2K + 1; the feed-forward layer adds x_i and any two slots and raises a flag where the sum is 0, M or
2M. At the borders the window that is copied stays inside, and the slots that are too far away are closed.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.flag_units import Units
from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.match3_local import Match3Local

MOST_CELLS = 2**19  # what the kernel checks in a minute or two: the words of N windows
MOST_SCORE = 2**40  # N^(2K + 2): scores must be known to a small fraction of 1


def _residual(window: int) -> Residual:
    w, powers = 2 * window + 1, 2 * window + 2
    return Residual.of(number=1, flag=1, slots=w, here=w, near=w, closed=w, query=powers, powers=powers)


def size(task: Match3Local, n: int) -> Size:
    """One layer of one head between two feed-forward layers. InputError where the construction does not reach."""
    task.domain(n)
    m, k, w = task.modulus, task.window, 2 * task.window + 1
    require(n >= w, f"match3-local-one-layer: N = {n}, K = {k}; take N from {w} on")
    require(
        m**w * n <= MOST_CELLS and n ** (2 * k + 2) <= MOST_SCORE,
        f"match3-local-one-layer: M = {m}, K = {k}, N = {n}; take N M^(2K + 1) up to {MOST_CELLS} "
        f"and N^(2K + 2) up to 2^{MOST_SCORE.bit_length() - 1}",
    )
    d, hidden = _residual(k).width, 9 * w * (w + 1) // 2
    parameters = (m + n) * d + (2 * d + 1) * (w + hidden) + 2 * d + 2 * d * (2 * k + 2) + 2 * d * w + 2 * d + 2
    return Size(1, 1, d, 2 * k + 2, w, n, None, parameters, Precision(64, "stored"))


@witness(
    "match3-local-one-layer",
    task="match3-local",
    source="Sanford, Hsu, Telgarsky 2023, Match3Local in depth 1, with keys for windows",
    formula="1 layer of 1 head, W = 2K + 1, key width W + 1, value width W, width 6W + 4, "
    "W and 9W(W + 1)/2 hidden units, 64 stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to N^(2K + 2) for a fixed K
)
def build(task: Match3Local, n: int) -> Model:
    """A number that is copied is off by 1/16 at most, a sum of two by 1/8: flags are 3/4 or more, or 0."""
    size(task, n)
    m, k, w = task.modulus, task.window, 2 * task.window + 1
    residual = _residual(k)
    d, eye = residual.width, np.eye(residual.width)
    s = {name: residual.slice(name) for name, _, _ in residual.parts}
    number, flag = s["number"].start, s["flag"].start

    i = np.arange(n)
    middle = (n - 1) // 2
    centre = np.clip(i, k, n - 1 - k)
    token, place = np.zeros((m, d)), np.zeros((n, d))
    token[:, number] = np.arange(m)
    place[i, s["here"].start + i % w] = 1.0
    for slot in range(w):  # the position of the copied window that lands in the slot
        there = centre - k + (slot - centre + k) % w
        place[:, s["closed"].start + slot] = np.abs(there - i) > k

    # score = -eta p(j - c), p = 0 on the window and p >= p(K + 1) elsewhere, by powers of t = j - middle; all others
    # together weigh 4 e^(-eta p(K + 1)) / W <= 1 / (16 (W + 1) M)
    p = np.polynomial.Polynomial([0.0, 0.0, 1.0])
    for step in range(1, k + 1):
        p = p * np.polynomial.Polynomial([-float(step * step), 0.0, 1.0])
    eta = 2.0 ** math.ceil(math.log2(math.log(64 * (w + 1) * m / w) / float(p(k + 1.0))))
    place[:, s["powers"]] = np.power.outer(i - middle, np.arange(1, 2 * k + 3)).astype(np.float64)
    for row in range(n):
        shifted = p(np.polynomial.Polynomial([-float(centre[row] - middle), 1.0]))
        place[row, s["query"]] = -eta * np.array(shifted.coef[1:], dtype=np.float64)

    slots = Units(d)
    for slot in range(w):
        slots.relu({number: 1.0, s["here"].start + slot: float(m)}, -float(m), {s["slots"].start + slot: 1.0})
    pairs = Units(d)
    for a in range(w):
        for b in range(a, w):
            reads = {number: 1.0}
            for slot in (a, b):  # W times the share of a slot is its number; a closed one makes the sum negative
                for name, weight in (("near", float(w)), ("closed", -4.0 * m)):
                    at = s[name].start + slot
                    reads[at] = reads.get(at, 0.0) + weight
            for target in (0, m, 2 * m):  # a tent of height 1 and half width 1/2
                for shift, height in ((0.5, 2.0), (0.0, -4.0), (-0.5, 2.0)):
                    pairs.relu(reads, shift - target, {flag: height})

    readout = np.zeros((d, 2))
    readout[flag, 1] = 1.0
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=m, positions=n),
            layers=(
                FeedForward(hidden=len(slots), residual=True),
                Attention(heads=1, key_width=2 * k + 2, value_width=w, residual=True),
                FeedForward(hidden=len(pairs), residual=True),
            ),
            readout=Readout(2),
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.position": place,
            **slots.tensors(0),
            "layers.1.query": eye[None, :, s["query"]],
            "layers.1.key": eye[None, :, s["powers"]],
            "layers.1.value": eye[None, :, s["slots"]],
            "layers.1.output": eye[None, s["near"], :],
            **pairs.tensors(2),
            "readout.weight": readout,
            "readout.bias": np.array([0.375, 0.0]),
        },
    )
