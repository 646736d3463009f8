"""Midpoint-radius arrays in float64: every result encloses the real result, in any order of summation.

Rests on IEEE 754 double arithmetic (checked at import): fl(x op y) = (x op y)(1 + d) + e, |d| <= 2^-53, |e| <= 2^-1074.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

U = 2.0**-53
LEAST = 2.0**-1074
HUGE, FINITE = 2.0**1000, float(np.finfo(np.float64).max)
FEW = 2**10  # numbers, for which a call of several loops costs more than a slow one
TINY = 2.0**-1000  # swallows every underflow: no sum here has 2^70 terms
_EXP_ERROR = 2.0**-50  # proved below for `_exp`: 2^-51
_CUTOFF = -690.0


def assert_arithmetic() -> None:
    """Round to nearest, and no flush to zero; raises RuntimeError where a library has changed the mode."""
    one, least = np.float64(1.0), np.float64(5e-324)
    rounds = one + np.float64(U) == one and one + np.float64(1.5 * U) > one and -one - np.float64(U) == -one
    if not (rounds and least > 0.0 and least * one != 0.0 and np.float64(2.0**-1022) / 2 != 0.0):
        raise RuntimeError("float64 is not IEEE round-to-nearest with subnormals here; no certificate can be judged")


@dataclass(frozen=True, slots=True)
class Ball:
    """{x : |x - mid| <= rad}, elementwise; equal shapes, float64. A radius that is not finite encloses nothing."""

    mid: np.ndarray
    rad: np.ndarray

    @classmethod
    def exact(cls, values: np.ndarray | float) -> Ball:
        """Radius 0; integers must be below 2^53 to be floats."""
        given = np.asarray(values)
        mid = given.astype(np.float64)
        if given.dtype.kind in "iu" and np.any(np.abs(mid) >= 2.0**53):  # 2^53 + 1 rounds to 2^53
            return cls(mid, np.full(mid.shape, np.inf))
        return cls(mid, np.zeros(mid.shape))

    def __getitem__(self, index: Any) -> Ball:
        return Ball(self.mid[index], self.rad[index])

    def __neg__(self) -> Ball:
        return Ball(-self.mid, self.rad)

    def __add__(self, other: Ball) -> Ball:
        mid = self.mid + other.mid
        return Ball(mid, up(self.rad + other.rad + np.abs(mid) * U))

    def __sub__(self, other: Ball) -> Ball:
        return self + (-other)

    def __mul__(self, other: Ball) -> Ball:
        mid = self.mid * other.mid
        rad = np.abs(self.mid) * other.rad + self.rad * (np.abs(other.mid) + other.rad) + np.abs(mid) * U
        return Ball(mid, up(rad))

    def __matmul__(self, other: Ball) -> Ball:
        """Matrix product; entries whose every product has an exactly zero factor stay exactly zero."""
        terms = self.mid.shape[-1]
        mid = self.mid @ other.mid
        size, spread = np.abs(self.mid), np.abs(other.mid)
        rad = (size @ spread) * gamma(terms)  # not size @ (spread * gamma): that could underflow and then be magnified
        if other.rad.any():
            rad = rad + size @ other.rad
        if self.rad.any():
            rad = rad + self.rad @ (spread + other.rad)
        touched = ((size > 0) | (self.rad > 0)).astype(np.float64) @ ((spread > 0) | (other.rad > 0)).astype(np.float64)
        return Ball(mid, np.where(touched == 0, 0.0, up(rad, terms)))

    def pairs(self, labels: np.ndarray) -> Ball:
        """(A, k, rows) from (rows, k): entry [label] - entry [rival] for each of `labels` and every rival."""
        turned = Ball(self.mid.T, self.rad.T)
        return turned[labels][:, None, :] - turned[None]

    @property
    def low(self) -> np.ndarray:
        """A float below every point of the ball."""
        return below(self.mid - self.rad)

    @property
    def high(self) -> np.ndarray:
        """A float above every point of the ball."""
        return -below(-self.mid - self.rad)

    def is_zero(self) -> np.ndarray:
        """Where the ball is exactly {0}."""
        return (self.mid == 0) & (self.rad == 0)


def below(values: np.ndarray) -> np.ndarray:
    """Floats below these, by one unit in the last place or two; NaN where there is none, -inf stays.

    Float neighbours of x are at most |x| 2^-52 apart, and at least LEAST. `nextafter` says the same, ten times slower.
    """
    if values.size < FEW:
        return np.nextafter(values, -np.inf)
    step = np.abs(values)
    step *= 2.0 * U
    step += LEAST
    np.minimum(step, HUGE, out=step)  # so that inf - inf is not taken
    return np.minimum(np.subtract(values, step, out=step), FINITE, out=step)


def gamma(terms: int) -> float:
    """Relative error of a sum of `terms` products in any order, with or without fused operations."""
    if terms > 2**40:
        raise ValueError("too many terms")
    return (terms + 4) * 1.01 * U


def up(rad: np.ndarray, terms: int = 1) -> np.ndarray:
    """A radius that was computed in floats with at most `terms` non-negative terms a sum, made safe."""
    return rad * (1.0 + (2 * terms + 16) * U) + TINY


def sum_low(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """A float below the real sum of these floats along `axis`."""
    slack = gamma(values.shape[axis]) * np.abs(values).sum(axis=axis)
    return below(values.sum(axis=axis) - up(slack, values.shape[axis]))


def sum_high(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """A float above the real sum of these floats along `axis`."""
    return -sum_low(-values, axis)


def times_low(low: np.ndarray, high: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """A float below x * factor for every x in [low, high], x >= 0."""
    product = np.where(factor >= 0, low, high) * factor
    return below(product - TINY)


def least_product_low(low: np.ndarray, high: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Floats below x[s] * factor[s, ...] for every s and 0 <= low[s] <= x[s] <= high[s]; NaN where one of them is NaN.

    The least product with `high` is one with a factor <= 0, which is a bound, or else all factors are positive, and
    with low[s] instead no product loses more than the least of low / high. Rounding is monotone: only the least is
    rounded down.
    """
    least, product = np.full(factor.shape[1:], np.inf), np.empty(factor.shape[1:])
    for end, part in zip(high, factor, strict=True):
        np.minimum(least, np.multiply(part, end, out=product), out=least)
    share = np.divide(low, high, out=np.zeros(len(low)), where=high != 0).min(initial=1.0) * (1.0 - 8 * U)
    return below(np.where(least > 0, least * share, least + 0.0 * share) - TINY)


