"""The evaluator's inner loops, compiled by numba when first used (plain Python functions otherwise).

A row is `words` 64-bit words: one wire, or one bit plane of a form, on 64 * words inputs at once.
"""

from __future__ import annotations

import numpy as np

THRESHOLD, AND, OR, ALWAYS, NEVER = 0, 1, 2, 3, 4
FULL = np.uint64(0xFFFFFFFFFFFFFFFF)


def run_block(
    data: np.ndarray, carry: np.ndarray, planes: np.ndarray,
    width: np.ndarray, store: np.ndarray, const_ptr: np.ndarray, const: np.ndarray,
    entry_ptr: np.ndarray, entry_row: np.ndarray, entry_mask: np.ndarray, entry_column: np.ndarray,
    gate_ptr: np.ndarray, gate_row: np.ndarray, gate_kind: np.ndarray, gate_bit_ptr: np.ndarray, gate_bit: np.ndarray,
) -> None:  # fmt: skip
    """All forms and gates of a circuit, front to back, on one block of inputs.

    Args:
        data: (rows, words): wires, then the bit planes of forms that are kept.
        carry: (2, carries, words) and planes: (widest form, words): working space.
        width: (forms,) bit planes to compute, 0 when only gates of kind AND or OR read the form.
        store: (forms,) first row of the planes in `data`, -1 when they are not kept.
        const: bits of the constant of each form, lowest first, from const_ptr.
        entry_*: for each form the rows added, by increasing column; mask FULL adds the complement.
        gate_*: for each form its gates: row to write, kind, and for thresholds their bits from gate_bit_ptr.
    """
    words = data.shape[1]
    for f in range(len(width)):
        low, high = entry_ptr[f], entry_ptr[f + 1]
        bits = width[f]
        if bits > 0:
            e, waiting, now = low, 0, 0
            for column in range(bits):
                start = e
                while e < high and entry_column[e] == column:
                    e += 1
                total, last = (e - start) + waiting, column == bits - 1
                fill = FULL if const[const_ptr[f] + column] else np.uint64(0)
                k, out = 0, 0
                for w in range(words):
                    planes[column, w] = fill
                while k < total:
                    if k < e - start:
                        a, am = data[entry_row[start + k]], entry_mask[start + k]
                    else:
                        a, am = carry[now, k - (e - start)], np.uint64(0)
                    if k + 1 == total:
                        if last:
                            for w in range(words):
                                planes[column, w] ^= a[w] ^ am
                        else:
                            for w in range(words):
                                x, s = a[w] ^ am, planes[column, w]
                                carry[1 - now, out, w] = x & s
                                planes[column, w] = x ^ s
                            out += 1
                        break
                    if k + 1 < e - start:
                        b, bm = data[entry_row[start + k + 1]], entry_mask[start + k + 1]
                    else:
                        b, bm = carry[now, k + 1 - (e - start)], np.uint64(0)
                    if last:
                        for w in range(words):
                            planes[column, w] ^= a[w] ^ am ^ b[w] ^ bm
                    else:
                        for w in range(words):
                            x, y, s = a[w] ^ am, b[w] ^ bm, planes[column, w]
                            u = x ^ y
                            carry[1 - now, out, w] = (x & y) | (u & s)
                            planes[column, w] = u ^ s
                        out += 1
                    k += 2
                waiting, now = out, 1 - now
            if store[f] >= 0:
                for column in range(bits):
                    for w in range(words):
                        data[store[f] + column, w] = planes[column, w]
        for g in range(gate_ptr[f], gate_ptr[f + 1]):
            row, kind = gate_row[g], gate_kind[g]
            if kind == 0:
                for w in range(words):
                    data[row, w] = FULL
                for k in range(bits):
                    if gate_bit[gate_bit_ptr[g] + k]:
                        for w in range(words):
                            data[row, w] &= planes[k, w]
                    else:
                        for w in range(words):
                            data[row, w] |= planes[k, w]
            elif kind == 1:
                a, am = data[entry_row[low]], entry_mask[low]
                if high - low == 2:
                    b, bm = data[entry_row[low + 1]], entry_mask[low + 1]
                    for w in range(words):
                        data[row, w] = (a[w] ^ am) & (b[w] ^ bm)
                else:
                    for w in range(words):
                        data[row, w] = a[w] ^ am
                    for e in range(low + 1, high):
                        b, bm = data[entry_row[e]], entry_mask[e]
                        for w in range(words):
                            data[row, w] &= b[w] ^ bm
            elif kind == 2:
                a, am = data[entry_row[low]], entry_mask[low]
                for w in range(words):
                    data[row, w] = a[w] ^ am
                for e in range(low + 1, high):
                    b, bm = data[entry_row[e]], entry_mask[e]
                    for w in range(words):
                        data[row, w] |= b[w] ^ bm
            else:
                fill = FULL if kind == 3 else np.uint64(0)
                for w in range(words):
                    data[row, w] = fill
