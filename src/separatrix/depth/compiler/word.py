"""Numbers of a row inside the circuit: value and bits as forms, over input wires or over thermometers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from separatrix.depth.builder import Builder
from separatrix.depth.forms import Forms
from separatrix.depth.rows import exact
from separatrix.depth.words import lookup, steps


@dataclass(frozen=True, eq=False)
class Word:
    """An array of numbers x = code + low, 0 <= code < 2^p.

    Attributes:
        low: the format's least number.
        value: the numbers (not the codes), shape (...,).
        bits: the code's bits, shape (..., p), lowest first.
        wires: the same bits where they are wires, else None.
    """

    low: int
    value: Forms
    bits: Forms
    wires: np.ndarray | None = None

    @classmethod
    def of_inputs(cls, b: Builder, wires: np.ndarray, low: int) -> Word:
        """(..., p) input wires."""
        weights = 2 ** np.arange(wires.shape[-1])
        return cls(low, b.forms(wires, weights, low), b.forms(wires[..., None]), wires)

    @classmethod
    def of_steps(cls, b: Builder, wires: np.ndarray, table: np.ndarray, low: int, p: int) -> Word:
        """Values table[..., c] at a thermometer (..., K) of code c."""
        table = np.asarray(table)
        spread = np.broadcast_to(wires, (*table.shape[:-1], wires.shape[-1]))
        bits = [lookup(b, spread, (table - low) >> k & 1) for k in range(p)]
        return cls(low, lookup(b, spread, table), Forms.stack(bits, axis=-1))

    def pick(self, *index: np.ndarray) -> Word:
        """The numbers at an index into the leading axes."""
        wires = None if self.wires is None else self.wires[index]
        return Word(self.low, self.value[index], self.bits[index], wires)


def both_bits(b: Builder, left: Word, right: Word, axes: tuple, op: str, place: Sequence) -> np.ndarray:
    """AND of bits of two words, indexed as `axes` (left, right) says: wires directly, otherwise through forms."""
    here, there = axes
    if left.wires is not None and right.wires is not None:
        return b.both(left.wires[here], right.wires[there], op, place)
    return b.gate(b.add([(1, left.bits[here]), (1, right.bits[there])]), 2, op, place)


def and_bit(b: Builder, wires: np.ndarray, word: Word, index: tuple, op: str, place: Sequence) -> np.ndarray:
    """AND of wires with bits of a word."""
    if word.wires is not None:
        return b.both(wires, word.wires[index], op, place)
    return b.gate(b.add([(1, b.forms(wires[..., None])), (1, word.bits[index])]), 2, op, place)


def rounding(codes: np.ndarray, shift: int) -> np.ndarray:
    """Least integers S with round(S / 2^shift) >= code, ties to even."""
    codes = np.asarray(codes, dtype=np.int64)
    if shift == 0:
        return codes
    return exact([(2 * int(k) - 1) * 2 ** (shift - 1) + int(k) % 2 for k in codes])


def rounded(b: Builder, total: Forms, low: int, high: int, shift: int, grid: tuple[int, int], op: str,
            place: Sequence) -> Word:  # fmt: skip
    """round(total / 2^shift) clipped to low..high, as a word of the format that starts at grid[0] with grid[1] bits."""
    wires = steps(b, total, rounding(np.arange(low + 1, high + 1), shift), op, place)
    table = np.broadcast_to(np.arange(low, high + 1), (*total.shape, high - low + 1))
    return Word.of_steps(b, wires, table, *grid)
