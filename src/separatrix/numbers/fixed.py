"""Fixed-point numbers: integers of a few bits over a power of two, rounded to nearest (ties to even), saturating."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from separatrix.core.errors import InputError


@dataclass(frozen=True, slots=True)
class FixedFormat:
    """Numbers m / 2^fraction with `bits`-bit m: 0 .. 2^bits - 1, or -2^(bits-1) .. 2^(bits-1) - 1 when signed.

    >>> FixedFormat(4, 1).round(Fraction(5, 4))
    2
    """

    bits: int
    fraction: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise InputError(f"fixed-point numbers of {self.bits} bits: between 1 and 64 are supported")

    @property
    def low(self) -> int:
        """The least m."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The greatest m."""
        return 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1

    def value(self, m: int) -> Fraction:
        """m / 2^fraction."""
        return Fraction(m) / Fraction(2) ** self.fraction

    def round(self, x: Fraction | int) -> int:
        """The m of the nearest member; the tie goes to the even m, beyond the ends to the end."""
        return min(max(round(Fraction(x) * Fraction(2) ** self.fraction), self.low), self.high)

    def __str__(self) -> str:
        return f"{self.bits}-bit {'signed' if self.signed else 'unsigned'} fixed point over 2^{self.fraction}"
