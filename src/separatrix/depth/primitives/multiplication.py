"""Products: of two numbers by p^2 ANDs and one addition; of many by Chinese remainders (Hesse et al. 2002)."""

from __future__ import annotations

from math import prod

import numpy as np

from separatrix.depth.builder import FALSE, Builder
from separatrix.depth.forms import Forms
from separatrix.depth.primitives.addition import add_small_weights
from separatrix.depth.rows import exact
from separatrix.depth.words import function, integer, lookup, steps, telescoped_bit


def multiply(b: Builder, left: np.ndarray, right: np.ndarray) -> Forms:
    """(bits,) forms of left * right: ANDs, then every bit telescoped from the columns below it. Two levels."""
    p, q = len(left), len(right)
    gates = b.both(left[:, None], right[None, :], "product")
    column = np.add.outer(np.arange(p), np.arange(q))
    bits = []
    for j in range(p + q):
        low = column <= j
        bits.append(telescoped_bit(b, b.forms(gates[low], 2 ** column[low]), j, "add"))
    return Forms.stack(bits)


def multiply_small_weights(b: Builder, left: np.ndarray, right: np.ndarray) -> Forms:
    """The same with weights polynomial in p: ANDs, then the block-save addition of p shifted numbers. Five levels."""
    p, q = len(left), len(right)
    gates = b.both(left[:, None], right[None, :], "product")
    shifted = np.full((p, p + q), FALSE, dtype=np.int64)
    for k in range(p):
        shifted[k, k : k + q] = gates[k]
    return add_small_weights(b, shifted)[: p + q]


def product(b: Builder, numbers: np.ndarray) -> Forms:
    """(m p,) forms of the bits of the product of (m, p) bit wires, in four levels.

    Level 1: thermometers of the factors, or for every prime q of sum_k (2^k mod q) bit_k where these are fewer gates
    (so that there are polynomially many in m and p); hence the discrete logarithm of x_i mod q as a form (a multiple of
    q gets a number so negative that no sum reaches 0). Level 2: the sum of logarithms gives the residue.
    Levels 3 and 4: `from_residues`.
    """
    m, p = numbers.shape
    primes = primes_beyond(2 ** (m * p))
    digits = {q: np.array([pow(2, k, q) for k in range(p)]) for q in primes}
    whole_ones = 2**p - 1 <= sum(int(digit.sum()) for digit in digits.values())
    ones = [steps(b, integer(b, row), np.arange(1, 2**p), "factor") for row in numbers] if whole_ones else []
    residues: Residues = []
    for q in primes:
        logs = _logarithms(q)
        zero = -(m * (q - 2) + 1)
        most = int(digits[q].sum())
        factors = ones or [steps(b, b.forms(row, digits[q]), np.arange(1, most + 1), "factor") for row in numbers]
        table = [zero if x % q == 0 else logs[x % q] for x in range(2**p if ones else most + 1)]
        total = b.add([(1, lookup(b, wires, table)) for wires in factors])
        top = m * (q - 2)
        wires = steps(b, total, np.arange(0, top + 1), "residue", (-1, -1, -1, -1, q))
        root = _root(q)
        residues.append((q, wires, [0] + [pow(root, v, q) for v in range(top + 1)]))
    return from_residues(b, residues, range(m * p))


Residues = list[tuple[int, np.ndarray, list[int]]]  # prime, thermometer wires, the residue at each of its values


def from_residues(b: Builder, residues: Residues, places: range) -> Forms:
    """Some of the bits of the number below the product P of all primes with these residues, in two levels.

    S = sum_q c_q residue_q is the number plus R P; first R = sum_k [S >= k P], then bit j of S - R P, all numbers
    reduced mod 2^(j+1) beforehand.
    """
    whole = prod(q for q, _, _ in residues)
    chinese = {q: whole // q * pow(whole // q, -1, q) for q, _, _ in residues}

    def weighted(modulus: int) -> Forms:
        parts = [
            (1, lookup(b, wires, [chinese[q] * r % whole % modulus for r in values])) for q, wires, values in residues
        ]
        return b.add(parts)

    wraps = steps(b, weighted(whole), exact([k * whole for k in range(1, len(residues))]), "rank")
    bits = []
    for j in places:
        modulus = 2 ** (j + 1)
        back = b.forms(wraps, -whole % modulus)
        bits.append(telescoped_bit(b, b.add([(1, weighted(modulus)), (1, back)]), j, "bit"))
    return Forms.stack(bits)


def unary(b: Builder, number: np.ndarray, table: list[int]) -> Forms:
    """table[x] of a p-bit number: one level."""
    return function(b, integer(b, number), table, "table")


def binary(b: Builder, left: np.ndarray, right: np.ndarray, table: np.ndarray) -> Forms:
    """table[x, y] of two p-bit numbers: two thermometers, then ANDs of their steps with the mixed differences."""
    table = np.asarray(table)
    x = steps(b, integer(b, left), np.arange(1, len(table)), "table")
    y = steps(b, integer(b, right), np.arange(1, table.shape[1]), "table")
    mixed = np.diff(np.diff(table, axis=0), axis=1)
    used = mixed != 0
    gates = b.both(x[:, None], y[None, :], "table")
    cross = b.forms(gates[used], mixed[used])
    rows, columns = b.forms(x, np.diff(table[:, 0])), b.forms(y, np.diff(table[0]))
    parts = [(1, cross), (1, rows), (1, columns)]
    return b.add(parts, int(table[0, 0]), int(table.min()), int(table.max()))


def primes_beyond(bound: int) -> list[int]:
    """The least odd primes whose product exceeds `bound`."""
    found: list[int] = []
    candidate = 3
    while prod(found) <= bound:
        if all(candidate % q for q in found):
            found.append(candidate)
        candidate += 2
    return found


def _root(q: int) -> int:
    """The least primitive root of a prime."""
    return next(g for g in range(1, q) if len({pow(g, k, q) for k in range(q - 1)}) == q - 1)


def _logarithms(q: int) -> dict[int, int]:
    root = _root(q)
    return {pow(root, k, q): k for k in range(q - 1)}
