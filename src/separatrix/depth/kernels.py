"""The evaluator's tape: what a circuit amounts to in logic on rows of bits, and the loop that runs it word by word.

A row is one wire, or one bit plane of a form, on many inputs at once. The tape is a list of 32-bit integers, one
instruction after the other, each beginning with op + 4 * complements (bit k: operand k is read complemented):

* ADD_PLAIN, ADD: a b c d low_in high_in low high up; a + b + c + d + low_in + 2 high_in = low + 2 high + 4 up.
  Only a to d may be complemented, and in ADD_PLAIN none is.
* ADD_TWO: a b low_in high_in low high up, the same of two rows.
* BOTH: a b out; out = a AND b, complemented where bit 2 says so.

Every operand is read before any result is written, word by word, so that rows may be written over.
"""

from __future__ import annotations

import numpy as np

ADD_PLAIN, ADD, ADD_TWO, BOTH = 0, 1, 2, 3
LENGTH = (10, 10, 8, 4)  # of the instructions
THRESHOLD, AND, OR, ALWAYS, NEVER = 0, 1, 2, 3, 4  # kinds of gates
FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
ZERO = np.uint64(0)


def run_words(data: np.ndarray, tape: np.ndarray) -> None:
    """Runs a tape on data (rows, words) uint64."""
    words, i, full, zero = data.shape[1], 0, np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)
    while i < len(tape):
        head = tape[i]
        op, flip = head & 3, head >> 2
        am = full if flip & 1 else zero
        bm = full if flip & 2 else zero
        if op == 3:
            om = full if flip & 4 else zero
            for w in range(words):
                data[tape[i + 3], w] = ((data[tape[i + 1], w] ^ am) & (data[tape[i + 2], w] ^ bm)) ^ om
            i += 4
            continue
        cm = full if flip & 4 else zero
        dm = full if flip & 8 else zero
        rest = i + 3 if op == 2 else i + 5
        for w in range(words):
            x, y, low = data[tape[i + 1], w] ^ am, data[tape[i + 2], w] ^ bm, data[tape[rest], w]
            first, second = (x & y) | (low & (x | y)), zero
            low = x ^ y ^ low
            if op < 2:
                x, y = data[tape[i + 3], w] ^ cm, data[tape[i + 4], w] ^ dm
                second = (x & y) | (low & (x | y))
                low = x ^ y ^ low
            high = data[tape[rest + 1], w]
            data[tape[rest + 4], w] = (first & second) | (high & (first | second))
            data[tape[rest + 3], w] = first ^ second ^ high
            data[tape[rest + 2], w] = low
        i = rest + 5
