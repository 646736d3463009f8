"""Sparse averaging by chirp keys, right for every pointer set by a Babel bound (Tropp 2004).

Sanford, Hsu, Telgarsky 2023, Theorem 2, with an explicit code: the dual certificate w = U_y^T (U_y U_y^T)^-1 1
scores 1 on the pointers. With mu(r) the greatest sum of r absolute inner products of a key with others, every other key
scores at most mu(q) / (|u|^2 - mu(q - 1)), whatever the set. Inner products are at most 1/sqrt(P), so P >= (3q - 1)^2
makes that 1/2; width O(q^2) for N <= q^4.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from separatrix.can.codes import chirp_coherence, chirps, odd_primes, slack
from separatrix.can.pointer_parts import pointer_model, pointer_size, temperature
from separatrix.can.witness import require, witness
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.sparse_averaging import SparseAveraging

OFF = 0.5  # what others may score


def off_score(n: int, q: int, prime: int) -> float:
    """The Babel bound of the first N chirps, with the last of their bases filled up; infinite where it is void.

    <z_{a,b}, z_{a',b'}> = Re sum_t e^(2 pi i ((a - a') t^2 + (b - b') t)/P) / P depends on differences only and is a
    Fourier transform in b; equal a are orthogonal. What the grid adds is at most `slack` an inner product.
    """
    bases = -(-n // prime)
    t = np.arange(prime)
    change = np.arange(1, bases)[:, None] * (t * t % prime) % prime
    inner = np.abs(np.fft.fft(np.exp(2j * np.pi * change / prime), axis=1).real) / prime  # (difference of a, of b)
    greatest = np.zeros(2)  # sums of q and of q - 1
    for a in range(bases):
        others = np.concatenate([inner[:a].ravel(), inner[: bases - 1 - a].ravel(), np.zeros(q)])
        top = np.sort(np.partition(others, len(others) - q)[-q:])
        greatest = np.maximum(greatest, [top.sum(), top[1:].sum()])
    extra = slack(2 * prime)
    norm = 1 - extra - (greatest[1] + (q - 1) * extra)
    return (greatest[0] + q * extra) / norm if norm > 0 else math.inf


def coherence_score(q: int, prime: int) -> float:
    """The Babel bound with every inner product at its greatest: what any number of chirps stays below."""
    mu = chirp_coherence(prime)
    norm = 1 - slack(2 * prime) - (q - 1) * mu
    return q * mu / norm if norm > 0 else math.inf


@functools.cache
def prime(n: int, q: int) -> int:
    """The least odd prime P >= sqrt(N) whose Babel bound is at most 1/2; 0 when 2P would exceed N."""
    for p in odd_primes(math.isqrt(n - 1) + 1):
        if 2 * p > n:
            return 0
        if coherence_score(q, p) <= OFF or off_score(n, q, p) <= OFF:
            return p
    raise AssertionError("there are infinitely many primes")


def width(task: SparseAveraging, n: int) -> int:
    """2P; InputError where one-hot keys are narrower."""
    task.domain(n)
    p = prime(n, task.q)
    require(
        p > 0,
        f"sparse-averaging-chirp: N = {n}, q = {task.q}: no chirp code of width up to N has a Babel bound; "
        "sparse-averaging-onehot is narrower",
    )
    return 2 * p


def size(task: SparseAveraging, n: int) -> Size:
    """One head of key width 2P; width = dim + 4 P."""
    return pointer_size(task, n, width(task, n), Precision(32, "stored"))


@witness(
    "sparse-averaging-chirp",
    task="sparse-averaging",
    source="Sanford, Hsu, Telgarsky 2023, Theorem 2, with chirp codes and a Babel certificate",
    formula="1 head, key width 2P, value width d, width d + 4P, 32 stored bits; "
    "P the least odd prime with a Babel bound, at most about max(√N, (3q−1)²)",
    size=size,
    method="pointer-sets",
)
def build(task: SparseAveraging, n: int) -> Model:
    """The temperature pays for the Babel bound: gap = 1 - off score."""
    p = width(task, n) // 2
    alpha = temperature(task, n, gap=1 - off_score(n, task.q, p))
    return pointer_model(task, "least-norm", chirps(n, p), alpha)
