"""From counts at several N to a formula: what the pattern seems to be, always conjectured, never proved.

A count is matched exactly with a 2^(N b) + c, or with polynomials a N + b and N (N - 1) .. of low degree. A pattern is
proved only by a certificate of kind `reading` or `boxes` at the N that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from separatrix.core.guarantee import CONJECTURED, Guarantee

OFFSETS = (0, 1, -1, 2, -2)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A formula for a count in N that holds at every N that was seen, `points` of them."""

    kind: str  # "exponential" or "linear"
    factor: Fraction
    rate: Fraction  # of N in the exponent, or the slope
    offset: int
    points: int
    guarantee: Guarantee = CONJECTURED

    def at(self, n: int) -> Fraction:
        """The count at N, if the pattern goes on."""
        if self.kind == "linear":
            return self.factor * n * self.rate + self.offset
        power = n * self.rate
        if power.denominator != 1:
            raise ValueError(f"N = {n} is not a length of this pattern")
        return self.factor * 2**power.numerator + self.offset

    def __str__(self) -> str:
        tail = "" if not self.offset else f" {'+' if self.offset > 0 else '−'} {abs(self.offset)}"
        if self.kind == "linear":
            slope = self.factor * self.rate
            return f"{'' if slope == 1 else f'{slope} '}N{tail}" if slope else str(self.offset)
        shift = self.factor.numerator.bit_length() - self.factor.denominator.bit_length()
        rate = "N" if self.rate == 1 else f"{self.rate} N"
        whole = Fraction(2) ** shift == self.factor
        sign = "" if not shift else f" {'+' if shift > 0 else '−'} {abs(shift)}"
        power = f"2^{rate}" if rate == "N" and not (whole and shift) else f"2^({rate}{sign if whole else ''})"
        return f"{power}{tail}" if whole else f"{self.factor} · {power}{tail}"


def propose(counts: Mapping[int, int]) -> Pattern | None:
    """The simplest pattern through all counts (three lengths or more), or None.

    >>> str(propose({4: 5, 6: 17, 8: 65})), str(propose({4: 4, 6: 8, 8: 16}))
    ('2^(N − 2) + 1', '2^(1/2 N)')
    """
    lengths = sorted(counts)
    if len(lengths) < 3:
        return None
    first, last = lengths[0], lengths[-1]
    for offset in OFFSETS:
        low, high = counts[first] - offset, counts[last] - offset
        if low > 0 and high > low:
            ratio = Fraction(high, low)
            power = ratio.numerator.bit_length() - 1
            if ratio.denominator != 1 or ratio.numerator != 1 << power:
                continue
            rate = Fraction(power, last - first)
            if (first * rate).denominator != 1:
                continue
            factor = Fraction(low, 2 ** (first * rate).numerator)
            if all((n * rate).denominator == 1 for n in lengths):
                pattern = Pattern("exponential", factor, rate, offset, len(lengths))
                if all(pattern.at(n) == counts[n] for n in lengths):
                    return pattern
    slope = Fraction(counts[last] - counts[first], last - first)
    offset = counts[first] - slope * first
    if offset.denominator == 1:
        pattern = Pattern("linear", Fraction(1), slope, int(offset), len(lengths))
        if all(pattern.at(n) == counts[n] for n in lengths):
            return pattern
    return None
