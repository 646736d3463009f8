"""Exact ranks of 0/1 matrices: over GF(2) on packed words, and modulo a prime; both bound the rank over the rationals.

A rank modulo p never exceeds the rank over the rationals, so either may be used for a bound; GF(2) alone is hopeless on
inner products. Numba compiles the eliminations on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from separatrix.core.errors import InputError

PRIME = 1_048_573  # the largest below 2^20
BLOCK = 64


def pack(bits: np.ndarray) -> np.ndarray:
    """(rows, ceil(columns / 64)) words of a 0/1 matrix.

    >>> pack(np.array([[1, 0, 1]])).tolist()
    [[5]]
    """
    rows, columns = bits.shape
    padded = np.zeros((rows, -(-columns // 64) * 64), dtype=np.uint8)
    padded[:, :columns] = bits
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


def rank_gf2(bits: np.ndarray) -> int:
    """The rank of a 0/1 matrix over GF(2)."""
    if bits.size == 0:
        return 0
    return int(_eliminate_gf2()(pack(bits if len(bits) <= bits.shape[1] else bits.T).copy()))


def rank_mod(matrix: np.ndarray, prime: int = PRIME) -> int:
    """The rank of an integer matrix modulo a prime up to 2^20."""
    return len(factor_mod(matrix, prime)[0])


def factor_mod(matrix: np.ndarray, prime: int = PRIME) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(rows, columns, L, U): matrix[rows][:, columns] = L U modulo the prime, as large as the rank.

    L is lower triangular with ones on the diagonal, U upper triangular with none that is 0. Blocked elimination in
    float64: sums of BLOCK products below 2^40 are exact.
    """
    if not 2 <= prime <= 2**20:
        raise InputError(f"modulus {prime}: take a prime up to 2^20")
    work = np.mod(matrix if matrix.dtype == object else matrix.astype(np.int64), prime).astype(np.float64)
    m, n = work.shape
    order, columns = np.arange(m), np.zeros(min(m, n), dtype=np.int64)
    lower, rank = np.zeros((m, min(m, n))), 0
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        panel = work[rank:, start:stop].copy()
        moved, found, factors = _eliminate_mod()(panel, float(prime))
        k = len(found)
        if k:
            order[rank:], lower[rank:, :rank] = order[rank:][moved], lower[rank:, :rank][moved]
            work[rank:, stop:] = work[rank:, stop:][moved]
            work[rank:, start:stop] = panel
            lower[rank:, rank : rank + k], columns[rank : rank + k] = factors[:, :k], start + found
            top = work[rank : rank + k, stop:]
            for i in range(1, k):
                top[i] = _mod(top[i] - factors[i, :i] @ top[:i], prime)
            work[rank + k :, stop:] = _mod(work[rank + k :, stop:] - factors[k:, :k] @ top, prime)
            rank += k
        if rank == m:
            break
    columns = columns[:rank]
    upper = work[:rank][:, columns]
    return order[:rank], columns, lower[:rank, :rank].astype(np.int64), np.triu(upper).astype(np.int64)


def _mod(x: np.ndarray, prime: int) -> np.ndarray:
    """x modulo the prime for floats that hold integers below 2^53."""
    x = x - np.floor(x * (1.0 / prime)) * prime
    x += (x < 0) * float(prime)
    return x - (x >= prime) * float(prime)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    import numba

    return numba.njit(function, cache=False)


@cache
def _eliminate_gf2() -> Callable[..., Any]:
    def eliminate(a: np.ndarray) -> int:
        """Forward elimination, column by column."""
        rows, words = a.shape
        rank = 0
        for word in range(words):
            for bit in range(64):
                mask = np.uint64(1) << np.uint64(bit)
                pivot = -1
                for i in range(rank, rows):
                    if a[i, word] & mask:
                        pivot = i
                        break
                if pivot < 0:
                    continue
                if pivot != rank:
                    for j in range(word, words):
                        a[pivot, j], a[rank, j] = a[rank, j], a[pivot, j]
                for i in range(pivot + 1, rows):
                    if a[i, word] & mask:
                        for j in range(word, words):
                            a[i, j] ^= a[rank, j]
                rank += 1
                if rank == rows:
                    return rank
        return rank

    return _compiled(eliminate)


@cache
def _eliminate_mod() -> Callable[..., Any]:
    def eliminate(a: np.ndarray, p: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Forward elimination in place: (new order of rows, columns of the pivots, factors with a unit diagonal)."""
        rows, columns = a.shape
        order, found, factors = np.arange(rows), np.zeros(columns, np.int64), np.zeros((rows, columns))
        rank, reciprocal = 0, 1.0 / p
        for column in range(columns):
            if rank == rows:
                break
            pivot = -1
            for i in range(rank, rows):
                if a[i, column] != 0.0:
                    pivot = i
                    break
            if pivot < 0:
                continue
            if pivot != rank:
                for j in range(columns):
                    a[pivot, j], a[rank, j] = a[rank, j], a[pivot, j]
                    factors[pivot, j], factors[rank, j] = factors[rank, j], factors[pivot, j]
                order[pivot], order[rank] = order[rank], order[pivot]
            inverse, base, power, q = 1, int(a[rank, column]), int(p) - 2, int(p)
            while power:
                if power & 1:
                    inverse = inverse * base % q
                base = base * base % q
                power >>= 1
            factors[rank, rank] = 1.0
            for i in range(rank + 1, rows):
                if a[i, column] != 0.0:
                    factor = float(int(a[i, column]) * inverse % q)
                    factors[i, rank] = factor
                    negative = p - factor
                    for j in range(column, columns):
                        v = a[i, j] + negative * a[rank, j]
                        v -= np.floor(v * reciprocal) * p
                        v = v + p if v < 0.0 else v
                        a[i, j] = v - p if v >= p else v
            found[rank] = column
            rank += 1
        return order, found[:rank].copy(), factors

    return _compiled(eliminate)
