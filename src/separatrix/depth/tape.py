"""Writes the tape of a circuit (`kernels` says what a tape is): sums of rows, then the gates that read each sum.

This module loads numba; import it inside functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

SCRATCH = 3  # rows behind the planes of the form at hand: all zeros, all ones, and one that nobody reads


@njit(nogil=True, cache=True)
def _both(tape: np.ndarray, at: int, a: Any, b: Any, out: Any, flip: Any) -> int:
    if len(tape):
        tape[at], tape[at + 1], tape[at + 2], tape[at + 3] = 3 + 4 * flip, a, b, out
    return at + 4


@njit(nogil=True, cache=True)
def write_tape(
    tape: np.ndarray, spare: int, carries: int, widest: int,
    width: np.ndarray, store: np.ndarray, const_ptr: np.ndarray, const: np.ndarray,
    entry_ptr: np.ndarray, entry_row: np.ndarray, entry_flip: np.ndarray, entry_column: np.ndarray,
    gate_ptr: np.ndarray, gate_row: np.ndarray, gate_kind: np.ndarray, gate_bit_ptr: np.ndarray, gate_bit: np.ndarray,
) -> int:  # fmt: skip
    """Writes to `tape`, unless that is empty, and returns the tape's length.

    A column takes four rows at a time; what they carry two columns up waits in one of two lists, and the list of a
    column is written over by the list of the next column but one as it is read.

    Args:
        spare: first row of working space: two lists of `carries` rows, `widest` planes, then SCRATCH rows.
        width: (forms,) bit planes to compute, 0 when only gates of kind AND or OR read the form.
        store: (forms,) first row of the planes, -1 when they are not kept.
        const: bits of the constant of each form, lowest first, from const_ptr.
        entry_*: for each form the rows added, by increasing column; entry_flip 1 adds the complement.
        gate_*: for each form its gates: row to write, kind, and for thresholds their bits from gate_bit_ptr.
    """
    zeros = spare + 2 * carries + widest
    ones, nobody, writing, at = zeros + 1, zeros + 2, len(tape) > 0, 0
    read, flips = np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64)
    for f in range(len(width)):
        first, end, bits = entry_ptr[f], entry_ptr[f + 1], width[f]
        base = store[f] if store[f] >= 0 else spare + 2 * carries
        e, waiting, later = first, 0, 0
        for column in range(bits):
            start = e
            while e < end and entry_column[e] == column:
                e += 1
            total, waits = e - start + waiting, spare + (column & 1) * carries
            low, high, up, out = base + column, nobody, nobody, 0
            low_in, high_in = low, zeros
            if column == 0:
                low_in = ones if const[const_ptr[f]] else zeros
            if column + 1 < bits:
                high, high_in = low + 1, ones if const[const_ptr[f] + column + 1] else zeros
            if total == 0:
                for row, value in ((low, low_in), (high, high_in)):
                    if row != value and row != nobody:
                        at = _both(tape, at, value, ones, row, 0)
            for k in range(0, total, 4):
                count, flip = min(4, total - k), 0
                for r in range(4):
                    read[r], flips[r] = zeros, 0
                    if k + r < waiting:
                        read[r] = waits + k + r
                    elif r < count:
                        read[r], flips[r] = entry_row[start + k + r - waiting], entry_flip[start + k + r - waiting]
                    flip += flips[r] << r
                if column + 2 < bits:
                    up, out = waits + out, out + 1
                if count > 2:
                    if writing:
                        tape[at] = (1 if flip else 0) + 4 * flip
                        for r in range(4):
                            tape[at + 1 + r] = read[r]
                    at += 5
                else:
                    if writing:
                        tape[at] = 2 + 4 * flip
                        tape[at + 1], tape[at + 2] = read[0], read[1]
                    at += 3
                if writing:
                    tape[at], tape[at + 1], tape[at + 2] = low_in, high_in, low
                    tape[at + 3], tape[at + 4] = high, up
                at += 5
                low_in, high_in = low, high if high != nobody else zeros
            waiting, later = later, out
        for g in range(gate_ptr[f], gate_ptr[f + 1]):
            row, kind = gate_row[g], gate_kind[g]
            if kind == 0:  # the carry of form + (2^bits - threshold), from the lowest bit that is not added to a 1
                value, bit = ones, gate_bit_ptr[g]
                for k in range(bits):
                    if gate_bit[bit + k]:
                        at = _both(tape, at, base + k, value, row, 0)
                        value = row
                    elif value != ones:
                        at = _both(tape, at, base + k, value, row, 7)  # OR
                if value == ones:
                    at = _both(tape, at, ones, ones, row, 0)
            elif kind < 3:
                turn = 0 if kind == 1 else 1  # OR is AND of complements, complemented
                value, flip = entry_row[first], entry_flip[first] ^ turn
                if end - first == 1:
                    at = _both(tape, at, value, ones, row, (flip ^ turn))
                for k in range(first + 1, end):
                    last = turn if k + 1 == end else 0
                    at = _both(tape, at, value, entry_row[k], row, flip + 2 * (entry_flip[k] ^ turn) + 4 * last)
                    value, flip = row, 0
            else:
                at = _both(tape, at, ones if kind == 3 else zeros, ones, row, 0)
    return at
