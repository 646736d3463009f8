"""A linear recurrence that stores symbols of the input, one bit of state a bit.

Numbers of the state are 0 or -1 (one bit, in fixed point). The drive of a number is -1/4 at the time when it is to be
written, else 0, and -3/8 more when the present symbol has a 1 at its bit: rounded(-5/8) = -1 writes the 1, and
rounded(s - 3/8), rounded(-1/4) and rounded(0) change nothing. -1 stays -1, since the grid ends there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.recurrent import FixedPoint

GRID = FixedPoint(bits=1, fraction=0)  # -1 and 0
WRITE, ONE = -0.25, -0.375


@dataclass(frozen=True, slots=True)
class Memory:
    """How many symbols of how many bits are stored, those of the first positions.

    The state has one number a bit, in pairs (real and imaginary parts); with an odd number of bits one is left over.
    """

    symbols: int
    bits: int

    @property
    def units(self) -> int:
        """Pairs of numbers."""
        return (self.symbols * self.bits + 1) // 2

    def number(self, symbol: np.ndarray, bit: np.ndarray) -> np.ndarray:
        """Where a bit of a symbol is stored."""
        return symbol * self.bits + bit

    def enter(self, width: int, code: slice, time: slice) -> np.ndarray:
        """(width, numbers) of the recurrence: `code` holds a symbol's bits, `time` a one-hot position."""
        weights = np.zeros((width, 2 * self.units))
        for bit in range(self.bits):
            numbers = self.number(np.arange(self.symbols), np.full(self.symbols, bit))
            weights[code.start + bit, numbers] = ONE
            weights[time.start + np.arange(self.symbols), numbers] = WRITE
        return weights

    def diagonal(self) -> np.ndarray:
        """Keep what is there: 1 + 0i."""
        return np.stack([np.ones(self.units), np.zeros(self.units)])


def bit_codes(symbols: int, bits: int) -> np.ndarray:
    """(symbols, bits) binary, lowest bit first."""
    return ((np.arange(symbols)[:, None] >> np.arange(bits)) & 1).astype(np.float64)
