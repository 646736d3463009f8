"""Logarithmic axes, their ticks, and how numbers and units are written."""

from __future__ import annotations

import math
from dataclasses import dataclass

THIN = "\u2009"
MINUS = "\u2212"
_UNITS = ("", "k", "M", "G", "T", "P", "E")


@dataclass(frozen=True, slots=True)
class LogAxis:
    """Maps values `low` < `high` (both positive) to px `start` .. `end`; `start` may be the larger one."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place in px of a positive value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + (self.end - self.start) * share

    def value(self, place: float) -> float:
        """The value at a place in px."""
        return self.low * (self.high / self.low) ** ((place - self.start) / (self.end - self.start))


def ticks(low: float, high: float, most: int = 9) -> tuple[float, ...]:
    """At most `most` round values in [low, high]: powers of ten if three fit, else 1-2-5, else evenly spaced.

    >>> ticks(10, 1e8)
    (10.0, 100.0, 1000.0, 10000.0, 100000.0, 1000000.0, 10000000.0, 100000000.0)
    >>> ticks(4, 40)
    (5.0, 10.0, 20.0)
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    decades = [10.0**k for k in range(first, last + 1)]
    if len(decades) >= 3:
        return tuple(decades[:: math.ceil(len(decades) / most)])
    fine = [m * 10.0**k for k in range(first - 1, last + 1) for m in (1, 2, 5)]
    fine = [t for t in fine if low * (1 - 1e-9) <= t <= high * (1 + 1e-9)]
    if len(fine) >= 3:
        return tuple(fine[:most])
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    step = next((m * step for m in (5, 2, 1) if (high - low) / (m * step) >= 2), step)
    return tuple(step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))


def span(values: list[float], room: float = 0.3, whole: bool = True) -> tuple[float, float]:
    """Ends of an axis that holds positive values, with `room` decades below; whole decades unless told otherwise."""
    low, high = (min(values), max(values)) if values else (1.0, 1e3)
    if not whole:
        return (low, high) if high > low else (low / 2, high * 2)
    bottom = math.floor(math.log10(low) - room)
    bottom = max(bottom, 0) if low >= 1 else bottom  # a fraction of a bit is no size
    top = math.ceil(math.log10(high) + room / 4)
    return 10.0**bottom, 10.0 ** max(top, bottom + 2)


def number(value: float, digits: int = 3) -> str:
    """A number in full: thousands set apart by thin spaces, a true minus, `digits` decimals unless it is whole.

    >>> number(-131072) == "\u2212131\u2009072"
    True
    """
    if not math.isfinite(value):
        return "∞" if value > 0 else f"{MINUS}∞" if value < 0 else "undefined"
    text = f"{value:,.0f}" if value == round(value) else f"{value:,.{digits}f}"
    return text.replace(",", THIN).replace("-", MINUS)


def unit(value: float) -> str:
    """A round number with a unit word, for axes.

    >>> unit(1000) == "1\u2009k", unit(2e8) == "200\u2009M"
    (True, True)
    """
    step = min(max(math.floor(math.log10(value) / 3 + 1e-9), 0), len(_UNITS) - 1) if value > 0 else 0
    text = f"{value / 1000**step:.3g}".replace("-", MINUS)
    return f"{text}{THIN}{_UNITS[step]}" if step else text
