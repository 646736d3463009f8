"""p-bit floating-point numbers <m, e> = m 2^e, as in Chiang (2025) and Chen et al. (2024), exact in Python integers.

A number of F_p is zero or has 2^(p-1) <= |m| < 2^p and -2^p <= e < 2^p: no infinity, no NaN, no signed zero, and by
default nothing between zero and the least normal number. Where the printed definitions leave a choice, this is ours:
* zero is stored with the least exponent (with exponent 0, adding a small number to zero would lose it);
* round(x) is the nearest member, ties to the even significand; beyond the greatest member it saturates; the tie
  between zero and the least normal number goes to zero, as in MPFR;
* floor(x) is the greatest integer <= x, rounded;
* a sum or product of many numbers is exact and rounded once (left-to-right rounding gives other results).
The operator a // b of the papers (a/b where that is a multiple of 1/4, otherwise a/b + 1/8) misrounds as printed; read
as guard bits and a sticky bit (truncate to a multiple of 1/4, then add 1/8 if anything was cut) it gives correct
rounding. `reading` offers both: "rounded" is correct rounding, "literal" the printed text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from separatrix.core.errors import InputError

Reading = Literal["rounded", "literal", "sticky"]


class Number(NamedTuple):
    """The number m 2^e."""

    m: int
    e: int

    @property
    def value(self) -> Fraction:
        """As an exact rational."""
        return Fraction(self.m) * Fraction(2) ** self.e


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary floating-point format with saturation.

    Attributes:
        p: bits of the significand, leading bit included.
        low, high: least and greatest exponent e (of the last bit of the significand), both included.
        gradual: whether significands below 2^(p-1) are allowed at the least exponent (IEEE subnormal numbers).
        top: greatest significand at the greatest exponent (448 = 14 * 2^5 ends E4M3); None means 2^p - 1.
    """

    p: int
    low: int
    high: int
    gradual: bool = False
    top: int | None = None

    def __post_init__(self) -> None:
        if not (2 <= self.p <= 64 and self.low <= self.high):
            raise InputError(f"float format with {self.p} bits and exponents {self.low}..{self.high} does not exist")

    @classmethod
    def paper(cls, p: int) -> FloatFormat:
        """F_p of the papers: exponents in [-2^p, 2^p)."""
        if not 2 <= p <= 24:
            raise InputError(f"F_p with p = {p}: p lies between 2 and 24 (its exponents have p + 1 bits)")
        return cls(p, -(2**p), 2**p - 1)

    # ---- rounding ------------------------------------------------------------------------------------------------

    @property
    def zero(self) -> Number:
        """Zero, with the least exponent."""
        return Number(0, self.low)

    @property
    def greatest(self) -> Number:
        """The greatest member; the least is its negative."""
        return Number(2**self.p - 1 if self.top is None else self.top, self.high)

    def round(self, x: Fraction | int) -> Number:
        """The nearest member."""
        x = Fraction(x)
        return self.round_ratio(x.numerator, x.denominator)

    def round_ratio(self, numerator: int, denominator: int = 1, shift: int = 0) -> Number:
        """The member nearest to numerator / denominator * 2^shift (denominator > 0)."""
        if numerator == 0:
            return self.zero
        size, sign = abs(numerator), 1 if numerator > 0 else -1
        e = size.bit_length() - denominator.bit_length() + shift - self.p
        while not _below(size, denominator, self.p + e - shift):  # |x| >= 2^(p+e)
            e += 1
        if e < self.low:
            if not self.gradual:  # between zero and the least normal number; the tie goes to zero
                up = not _below(size, denominator, self.p - 2 + self.low - shift) and not _equal(
                    size, denominator, self.p - 2 + self.low - shift
                )
                return Number(sign * 2 ** (self.p - 1), self.low) if up else self.zero
            e = self.low
        m = _nearest_even(size, denominator, shift - e)
        if m == 2**self.p:
            m, e = m // 2, e + 1
        if e > self.high or (e == self.high and m > self.greatest.m):
            return Number(sign * self.greatest.m, self.high)
        return Number(sign * m, e) if m else self.zero

    def members(self) -> tuple[Number, ...]:
        """All members in increasing order of value; InputError beyond 2^20 of them."""
        if (self.high - self.low + 1) << self.p > 2**20:
            raise InputError(f"{self}: too many numbers to list; at most 2^20")
        return _members(self)

    def __contains__(self, x: Number) -> bool:
        return self.round(x.value) == x

    def __str__(self) -> str:
        return f"{self.p}-bit floats with exponents {self.low}..{self.high}"

    # ---- operations ----------------------------------------------------------------------------------------------

    def add(self, a: Number, b: Number, reading: Reading = "rounded") -> Number:
        """a + b."""
        if a.e < b.e:
            a, b = b, a
        if reading == "rounded":
            return self.round_ratio(a.m * 2 ** (a.e - b.e) + b.m, 1, b.e)
        sum_ = a.m + _slash(b.m, 2 ** (a.e - b.e), reading)
        return self.round_ratio(sum_.numerator, sum_.denominator, a.e)

    def multiply(self, a: Number, b: Number) -> Number:
        """a * b."""
        return self.round_ratio(a.m * b.m, 1, a.e + b.e)

    def divide(self, a: Number, b: Number, reading: Reading = "rounded") -> Number:
        """a / b; InputError when b is zero."""
        if b.m == 0:
            raise InputError("division by zero; formats without infinity have no quotient for it")
        sign = -1 if b.m < 0 else 1
        if reading == "rounded":
            return self.round_ratio(sign * a.m, abs(b.m), a.e - b.e)
        quotient = _slash(sign * a.m * 2 ** (self.p - 1), abs(b.m), reading)
        return self.round_ratio(quotient.numerator, quotient.denominator, a.e - b.e - self.p + 1)

    def at_most(self, a: Number, b: Number, reading: Reading = "rounded") -> bool:
        """a <= b."""
        if reading == "rounded":
            return a.value <= b.value
        if a.e >= b.e:
            return a.m <= _slash(b.m, 2 ** (a.e - b.e), reading)
        return _slash(a.m, 2 ** (b.e - a.e), reading) <= b.m

    def floor(self, a: Number) -> Number:
        """The greatest integer <= a, rounded."""
        return self.round(a.value.__floor__())

    def sum(self, numbers: Iterable[Number]) -> Number:
        """The exact sum, rounded once."""
        total, least = 0, self.low
        for m, e in numbers:
            if e < least:
                total, least = total << (least - e), e
            total += m << (e - least)
        return self.round_ratio(total, 1, least)

    def product(self, numbers: Iterable[Number]) -> Number:
        """The exact product, rounded once; 1 for no numbers."""
        m, e = 1, 0
        for number in numbers:
            m, e = m * number.m, e + number.e
        return self.round_ratio(m, 1, e)


