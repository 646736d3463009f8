"""Randomised equality in O(log N) bits of state: a ReLU recurrence that keeps a sum modulo a prime.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 11 asks N/2 bits of every recurrent model that is always right;
randomised protocols for equality take O(log N) (their Section 3; Rabin and Yao). For each prime there is one model. It
computes `fingerprint` on every input, which the kernel proves; that a random prime decides equality is counting, done
exactly in `mistakes`: the difference of two halves of m bits is below 2^m, so it has few prime factors.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from separatrix.can.codes import odd_primes
from separatrix.can.witness import require, witness
from separatrix.core.arch import Readout, Residual, Table
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Recurrent
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.fingerprint import MOST_STATES, Fingerprint

NAME = "fingerprint-elman"


def primes(least: int) -> list[int]:
    """The primes from `least` to twice as much, `least` > 2: what a random one is drawn from."""
    found = []
    for prime in odd_primes(least):
        if prime > 2 * least:
            return found
        found.append(prime)
    return found


def mistakes(n: int, least: int) -> Fraction:
    """Above the share of `primes(least)` for which two given, different halves of n/2 bits pass for equal.

    t different primes that divide their difference D, each `least` or more, have least^t <= |D| <= 2^(n/2) - 1.

    >>> mistakes(32, 1024), mistakes(256, 65536)
    (Fraction(1, 137), Fraction(7, 5709))
    """
    largest, t = 2 ** (n // 2) - 1, 0
    while least ** (t + 1) <= largest:
        t += 1
    return Fraction(t, len(primes(least)))


def worst_pair(n: int, least: int) -> Fraction:
    """The share for the worst pair of halves, by counting for every difference: n up to 40."""
    require(n <= 40, f"worst_pair: n = {n}; take up to 40")
    hits = np.zeros(2 ** (n // 2), dtype=np.int16)
    for prime in primes(least):
        hits[prime::prime] += 1  # differences are not 0
    return Fraction(int(hits.max()), len(primes(least)))


def _bits(task: Fingerprint) -> int:
    """Of a number of the state: sums reach 2 prime - 2, and there is a sign."""
    return math.ceil(math.log2(2 * task.prime)) + 1


def size(task: Fingerprint, n: int) -> Size:
    """Two layers; three numbers that count and two that stay 0, of log2(prime) + 2 bits each."""
    task.domain(n)
    require((n + 1) * task.prime <= MOST_STATES, f"{NAME}: (N + 1) prime = {(n + 1) * task.prime}; up to {MOST_STATES}")
    parameters = (2 + n) * 2 + (4 + 2 + 2 + 2 + 2 + 1 + 2) + (3 + 3 + 9 + 3) + 8
    return Size(
        layers=2,
        width=2,
        tokens=n,
        state_numbers=5,
        parameters=parameters,
        precision=Precision(_bits(task), "fixed"),
    )


@witness(
    NAME,
    task="fingerprint",
    arch="rnn",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 (randomised equality); the model is ours",
    formula="a gate and a ReLU recurrence, 5 numbers of ⌈log₂ 2p⌉ + 1 bits for the prime p; randomised for equality: "
    "wrong for a share of at most ⌊(N/2) / log₂ N²⌋ / #primes of the primes of [N², 2N²]",
    size=size,
    method="automaton",
    growth="log",  # with p about N^2
)
def build(task: Fingerprint, n: int) -> Model:
    """Layer 1 is no recurrence: relu(w_t + p x - p) is the weight of the position where the bit is 1, else 0.

    Layer 2: a = relu(h + w), e = relu(h + w - p + 1), f = relu(h + w - p), with h = a - p (e - f) the residue, read
    off the last state: e - f says whether the sum has reached p.
    """
    size(task, n)
    p = float(task.prime)
    stream = Residual.of(bit=1, weight=1)
    place = np.zeros((n, 2))
    place[:, 1] = task.weights(n)
    residue = np.array([1.0, -p, p])
    return Model(
        Recurrent(
            width=stream.width,
            first=Table(2, n),
            layers=(DiagonalSsm(1, 1), Elman(3)),
            readout=Readout(2),
            state=FixedPoint(_bits(task), 0),
        ),
        {
            "embed.token": np.array([[0.0, 0.0], [1.0, 0.0]]),
            "embed.position": place,
            "layers.0.in": np.zeros((2, 2)),
            "layers.0.bias": np.zeros(2),
            "layers.0.diagonal": np.zeros((2, 1)),
            "layers.0.out": np.zeros((2, 1)),
            "layers.0.skip": np.array([[p], [1.0]]),
            "layers.0.out_bias": np.array([-p]),
            "layers.0.start": np.zeros(2),
            "layers.1.in": np.ones((1, 3)),
            "layers.1.bias": np.array([0.0, 1.0 - p, -p]),
            "layers.1.recurrent": np.tile(residue[:, None], (1, 3)),
            "layers.1.start": np.zeros(3),
            "readout.weight": np.stack([residue, np.zeros(3)], axis=1),
            "readout.bias": np.array([0.0, 0.5]),
        },
    )
