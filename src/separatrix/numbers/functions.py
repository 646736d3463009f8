"""exp, square root, sine and cosine in a format, correctly rounded (so within relative error 2^-p where it is normal).

Each function encloses the exact value between two integers at some working precision and rounds both ends; when they
disagree the precision is doubled. At every argument but those treated apart the values are irrational (Lindemann), so
this ends.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import isqrt

from separatrix.core.errors import InputError
from separatrix.numbers.floats import FloatFormat, Number

Enclosure = Callable[[int], tuple[int, int, int]]
"""Working bits -> (low, high, shift): low 2^shift <= value <= high 2^shift."""


def sqrt(form: FloatFormat, a: Number) -> Number:
    """The square root; InputError for a negative number."""
    if a.m < 0:
        raise InputError(f"square root of {float(a.value):g}, a negative number")
    m, e = a.m << (2 * form.p + 4 + (a.e & 1)), (a.e - 2 * form.p - 4 - (a.e & 1))
    root = isqrt(m)
    sticky = int(root * root != m)  # between root and root + 1: one more bit says so
    return form.round_ratio(2 * root + sticky, 1, e // 2 - 1)


def exp(form: FloatFormat, a: Number) -> Number:
    """e^a; saturates and underflows as rounding does."""
    x = a.value
    if x == 0:
        return form.round(1)
    if x > form.high + form.p + 1:  # e^x > 2^x
        return form.greatest
    if x < form.low - 2:
        return form.zero
    return _settle(form, lambda bits: exp_enclosure(x, bits))


def sin(form: FloatFormat, a: Number) -> Number:
    """The sine of an angle in radians."""
    return form.zero if a.m == 0 else _settle(form, lambda bits: _turned(a.value, bits, 0))


def cos(form: FloatFormat, a: Number) -> Number:
    """The cosine of an angle in radians."""
    return form.round(1) if a.m == 0 else _settle(form, lambda bits: _turned(a.value, bits, 1))


def _settle(form: FloatFormat, enclose: Enclosure) -> Number:
    bits = form.p + 16
    while True:
        low, high, shift = enclose(bits)
        ends = form.round_ratio(low, 1, shift), form.round_ratio(high, 1, shift)
        if ends[0] == ends[1]:
            return ends[0]
        bits *= 2


def exp_enclosure(x: Fraction, bits: int) -> tuple[int, int, int]:
    """e^x = 2^k e^r with |r| < 1; the series of e^r in integers scaled by 2^work."""
    work = bits + 16 + max(0, int(abs(x)).bit_length())
    log2 = _log2(work)
    k = (int(x * 2**work)) // log2
    r = (x.numerator << work) // x.denominator - k * log2  # error below |k| + 2
    term, total, i = 1 << work, 1 << work, 1
    while term:
        term = (term * r >> work) // i
        total += term
        i += 1
    slack = 8 * (abs(k) + i + 4)  # e^|r| <= 2 times the error of r, and 2 for each term
    return total - slack, total + slack, k - work


def _log2(work: int) -> int:
    """floor of 2^work ln 2, within 2 (18 artanh(1/26) - 2 artanh(1/4801) + 8 artanh(1/8749))."""
    guard = work + 16
    parts = ((18, 26), (-2, 4801), (8, 8749))
    return sum(c * _odd_series(q, guard, 1) for c, q in parts) >> 16


def pi_scaled(work: int) -> int:
    """2^work pi, within 2 (Machin's formula)."""
    guard = work + 16
    return (16 * _odd_series(5, guard, -1) - 4 * _odd_series(239, guard, -1)) >> 16


def _odd_series(q: int, work: int, sign: int) -> int:
    """2^work (1/q + sign/(3 q^3) + 1/(5 q^5) + ..): artanh (sign 1) or arctan (sign -1) of 1/q."""
    power, total, k, s = (1 << work) // q, 0, 1, 1
    while power:
        total += s * (power // k)
        power //= q * q
        k += 2
        s *= sign
    return total


def _turned(x: Fraction, bits: int, quarter: int) -> tuple[int, int, int]:
    """sin(x + quarter * pi/2), after reduction by multiples of pi/2."""
    work = bits + 32 + max(0, int(abs(x)).bit_length())
    half = pi_scaled(work + 1) // 4
    scaled = (x.numerator << work) // x.denominator
    turns = (scaled + half // 2) // half
    r = scaled - turns * half  # |r| <= pi/4; error below 3 |turns| + 2
    odd = (turns + quarter) % 2
    term = (1 << work) if odd else r
    total, i, square = term, 1 if odd else 2, r * r >> work
    while abs(term) > 1:
        term = -(term * square >> work) // (i * (i + 1))
        total += term
        i += 2
    if (turns + quarter) % 4 >= 2:
        total = -total
    slack = 4 * (3 * abs(turns) + 2 * i + 8)
    return total - slack, total + slack, -work
