"""The sum of n numbers of p bits: depth 1 with weights 2^p, depth 4 with weights below n (Hofmeister et al. 1991)."""

from __future__ import annotations

import numpy as np

from separatrix.depth.builder import Builder
from separatrix.depth.forms import Forms
from separatrix.depth.words import integer, telescoped_bit


def sum_bits(n: int, p: int) -> int:
    """Bits of the greatest sum."""
    return (n * (2**p - 1)).bit_length()


def add_large_weights(b: Builder, numbers: np.ndarray) -> Forms:
    """(bits,) forms of the sum's bits: bit j needs only the columns up to j, and is telescoped. One level.

    Args:
        numbers: (n, p) wires, lowest bit first.
    """
    n, p = numbers.shape
    bits = []
    for j in range(sum_bits(n, p)):
        kept = numbers[:, : min(j + 1, p)]
        weights = np.broadcast_to(2 ** np.arange(kept.shape[1]), kept.shape)
        bits.append(telescoped_bit(b, b.forms(kept.reshape(-1), weights.reshape(-1)), j, "add"))
    return Forms.stack(bits)


def add_small_weights(b: Builder, numbers: np.ndarray) -> Forms:
    """The same in four levels with weights below max(n, 2), thresholds below n^2.

    Level 1: the sum of a block of ceil(log2 n) columns has twice as many bits, so the sums of even blocks stand side
    by side as one number, those of odd blocks as another. Levels 2 to 4 add these two: both, either (2); a carry
    generated at j and propagated up to i (3), where "propagate" is exactly-one, so that at most one j holds and the
    carry is a form; and the parity of propagate and carry (4).
    """
    n, p = numbers.shape
    size, total = max(1, (n - 1).bit_length()), sum_bits(n, p)
    rows: list[list[Forms | None]] = [[None] * total, [None] * total]
    for block, start in enumerate(range(0, p, size)):
        part = numbers[:, start : start + size]
        width = part.shape[1]
        for j in range(min(sum_bits(n, width), total - start)):
            kept = part[:, : min(j + 1, width)]
            weights = np.broadcast_to(2 ** np.arange(kept.shape[1]), kept.shape)
            form = b.forms(kept.reshape(-1), weights.reshape(-1))
            rows[block % 2][start + j] = telescoped_bit(b, form, j, "block")
    generate: list[np.ndarray | None] = []
    propagate: list[Forms | None] = []
    for x, y in zip(*rows, strict=True):
        if x is not None and y is not None:
            pair = b.add([(1, x), (1, y)])
            two, one = b.gate(pair, 2, "generate"), b.gate(pair, 1, "propagate")
            generate.append(two)
            propagate.append(b.forms(np.stack([one, two]), [1, -1], 0, 0, 1))
        else:
            generate.append(None)
            propagate.append(x if x is not None else y)
    bits = []
    for i in range(total):
        carries = []
        for j in range(i):
            made, between = generate[j], propagate[j + 1 : i]
            if made is not None and None not in between:
                chain = b.add([(1, b.forms(made[None])), *((1, x) for x in between if x is not None)])
                carries.append(b.gate(chain, i - j, "carry"))
        here = propagate[i]
        carry = b.forms(np.stack(carries), 1, 0, 0, 1) if carries else Forms.constant(0)
        both = b.add([(1, carry)] if here is None else [(1, here), (1, carry)])
        if not carries:
            bits.append(both)
            continue
        top = b.gate(both, np.array([1, 2]), "sum")
        bits.append(b.forms(top, [1, -1], 0, 0, 1))
    return Forms.stack(bits)


def dot(b: Builder, left: np.ndarray, right: np.ndarray) -> Forms:
    """sum_k left_k right_k of (d, p) bit wires as one form: one level of ANDs."""
    d, p = left.shape
    gates = b.both(left[:, :, None], right[:, None, :], "product")
    weights = np.broadcast_to(2 ** np.add.outer(np.arange(p), np.arange(p)), (d, p, p))
    return b.forms(gates.reshape(-1), weights.reshape(-1))


def value(b: Builder, numbers: np.ndarray) -> Forms:
    """The sum itself as a form: no level."""
    return b.add([(1, integer(b, row)) for row in numbers])
