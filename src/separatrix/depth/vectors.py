"""The evaluator's inner loop for processors: `kernels.run_words` with the rows' words in vector registers.

numba would test at every step whether rows overlap, which takes longer than to add them; here the vector instructions
are written out, as LLVM's own code for vectors of any width. This module loads numba; import it inside functions.
"""
# pyright: reportCallIssue=false

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.extending import intrinsic

WORDS = 32  # of a row: 64 inputs each
PART = 8  # words that are held in registers at a time
ALIGN = 8 * PART  # bytes
_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, PART)
_NONE = ir.Constant(_VECTOR, ir.Undefined)


class _Rows:
    """Loads and stores of rows; row numbers are int64."""

    def __init__(self, builder: Any, base: Any, head: Any = None) -> None:
        self.b, self.base, self.head = builder, base, head

    def at(self, row: Any) -> Any:
        """Where a row begins."""
        offset = self.b.mul(row, ir.Constant(_WORD, 8 * WORDS))
        return self.b.inttoptr(self.b.add(self.base, offset), _VECTOR.as_pointer())

    def load(self, place: Any, part: int, mask: Any = None) -> Any:
        """One part of a row, complemented by a mask."""
        value = self.b.load(self.b.gep(place, [ir.Constant(_WORD, part)]), align=ALIGN)
        return value if mask is None else self.b.xor(value, mask)

    def store(self, value: Any, place: Any, part: int) -> None:
        """Writes one part of a row."""
        self.b.store(value, self.b.gep(place, [ir.Constant(_WORD, part)]), align=ALIGN)

    def mask(self, bit: int) -> Any:
        """All ones where the bit of the instruction's first number is set, in every word."""
        one = self.b.and_(self.b.lshr(self.head, ir.Constant(_WORD, bit)), ir.Constant(_WORD, 1))
        word = self.b.insert_element(_NONE, self.b.neg(one), ir.Constant(ir.IntType(32), 0))
        return self.b.shuffle_vector(word, _NONE, ir.Constant(ir.VectorType(ir.IntType(32), PART), [0] * PART))

    def full(self, x: Any, y: Any, z: Any) -> tuple[Any, Any]:
        """Sum and carry, in a form of which LLVM makes three instructions where there are ternary ones."""
        b = self.b
        return b.xor(b.xor(x, y), z), b.or_(b.and_(x, y), b.and_(z, b.or_(x, y)))


def _adder(count: int, flipped: bool) -> Any:
    """The instructions ADD_PLAIN, ADD and ADD_TWO: (base, head, rows read, low_in, high_in, low, high, up)."""

    def add(typing: Any, base: Any, head: Any, *rows: Any) -> Any:
        signature = types.void(*(types.int64,) * (7 + count))

        def codegen(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            r = _Rows(builder, *arguments[:2])
            places = [r.at(row) for row in arguments[2:]]
            masks = [r.mask(2 + k) if flipped else None for k in range(count)]
            low_in, high_in, low, high, up = places[count:]
            for part in range(WORDS // PART):
                read = [r.load(place, part, mask) for place, mask in zip(places[:count], masks, strict=True)]
                total, carry = r.full(read[0], read[1], r.load(low_in, part))
                above = r.load(high_in, part)
                if count == 4:
                    total, other = r.full(read[2], read[3], total)
                    above, beyond = r.full(carry, other, above)
                else:
                    above, beyond = builder.xor(carry, above), builder.and_(carry, above)
                for value, place in ((total, low), (above, high), (beyond, up)):
                    r.store(value, place, part)
            return context.get_dummy_value()

        return signature, codegen

    return add


@intrinsic
def add_plain(typing, base, head, a, b, c, d, low_in, high_in, low, high, up):
    """Four rows, none complemented."""
    return _adder(4, False)(typing, base, head)


@intrinsic
def add_four(typing, base, head, a, b, c, d, low_in, high_in, low, high, up):
    """Four rows."""
    return _adder(4, True)(typing, base, head)


@intrinsic
def add_two(typing, base, head, a, b, low_in, high_in, low, high, up):
    """Two rows."""
    return _adder(2, True)(typing, base, head)


@intrinsic
def both(typing, base, head, a, b, out):
    """AND of two rows."""

    def codegen(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        r = _Rows(builder, *arguments[:2])
        (x, y, to), masks = (r.at(row) for row in arguments[2:]), [r.mask(2 + k) for k in range(3)]
        for part in range(WORDS // PART):
            value = builder.and_(r.load(x, part, masks[0]), r.load(y, part, masks[1]))
            r.store(builder.xor(value, masks[2]), to, part)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 5), codegen


@njit(nogil=True, cache=True)
def run_rows(base: int, tape: np.ndarray) -> None:
    """Runs a tape on rows of WORDS words from the address `base`, which is a multiple of ALIGN."""
    i, t = 0, tape
    while i < len(t):
        head = t[i]
        op = head & 3
        if op == 3:
            both(base, head, t[i + 1], t[i + 2], t[i + 3])
            i += 4
        elif op == 0:
            add_plain(base, head, t[i + 1], t[i + 2], t[i + 3], t[i + 4], t[i + 5], t[i + 6], t[i + 7], t[i + 8],
                      t[i + 9])  # fmt: skip
            i += 10
        elif op == 1:
            add_four(base, head, t[i + 1], t[i + 2], t[i + 3], t[i + 4], t[i + 5], t[i + 6], t[i + 7], t[i + 8],
                     t[i + 9])  # fmt: skip
            i += 10
        else:
            add_two(base, head, t[i + 1], t[i + 2], t[i + 3], t[i + 4], t[i + 5], t[i + 6], t[i + 7])
            i += 8


@njit(nogil=True, cache=True)
def run_blocks(
    data: np.ndarray, base: int, tape: np.ndarray, inputs: np.ndarray, read: np.ndarray, out: np.ndarray, first: int,
    step: int,
) -> None:  # fmt: skip
    """Runs a tape on every step-th block of WORDS words of `inputs` from block `first`; the rows `read` go to `out`."""
    total = inputs.shape[1]
    for start in range(first * WORDS, total, step * WORDS):
        size = min(WORDS, total - start)
        for i in range(len(inputs)):
            for w in range(size):
                data[i, w] = inputs[i, start + w]
        run_rows(base, tape)
        for k in range(len(read)):
            for w in range(size):
                out[k, start + w] = data[read[k], w]


def rows_of(count: int) -> np.ndarray:
    """(count, WORDS) zeros, aligned as `run_rows` needs them."""
    raw = np.zeros(count * WORDS + PART, dtype=np.uint64)
    skip = -raw.ctypes.data % ALIGN // 8
    return raw[skip : skip + count * WORDS].reshape(count, WORDS)