def exp(x: Ball) -> Ball:
    """e^x. Below -690 the ball is [0, 2^-990]; above 700, or where the radius exceeds 1, it is infinite."""
    fine = (x.mid <= 700.0) & (x.rad <= 1.0)
    small = fine & (x.mid < _CUTOFF)
    value = _exp(np.where(fine & ~small, x.mid, 0.0))
    rad = up(value * (x.rad * (1.0 + x.rad) + _EXP_ERROR))  # e^r - 1 <= r + r^2 for 0 <= r <= 1
    half = 2.0**-991
    return Ball(np.where(small, half, value), np.where(fine, np.where(small, half, rad), np.inf))


def _root_table() -> np.ndarray:
    """2^(i/64) for i < 64, correctly rounded: integer roots with 200 spare bits."""
    table = []
    for i in range(64):
        root = 1 << (i + 64 * 200)
        for _ in range(6):
            root = math.isqrt(root)
        table.append(root / (1 << 200))
    return np.array(table)


_TABLE = _root_table()
_STEP = math.log(2.0) / 64.0
_HIGH = math.ldexp(math.floor(math.ldexp(_STEP, 38)), -38)  # 32 bits: k * _HIGH is exact for |k| < 2^20
# ln 2 to 240 bits, as an integer: sum of 1/(k 2^k), which needs no library
_LN2_BITS = sum((1 << 300) // (k << k) for k in range(1, 300))
_LOW = (_LN2_BITS - int(math.ldexp(_HIGH, 38)) * 64 * (1 << 262)) / (64 << 300)


def _exp(x: np.ndarray) -> np.ndarray:
    """e^x for -690 <= x <= 700 with relative error at most 2^-51.

    x = k ln2/64 + r with |r| <= 0.0055; x - k*_HIGH is exact, k*_LOW errs by 2^-75, so r errs by 2^-60. The Taylor
    polynomial to r^6/720 leaves 2^-65. Rounding: the table entry 2^-53, the last sum 2^-53, the rest below 2^-58.
    """
    k = np.floor(x / _STEP + 0.5)
    r = (x - k * _HIGH) - k * _LOW
    tail = 1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720))
    p = r + (r * r) * (0.5 + r * (1.0 / 6 + r * tail))
    whole = k.astype(np.int64)
    entry = _TABLE[whole & 63]
    return np.ldexp(entry + entry * p, whole >> 6)


def growth(x: np.ndarray | float) -> np.ndarray:
    """A float above e^x - 1 for x >= 0: Pade's x / (1 - x/2) below 1, `exp` above; infinite past 700."""
    x = np.asarray(x, dtype=np.float64)
    low = np.minimum(x, 1.0)
    small = low / (1.0 - low / 2) * (1.0 + 2.0**-48)
    return np.where(x <= 1.0, small, exp(Ball.exact(np.maximum(x, 1.0))).high)


assert_arithmetic()