def _slash(a: int, b: int, reading: Reading) -> Fraction:
    """a // b of the papers, literally or as guard bits and a sticky bit."""
    exact = Fraction(a, b)
    if (exact * 4).denominator == 1:
        return exact
    if reading == "literal":
        return exact + Fraction(1, 8)
    return Fraction((exact * 4).__floor__(), 4) + Fraction(1, 8)


def _below(size: int, denominator: int, power: int) -> bool:
    """size / denominator < 2^power."""
    return size < denominator << power if power >= 0 else size << -power < denominator


def _equal(size: int, denominator: int, power: int) -> bool:
    return size == denominator << power if power >= 0 else size << -power == denominator


def _nearest_even(size: int, denominator: int, shift: int) -> int:
    """round(size / denominator * 2^shift), ties to even."""
    if shift >= 0:
        size <<= shift
    else:
        denominator <<= -shift
    quotient, rest = divmod(size, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


@lru_cache(maxsize=8)
def _members(form: FloatFormat) -> tuple[Number, ...]:
    positive = []
    for e in range(form.low, form.high + 1):
        least = 1 if form.gradual and e == form.low else 2 ** (form.p - 1)
        most = form.greatest.m if e == form.high else 2**form.p - 1
        positive += [Number(m, e) for m in range(least, most + 1)]
    return (*(Number(-m, e) for m, e in reversed(positive)), form.zero, *positive)
