"""Ranges of sums of ReLUs of one noisy number at a time, exact up to rounding.

f(o) = a + sum_s o_s c_s + sum_u w_u relu(p_u + o_{s(u)} d_u), o_s in [low_s, high_s], where unit u reads the slot s(u)
alone. f is a sum over slots of piecewise linear functions, whose extremes lie at ends and kinks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import UnknownError
from separatrix.kernel.balls import Ball, sum_low, up


@dataclass(frozen=True, slots=True)
class Units:
    """Hidden units of a feed-forward layer behind attention.

    Attributes:
        offset (cells, hidden): p_u, what the exactly known part of the stream gives each unit.
        slope (hidden,): d_u; 0 for units that read no noisy slot. slot (hidden,): s(u), or -1.
    """

    offset: Ball
    slope: Ball
    slot: np.ndarray

    @classmethod
    def of(cls, offset: Ball, slopes: Ball) -> Units:
        """`slopes` (slots, hidden); UnknownError where a unit mixes noisy slots, or its slope may be 0."""
        touched = ~slopes.is_zero()
        if (touched.sum(axis=0) > 1).any():
            raise UnknownError("a hidden unit reads more than one coordinate of what attention returned")
        slot = np.where(touched.any(axis=0), touched.argmax(axis=0), -1)
        slope = slopes[np.maximum(slot, 0), np.arange(len(slot))]
        if (touched.any(axis=0) & ~(np.abs(slope.mid) > 2.0 * slope.rad)).any():
            raise UnknownError("a hidden unit's slope is not known to differ from 0")
        return cls(offset, slope, slot)


def least(units: Units, weights: Ball, linear: Ball, constant: Ball, noise: Ball) -> np.ndarray:
    """(cells,) floats below min f: weights (hidden,), linear (slots,), constant (cells,), noise (cells, slots) o."""
    parts = [constant.low]
    steady = np.flatnonzero(units.slot < 0)
    if len(steady):
        parts.append(sum_low((_relu(units.offset[:, steady]) * weights[None, steady]).low, axis=1))
    for slot in range(noise.mid.shape[1]):
        mine = np.flatnonzero(units.slot == slot)
        low, high = noise.low[:, slot], noise.high[:, slot]
        points, off = [low, high], np.zeros(len(low))
        for u in mine:  # kinks, as floats that are off by at most `off`
            kink, error = _quotient(-units.offset[:, u], units.slope[[u]])
            points.append(np.clip(kink, low, high))
            off = np.maximum(off, error)
        at = np.stack(points, axis=1)  # (cells, points)
        value = Ball.exact(at) * linear[[slot]][None]
        rate = np.abs(linear.mid[slot]) + linear.rad[slot]
        for u in mine:
            inner = units.offset[:, [u]] + Ball.exact(at) * units.slope[[u]][None]
            value = value + _relu(inner) * weights[[u]][None]
            rate += (np.abs(weights.mid[u]) + weights.rad[u]) * (np.abs(units.slope.mid[u]) + units.slope.rad[u])
        parts.append(np.nextafter(value.low.min(axis=1) - up(rate * off, 8), -np.inf))
    return sum_low(np.stack(parts))


def _relu(x: Ball) -> Ball:
    low, high = np.maximum(x.low, 0.0), np.maximum(x.high, 0.0)
    mid = low / 2 + high / 2
    return Ball(mid, np.nextafter(np.maximum(high - mid, mid - low), np.inf))


def _quotient(a: Ball, b: Ball) -> tuple[np.ndarray, np.ndarray]:
    """A float near a/b and a bound of its error, for |b.mid| > 2 b.rad: |x/y - a/b| <= (ra + |a/b| rb) / (|b| - rb)."""
    value = a.mid / b.mid
    error = (a.rad + np.abs(value) * b.rad) / (np.abs(b.mid) - b.rad)
    return value, up(error * 1.01 + np.abs(value) * 2.0**-52, 8)
