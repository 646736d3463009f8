"""What a trained model of some accuracy must carry: Fano forms of the worst-case bounds, and their inverses."""

from __future__ import annotations

import math

from separatrix.core.errors import InputError


def binary_entropy(e: float) -> float:
    """h(e) in bits."""
    return 0.0 if e in (0.0, 1.0) else -e * math.log2(e) - (1 - e) * math.log2(1 - e)


def symbol_bits(symbols: int, accuracy: float) -> float:
    """Bits of a uniform symbol that a guess of this accuracy carries: log2 K - h(e) - e log2(K - 1), at least 0.

    >>> round(symbol_bits(64, 0.9), 2), round(symbol_bits(2, 0.9), 3)
    (4.93, 0.531)
    """
    if symbols < 2 or not 0.0 <= accuracy <= 1.0:
        raise InputError(f"accuracy {accuracy} of {symbols} symbols: take 0 to 1, and two symbols or more")
    e = 1.0 - accuracy
    if e >= 1.0 - 1.0 / symbols:  # no better than chance
        return 0.0
    return math.log2(symbols) - binary_entropy(e) - e * math.log2(symbols - 1)


def recall_bits(items: int, symbols: int, accuracy: float) -> float:
    """State bits of a model that answers a uniform query about `items` uniform symbols with this accuracy.

    Fano for each item, and concavity over the items (lookup: Bhattamishra et al. 2024, Theorem 3, averaged).
    """
    return items * symbol_bits(symbols, accuracy)


def guessed_bits(bits: int, wrong: float) -> float:
    """d (1 - h(e)) for d fair bits that are guessed with mean error e; 0 from e = 1/2 on."""
    return bits * (1.0 - binary_entropy(wrong)) if wrong < 0.5 else 0.0


def least_error(capacity: float, bits: float) -> float:
    """The mean error of any model with `capacity` bits on a code of so many bits: the e with h(e) = 1 - C/d.

    >>> [round(least_error(c, 1), 3) for c in (0.5, 0.75, 0.9)]
    [0.11, 0.042, 0.013]
    """
    if capacity >= bits:
        return 0.0
    low, high, least = 0.0, 0.5, 1.0 - max(0.0, capacity) / bits
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if binary_entropy(middle) < least else (low, middle)
    return low
