"""Division and exponential by power series: polynomially many gates in p, where tables have 2^p (Reif & Tate 1992).

A polynomial of one number costs three levels: its residue mod a prime q is a function of the number mod q, and so of
the small sum of (2^k mod q) bit_k; Chinese remainders do the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial

import numpy as np

from separatrix.depth.builder import FALSE, Builder
from separatrix.depth.forms import Forms
from separatrix.depth.primitives.multiplication import Residues, from_residues, primes_beyond
from separatrix.depth.rows import exact
from separatrix.depth.words import steps, telescoped_bit


def polynomial(
    b: Builder, bits: Forms, weights: Sequence[int], offset: int, coefficients: Sequence[int], most: int, places: range
) -> Forms:
    """Bits of sum_i coefficients[i] u^i for u = offset + sum_k weights[k] bits[k], three levels above the bits.

    Args:
        bits: (K,) forms of value 0 or 1.
        most: the polynomial's greatest value; its values are not negative.
    """
    residues: Residues = []
    for q in primes_beyond(most):
        small = [w % q for w in weights]
        top = sum(small) + offset % q
        wires = steps(
            b, b.dot(np.array(small), bits, offset % q), np.arange(1, top + 1), "residue", (-1, -1, -1, -1, q)
        )
        values = [0] * q
        for c in reversed(coefficients):
            values = [(v * u + c) % q for u, v in enumerate(values)]
        residues.append((q, wires, [values[v % q] for v in range(top + 1)]))
    return from_residues(b, residues, places)


def exponential_coefficients(p: int) -> tuple[list[int], int]:
    """(coefficients, shift): sum_i coefficients[i] u^i / 2^shift is 2^p e^(u / 2^p) for 0 <= u < 2^p, less than 1/2
    too small: the series up to 1 / (t + 1)! < 2^-(p + 4), every 1 / i! rounded down to 2 p + 4 places."""
    t, places = 1, 2 * p + 4
    while factorial(t + 1) < 2 ** (p + 4):
        t += 1
    return [(2**places // factorial(i)) << (p * (t - i)) for i in range(t + 1)], places + p * t - p


def exponential(b: Builder, number: np.ndarray) -> Forms:
    """(p + 2,) bits of the whole part of `exponential_coefficients`' polynomial, of (p,) bit wires. Three levels."""
    p = len(number)
    coefficients, shift = exponential_coefficients(p)
    most = sum(c * (2**p - 1) ** i for i, c in enumerate(coefficients))
    weights = [2**k for k in range(p)]
    return polynomial(b, b.forms(number[:, None]), weights, 0, coefficients, most, range(shift, shift + p + 2))


def divide(b: Builder, numbers: np.ndarray) -> Forms:
    """(p,) bits of floor(x / y) of (2, p) bit wires, 0 for y = 0, in seven levels.

    Level 1: where y's first 1 is. Level 2: y and x shifted up alike, so that 2^(p-1) <= y' < 2^p. Levels 3 to 5: the
    first p + 2 places of T = sum_{i <= t} u^i 2^(p (t - i)), u = 2^p - y' <= 2^(p-1), t = p + 1. The whole series is
    E = 2^(p t) 2^p / y', and E - T <= 2^(p t - t), so with two more in the last place, 2^(p t - p - 1), the places are
    too great, by two there at most. Levels 6 and 7: x' times that. It exceeds x / y by less than 1 / y, since
    x' < 2^(2p - 1) / 2^k and y < 2^(k + 1) where the first 1 is at k, so the whole part is right.
    """
    p = numbers.shape[1]
    t = p + 1
    x, y = numbers
    reached = steps(b, b.forms(y, 2 ** np.arange(p)), 2 ** np.arange(p), "first one")
    lead = b.add([(1, b.forms(reached[:, None])), (-1, b.forms(np.append(reached[1:], FALSE)[:, None]))])
    first = Forms(lead.ids, lead.offset, np.zeros_like(lead.low), np.ones_like(lead.high))

    def shifted(wires: np.ndarray, count: int) -> Forms:
        both = b.gate(b.add([(1, first[:, None]), (1, b.forms(wires[None, :, None]))]), 2, "shift")  # (k, place)
        place = np.add.outer(p - 1 - np.arange(p), np.arange(p))
        return Forms.stack([b.forms(both[place == a], 1, 0, 0, 1) for a in range(count)])

    high, low = shifted(x, 2 * p - 1), shifted(y, p)
    series = polynomial(b, low, [-(2**k) for k in range(p)], 2**p, [2 ** (p * (t - i)) for i in range(t + 1)],
                        2 ** (p * t + 1), range(p * t - p - 1, p * t + 1))  # fmt: skip
    ands = b.forms(b.gate(b.add([(1, high[:, None]), (1, series[None, :])]), 2, "product")[..., None])
    column = np.add.outer(np.arange(2 * p - 1), np.arange(p + 2)).reshape(-1)
    column = np.concatenate([column, np.arange(2 * p - 1) + 1])
    summands = Forms.concatenate([ands.reshape(-1), high])
    bits = []
    for j in range(2 * p + 1, 3 * p + 1):
        kept = column <= j
        bits.append(telescoped_bit(b, b.dot(exact(2 ** column[kept].astype(object)), summands[kept]), j, "quotient"))
    return Forms.stack(bits)
