"""What the stream may be at each position, by the abstract symbol that the position holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Ints
from separatrix.core.errors import RejectedError
from separatrix.kernel.balls import Ball, up

GRID = 36  # bits of a centre that are kept where it is not exact
COARSE = 12  # radii below the grid are powers of 2^COARSE: few different ones, so that equal positions stay equal


@dataclass(frozen=True, slots=True)
class Stream:
    """One class for each position and each symbol that it may hold there; classes are sorted by position.

    Attributes:
        box: (classes, width) a ball that holds the stream of the position on every input with this symbol there.
        place, symbol: (classes,).
        number: (positions, symbols) the class, or -1 where no input puts the symbol at the position.
    """

    box: Ball
    place: Ints
    symbol: Ints
    number: Ints

    @classmethod
    def of(cls, box: Ball, place: Ints, symbol: Ints, positions: int, symbols: int) -> Stream:
        """The hull of all boxes with equal place and symbol; RejectedError where a position has none."""
        order, starts = by_key(place * symbols + symbol)
        place, symbol = place[order[starts]], symbol[order[starts]]
        if len(np.unique(place)) != positions:
            raise RejectedError("a position of the stream holds no symbol at all")
        number = np.full((positions, symbols), -1, dtype=np.int64)
        number[place, symbol] = np.arange(len(place))
        return cls(snapped(hull(box, order, starts)), place, symbol, number)

    @property
    def positions(self) -> int:
        """How many positions, the model's own blank included."""
        return len(self.number)


def by_key(key: Ints) -> tuple[Ints, Ints]:
    """An order that sorts the keys, and where each new key begins in it."""
    order = np.argsort(key, kind="stable")
    return order, np.flatnonzero(np.diff(key[order], prepend=key[order[:1]] - 1))


def compress(*columns: Ints) -> Ints:
    """(rows,) numbers 0, 1, .. that are equal where all columns are, for columns of non-negative numbers."""
    total = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        if len(column) and (int(total.max()) + 1) * (int(column.max()) + 1) > 2**62:
            total = np.unique(total, return_inverse=True)[1].reshape(-1)
            column = np.unique(column, return_inverse=True)[1].reshape(-1)
        total = total * (int(column.max(initial=0)) + 1) + column
    return np.unique(total, return_inverse=True)[1].reshape(-1)


def hull(box: Ball, order: Ints, starts: Ints) -> Ball:
    """(groups, columns) the least balls around the boxes of each group; exact where all are one and the same."""
    if len(starts) == len(order):
        return box[order]
    mid, rad = box.mid[order], box.rad[order]
    low, high = np.minimum.reduceat(mid, starts), np.maximum.reduceat(mid, starts)
    around = between(np.minimum.reduceat(box.low[order], starts), np.maximum.reduceat(box.high[order], starts))
    widest = np.maximum.reduceat(rad, starts)
    one = low == high
    return Ball(np.where(one, low, around.mid), np.where(one, widest, around.rad))


def snapped(box: Ball) -> Ball:
    """Slightly larger balls on a grid, so that boxes that all but agree become one; exact numbers stay as they are.

    Centres and radii move to multiples of 2^-GRID times the size of their column, radii below that to powers of
    2^COARSE.
    """
    size = np.frexp((np.abs(box.mid) + box.rad).max(axis=0, initial=0.0))[1]
    step = np.ldexp(1.0, np.clip(size - GRID, -900, 900))
    mid = np.rint(box.mid / step) * step
    rad = up(box.rad + np.abs(box.mid - mid))
    fine = np.minimum(np.ldexp(1.0, -COARSE * (-np.frexp(rad)[1] // COARSE)), step)
    rad = np.where(rad < step, fine, np.ceil(rad / step) * step)
    loose = (box.rad > 0) & np.isfinite(rad)
    return Ball(np.where(loose, mid, box.mid), np.where(loose, rad, box.rad))


def between(low: np.ndarray, high: np.ndarray) -> Ball:
    """A ball around the intervals [low, high]; infinite where they are not finite."""
    with np.errstate(all="ignore"):
        mid = low / 2 + high / 2
        rad = np.nextafter(np.maximum(high - mid, mid - low), np.inf)
    fine = np.isfinite(mid) & np.isfinite(rad) & (low <= high)
    return Ball(np.where(fine, mid, 0.0), np.where(fine, rad, np.inf))
