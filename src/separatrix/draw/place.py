"""Where labels go: a coarse grid of what is taken, a search for free boxes, and spreading along an edge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
STEP = 4.0
"""Side of a grid cell in px."""


class Box(NamedTuple):
    """A rectangle in px, y downwards."""

    x: float
    y: float
    w: float
    h: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.x < other.x + other.w and other.x < self.x + self.w
            and self.y < other.y + other.h and other.y < self.y + self.h
        )  # fmt: skip


class Plan:
    """The plot area in cells of `STEP` px: `busy` ones hold a line, a dot or a label."""

    def __init__(self, area: Box) -> None:
        self.area = area
        self.busy: Mask = np.zeros((int(area.h / STEP), int(area.w / STEP)), dtype=np.bool_)

    @property
    def columns(self) -> NDArray[np.float64]:
        """The x of the middle of every column of cells, px."""
        return self.area.x + STEP * (np.arange(self.busy.shape[1]) + 0.5)

    @property
    def levels(self) -> NDArray[np.float64]:
        """The y of the middle of every row of cells, px."""
        return self.area.y + STEP * (np.arange(self.busy.shape[0]) + 0.5)

    def block(self, box: Box, pad: float = 4) -> None:
        """Take a box and `pad` px around it."""
        rows = np.abs(self.levels - (box.y + box.h / 2)) <= box.h / 2 + pad
        columns = np.abs(self.columns - (box.x + box.w / 2)) <= box.w / 2 + pad
        self.busy |= rows[:, None] & columns[None, :]

    def block_line(self, y: NDArray[np.float64], pad: float = 5) -> None:
        """Take the surroundings of a curve given by its y at every column (NaN where it is not drawn)."""
        low, high = y.copy(), y.copy()
        low[1:], high[1:] = np.fmin(y[1:], y[:-1]), np.fmax(y[1:], y[:-1])  # a step is a vertical line
        self.busy |= (self.levels[:, None] >= low - pad) & (self.levels[:, None] <= high + pad)

    def block_strip(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Take the surroundings of a slanted label from its start to its end."""
        for t in np.linspace(0, 1, 40):
            x, y = start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])
            self.block(Box(x - 5, y - 5, 10, 10))

    def free(self, x: float, y: float) -> bool:
        """Whether the cell at a place in px is inside the plot and not taken."""
        row, column = int((y - self.area.y) // STEP), int((x - self.area.x) // STEP)
        inside = 0 <= row < self.busy.shape[0] and 0 <= column < self.busy.shape[1]
        return inside and not self.busy[row, column]

    def find(
        self, w: float, h: float, near: list[tuple[float, float]], region: Mask | None = None,
        margins: tuple[float, ...] = (28, 16, 8, 3),
    ) -> Box | None:  # fmt: skip
        """Take and return the free w x h box closest to any place of `near`, of those with the widest margin.

        With a region (a mask of cells) the box and its margin must lie inside it. None if no box fits.
        """
        taken = self.busy if region is None else self.busy | ~region
        total = np.pad(taken.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        for margin in margins:
            rows, columns = int(np.ceil((h + 2 * margin) / STEP)), int(np.ceil((w + 2 * margin) / STEP))
            if rows > taken.shape[0] or columns > taken.shape[1]:
                continue
            hits = total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns] + total[:-rows, :-columns]
            top, left = np.nonzero(hits == 0)
            if top.size == 0:
                continue
            x, y = self.area.x + STEP * left + margin, self.area.y + STEP * top + margin
            far = np.full(x.shape, np.inf)
            for px, py in near:  # from the edge of the box, and between equals from its middle
                edge = np.hypot(np.clip(px, x, x + w) - px, np.clip(py, y, y + h) - py)
                far = np.minimum(far, edge + 0.1 * np.hypot(x + w / 2 - px, y + h / 2 - py))
            best = int(np.argmin(far))
            box = Box(float(x[best]), float(y[best]), w, h)
            self.block(box)
            return box
        return None


def spread(wanted: list[float], heights: list[float], low: float, high: float, gap: float = 12) -> list[float]:
    """Tops in px of labels that would like to start at `wanted`, moved as little as needed so that none overlap.

    They keep their order, stay between `low` and `high` if they fit there, and else run on below `high`.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    tops = [0.0] * len(wanted)
    floor = low
    for i in order:
        tops[i] = max(wanted[i], floor)
        floor = tops[i] + heights[i] + gap
    ceiling = high
    for i in reversed(order):
        tops[i] = min(tops[i], ceiling - heights[i])
        ceiling = tops[i] - gap
    floor = low
    for i in order:  # too many for the height: the upper end wins
        tops[i] = max(tops[i], floor)
        floor = tops[i] + heights[i] + gap
    return tops
