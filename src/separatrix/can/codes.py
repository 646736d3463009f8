"""Codes: many vectors of norm nearly 1 with small inner products, stored on a grid that float32 holds exactly.

`random_signs`: independent entries +-1/sqrt(k) (Bhattamishra et al. 2024, Lemma 2). `chirps`: for an odd prime P the
P^2 vectors z_{a,b}[t] = exp(2 pi i (a t^2 + b t) / P) / sqrt(P), as pairs of reals in R^{2P}; two of them with equal a
are orthogonal, and a Gauss sum makes every other inner product at most 1/sqrt(P) in absolute value.

Rounding to the grid moves a vector of k entries by at most 2^-21 sqrt(k), so norms are not exactly 1: whoever uses a
code takes its measured inner products, or adds `slack`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from separatrix.core.seeds import child

GRID = 2.0**-20  # entries are at most 1: 21 bits, float32 has 24
BLOCK = 1024


def on_grid(values: np.ndarray) -> np.ndarray:
    """The nearest multiples of 2^-20, float32 (exact for entries below 16)."""
    return (np.rint(values / GRID) * GRID).astype(np.float32)


def random_signs(count: int, width: int, seed: int = 0) -> np.ndarray:
    """(count, width) float32: signs over sqrt(width), the same for the same arguments."""
    signs = child(seed, "random-signs", count, width).integers(0, 2, (count, width), dtype=np.int8)
    return (2 * signs.astype(np.float32) - 1) * on_grid(np.array(1 / math.sqrt(width)))


def chirps(count: int, prime: int) -> np.ndarray:
    """(count, 2 * prime) float32: the first of the P^2 chirps, all b of a = 0 first; count <= prime^2."""
    if count > prime**2 or prime < 3 or not is_prime(prime):
        raise ValueError(f"there are P^2 chirps for an odd prime P, not {count} for P = {prime}")
    t = np.arange(prime, dtype=np.int64)
    unit = 2 * np.pi * t / prime
    table = on_grid(np.stack([np.cos(unit), np.sin(unit)]) / math.sqrt(prime))
    codes = np.empty((count, 2 * prime), dtype=np.float32)
    for start in range(0, count, BLOCK):
        a, b = np.divmod(np.arange(start, min(start + BLOCK, count))[:, None], prime)
        phase = (a * t % prime + b) * t % prime
        codes[start : start + BLOCK, :prime] = table[0][phase]
        codes[start : start + BLOCK, prime:] = table[1][phase]
    return codes


def chirp_coherence(prime: int) -> float:
    """Greatest inner product of two distinct stored chirps: 1/sqrt(P) and what the grid adds."""
    return 1 / math.sqrt(prime) + slack(2 * prime)


def slack(width: int) -> float:
    """How much the grid can change an inner product of two unit vectors of `width` entries, or a squared norm."""
    moved = GRID / 2 * math.sqrt(width)
    return 2 * moved + moved**2


def coherence(codes: np.ndarray) -> float:
    """Greatest signed inner product of two distinct rows, in float64; -inf for one row."""
    return max((float(block.max()) for block in _off_diagonal(codes)), default=-math.inf)


def least_norm(codes: np.ndarray) -> float:
    """Least squared norm of a row."""
    return float(np.einsum("ij,ij->i", codes, codes, dtype=np.float64).min())


def _off_diagonal(codes: np.ndarray) -> Iterator[np.ndarray]:
    """The Gram matrix in blocks of rows, its diagonal replaced by -inf."""
    wide = codes.astype(np.float64)
    for start in range(0, len(codes), BLOCK):
        block = wide[start : start + BLOCK] @ wide.T
        block[np.arange(len(block)), start + np.arange(len(block))] = -np.inf
        yield block


def is_prime(number: int) -> bool:
    """By trial division.

    >>> [p for p in range(20) if is_prime(p)]
    [2, 3, 5, 7, 11, 13, 17, 19]
    """
    return number >= 2 and all(number % d for d in range(2, math.isqrt(number) + 1))


def odd_primes(least: int) -> Iterator[int]:
    """Odd primes from `least` on."""
    number = max(3, least)
    while True:
        if number % 2 and is_prime(number):
            yield number
        number += 1
