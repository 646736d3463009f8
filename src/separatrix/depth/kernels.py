"""The evaluator's inner loops, compiled by numba when first used (plain Python functions otherwise).

A row is `words` 64-bit words: one wire, or one bit plane of a form, on 64 * words inputs at once.
"""

from __future__ import annotations

import numpy as np

THRESHOLD, AND, OR, ALWAYS, NEVER = 0, 1, 2, 3, 4
FULL = np.uint64(0xFFFFFFFFFFFFFFFF)


def run_block(
    data: np.ndarray, spare: int, carries: int,
    width: np.ndarray, store: np.ndarray, const_ptr: np.ndarray, const: np.ndarray,
    entry_ptr: np.ndarray, entry_row: np.ndarray, entry_mask: np.ndarray, entry_column: np.ndarray,
    gate_ptr: np.ndarray, gate_row: np.ndarray, gate_kind: np.ndarray, gate_bit_ptr: np.ndarray, gate_bit: np.ndarray,
) -> None:  # fmt: skip
    """All forms and gates of a circuit, front to back, on one block of inputs.

    Args:
        data: (rows, words): wires, the bit planes of forms that are kept, and from row `spare` on working space: two
            times `carries` rows, then the planes of the form at hand. (One array, since views cost more than sums.)
        width: (forms,) bit planes to compute, 0 when only gates of kind AND or OR read the form.
        store: (forms,) first row of the planes in `data`, -1 when they are not kept.
        const: bits of the constant of each form, lowest first, from const_ptr.
        entry_*: for each form the rows added, by increasing column; mask FULL adds the complement.
        gate_*: for each form its gates: row to write, kind, and for thresholds their bits from gate_bit_ptr.
    """
    words, zero = data.shape[1], np.uint64(0)  # a range from 0: with another start the loops do not vectorise
    for f in range(len(width)):
        low, high = entry_ptr[f], entry_ptr[f + 1]
        bits = width[f]
        base = store[f] if store[f] >= 0 else spare + 2 * carries
        e, waiting, now = low, 0, 0
        for column in range(bits):
            start = e
            while e < high and entry_column[e] == column:
                e += 1
            own, last, acc = e - start, column == bits - 1, base + column
            total, lower, upper = own + waiting, spare + now * carries, spare + (1 - now) * carries
            fill = FULL if const[const_ptr[f] + column] else zero
            k, out = 0, 0
            for w in range(words):
                data[acc, w] = fill
            while k < total:
                if k < own:
                    a, am = entry_row[start + k], entry_mask[start + k]
                else:
                    a, am = lower + k - own, zero
                up = upper + out
                if k + 1 == total:  # a half adder
                    for w in range(words):
                        x, s = data[a, w] ^ am, data[acc, w]
                        data[up, w] = x & s
                        data[acc, w] = x ^ s
                    out += 1
                    break
                if k + 1 < own:
                    b, bm = entry_row[start + k + 1], entry_mask[start + k + 1]
                else:
                    b, bm = lower + k + 1 - own, zero
                if k + 4 > total:
                    if last:
                        for w in range(words):
                            data[acc, w] ^= data[a, w] ^ am ^ data[b, w] ^ bm
                    else:
                        for w in range(words):
                            x, y, s = data[a, w] ^ am, data[b, w] ^ bm, data[acc, w]
                            u = x ^ y
                            data[up, w] = (x & y) | (u & s)
                            data[acc, w] = u ^ s
                        out += 1
                    k += 2
                    continue
                if k + 2 < own:
                    c, cm = entry_row[start + k + 2], entry_mask[start + k + 2]
                else:
                    c, cm = lower + k + 2 - own, zero
                if k + 3 < own:
                    d, dm = entry_row[start + k + 3], entry_mask[start + k + 3]
                else:
                    d, dm = lower + k + 3 - own, zero
                if last:
                    flip = am ^ bm ^ cm ^ dm
                    for w in range(words):
                        data[acc, w] ^= data[a, w] ^ data[b, w] ^ data[c, w] ^ data[d, w] ^ flip
                else:  # two full adders in one pass
                    on = up + 1
                    for w in range(words):
                        x, y, s = data[a, w] ^ am, data[b, w] ^ bm, data[acc, w]
                        z, t = data[c, w] ^ cm, data[d, w] ^ dm
                        u, v = x ^ y, z ^ t
                        middle = u ^ s
                        data[up, w] = (x & y) | (u & s)
                        data[on, w] = (z & t) | (v & middle)
                        data[acc, w] = v ^ middle
                    out += 2
                k += 4
            waiting, now = out, 1 - now
        for g in range(gate_ptr[f], gate_ptr[f + 1]):
            row, kind = gate_row[g], gate_kind[g]
            if kind == 0:
                for w in range(words):
                    data[row, w] = FULL
                for k in range(bits):
                    plane = base + k
                    if gate_bit[gate_bit_ptr[g] + k]:
                        for w in range(words):
                            data[row, w] &= data[plane, w]
                    else:
                        for w in range(words):
                            data[row, w] |= data[plane, w]
            elif kind == 1:
                a, am = entry_row[low], entry_mask[low]
                if high - low == 2:
                    b, bm = entry_row[low + 1], entry_mask[low + 1]
                    for w in range(words):
                        data[row, w] = (data[a, w] ^ am) & (data[b, w] ^ bm)
                else:
                    for w in range(words):
                        data[row, w] = data[a, w] ^ am
                    for e in range(low + 1, high):
                        b, bm = entry_row[e], entry_mask[e]
                        for w in range(words):
                            data[row, w] &= data[b, w] ^ bm
            elif kind == 2:
                a, am = entry_row[low], entry_mask[low]
                for w in range(words):
                    data[row, w] = data[a, w] ^ am
                for e in range(low + 1, high):
                    b, bm = entry_row[e], entry_mask[e]
                    for w in range(words):
                        data[row, w] |= data[b, w] ^ bm
            else:
                fill = FULL if kind == 3 else zero
                for w in range(words):
                    data[row, w] = fill
