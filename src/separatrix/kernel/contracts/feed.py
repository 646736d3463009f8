"""What a feed-forward layer returns on a box of streams: ranges of sums of ReLUs, exact in one noisy number at a time.

y = relu(x A + a) B + b + x S for x in a box. Coordinates whose radius is at most `noise` count as known. Units that
read one and the same functional t of the noisy coordinates form a piecewise linear function of t, whose extremes over
the range of t lie at ends and kinks; the ranges of different functionals are added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Ints
from separatrix.kernel.balls import Ball, up
from separatrix.kernel.contracts.stream import between

CHUNK = 2**21  # numbers that are looked at together


@dataclass(frozen=True, slots=True)
class Feed:
    """The layer: inner (d, hidden), inner_bias, out (hidden, c), out_bias (c,); S is skip (d, c), or 0.

    With `kept` (d,) in place of skip, S is the identity on the coordinates where it is true, and 0 elsewhere.
    """

    inner: Ball
    inner_bias: Ball
    out: Ball
    out_bias: Ball
    skip: Ball | None = None
    kept: np.ndarray | None = None

    def ranges(self, x: Ball, noise: float) -> Ball:
        """(rows, c) balls around y for every x of the box in each row (rows, d)."""
        noisy = ~(x.rad.max(axis=0, initial=0.0) <= noise)
        widest = max(self.out.mid.shape) * (self.inner.mid.shape[1] + 3)
        many = max(1, CHUNK // widest)
        parts = [self._ranges(x[start : start + many], noisy) for start in range(0, len(x.mid), many)]
        return Ball(np.concatenate([p.mid for p in parts]), np.concatenate([p.rad for p in parts]))

    def _ranges(self, x: Ball, noisy: np.ndarray) -> Ball:
        known, loose = np.flatnonzero(~noisy), np.flatnonzero(noisy)
        offset = x[:, known] @ self.inner[known] + self.inner_bias
        constant = self.out_bias[None][np.zeros(len(x.mid), dtype=np.int64)]
        if self.skip is not None:
            constant = constant + x[:, known] @ self.skip[known]
        elif self.kept is not None:
            stays = self.kept & ~noisy
            constant = constant + Ball(np.where(stays, x.mid, 0.0), np.where(stays, x.rad, 0.0))
        weights = self.inner.mid[loose]
        steady = np.flatnonzero(~weights.any(axis=0))
        constant = constant + _relu(offset[:, steady]) @ self.out[steady]
        low, high = constant.low, constant.high

        def add(below: np.ndarray, above: np.ndarray, columns: Ints) -> None:
            low[:, columns] = np.nextafter(low[:, columns] + below, -np.inf)
            high[:, columns] = np.nextafter(high[:, columns] + above, np.inf)

        alone = set(range(len(loose)))
        for direction, units in _directions(weights):
            pivot = int(np.flatnonzero(direction)[0])  # direction[pivot] is 1
            slope, here, straight = weights[pivot, units], offset[:, units], None
            # units that read one coordinate and, however little, nothing else: what t adds by itself belongs here
            if np.count_nonzero(weights[:, units].any(axis=1)) == 1:
                alone.discard(pivot)
                t = x[:, loose[[pivot]]]
                straight = self._straight(loose[[pivot]])
            else:
                t = x[:, loose] @ Ball.exact(direction[:, None])
                rest = self.inner[loose][:, units] - Ball.exact(direction[:, None]) * Ball.exact(slope[None])
                here = here + x[:, loose] @ rest
            columns = ~self.out[units].is_zero().all(axis=0)
            if straight is not None:
                columns |= ~straight.is_zero().all(axis=0)
            columns = np.flatnonzero(columns)
            straight = None if straight is None else straight[:, columns]
            add(*_one(t, here, slope, self.out[units][:, columns], straight), columns)
        left = loose[sorted(alone)]
        through = self._straight(left)
        if through is not None and len(left):
            straight = x[:, left] @ through
            add(straight.low, straight.high, np.arange(low.shape[1]))
        return between(low, high)

    def _straight(self, rows: Ints) -> Ball | None:
        """(rows, c) of S; None where it is 0."""
        if self.skip is not None:
            return self.skip[rows]
        return None if self.kept is None else Ball.exact(np.eye(len(self.kept))[rows] * self.kept)


def _directions(weights: np.ndarray) -> Iterator[tuple[np.ndarray, Ints]]:
    """Functionals of the noisy coordinates, and the hidden units that read a multiple of each (up to rounding).

    A unit with one noisy coordinate reads that coordinate: its functional is a unit vector.
    """
    groups: dict[bytes, list[int]] = {}
    vectors: dict[bytes, np.ndarray] = {}
    for unit in np.flatnonzero(weights.any(axis=0)):
        column = weights[:, unit]
        scaled = column / column[np.flatnonzero(column)[0]]
        name = (np.round(scaled, 12) + 0.0).tobytes()
        groups.setdefault(name, []).append(int(unit))
        vectors.setdefault(name, scaled)
    for name, units in groups.items():
        yield vectors[name], np.array(units)


def _one(t: Ball, offset: Ball, slope: np.ndarray, out: Ball, straight: Ball | None) -> tuple[np.ndarray, np.ndarray]:
    """(rows, c) below and above sum_u relu(offset_u + slope_u t) out_u + t straight, t in balls (rows, 1)."""
    low, high = t.low[:, 0], t.high[:, 0]
    kink, error = _quotient(-offset, slope)
    points = np.concatenate([low[:, None], high[:, None], np.clip(kink, low[:, None], high[:, None])], axis=1)
    off = error.max(axis=1)
    lines = offset[:, None] + Ball.exact(points[:, :, None]) * Ball.exact(slope[None, None])
    value = _relu(lines) @ out
    steep = up(np.abs(slope) @ (np.abs(out.mid) + out.rad), len(slope))
    if straight is not None:
        value = value + Ball.exact(points[:, :, None]) * straight[None]
        steep = steep + up(np.abs(straight.mid[0]) + straight.rad[0])
    slack = up(off[:, None] * steep[None], 8)
    return (
        np.nextafter(value.low.min(axis=1) - slack, -np.inf),
        np.nextafter(value.high.max(axis=1) + slack, np.inf),
    )


def _relu(x: Ball) -> Ball:
    low, high = np.maximum(x.low, 0.0), np.maximum(x.high, 0.0)
    mid = low / 2 + high / 2
    return Ball(mid, np.where(high == 0.0, 0.0, np.nextafter(np.maximum(high - mid, mid - low), np.inf)))


def _quotient(a: Ball, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Floats near a/b, and how far off they may be, for exact b other than 0."""
    value = a.mid / b
    return value, up(a.rad / np.abs(b) * 1.01 + np.abs(value) * 2.0**-52, 8)
