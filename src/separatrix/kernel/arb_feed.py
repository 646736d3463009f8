"""What a feed-forward layer returns on a box of streams, in Arb: y = relu(x A + a) B + b + x S, row by row.

Coordinates whose radius is at most `noise` count as known. Units that read multiples of one functional t of the other
coordinates form a piecewise linear function of t, whose extremes lie at the ends of t and at kinks; a kink is a ball,
and the function on that ball holds its value at the true kink. The ranges of different functionals are added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs


@dataclass(frozen=True, slots=True)
class Feed:
    """stored (d, hidden), the same numbers as inner; inner_bias, out (hidden, c), out_bias (c,), skip (d, c)."""

    stored: np.ndarray
    inner: Arbs
    inner_bias: Arbs
    out: Arbs
    out_bias: Arbs
    skip: Arbs

    def ranges(self, x: Arbs, noise: float) -> Arbs:
        """(rows, c) balls around y for every x of the box in each row (rows, d)."""
        noisy = ~(ab.rad(x).max(axis=0, initial=0.0) <= noise)
        known, loose = np.flatnonzero(~noisy), np.flatnonzero(noisy)
        offset = ab.dot(x[:, known], self.inner[known]) + self.inner_bias
        stored = self.stored[loose].astype(np.float64)
        steady = np.flatnonzero(~(stored != 0).any(axis=0))
        y = self.out_bias + ab.dot(x[:, known], self.skip[known]) + ab.dot(ab.relu(offset[:, steady]), self.out[steady])
        alone = np.ones(len(loose), dtype=bool)
        for direction, units in _directions(stored):
            pivot = int(np.flatnonzero(direction)[0])
            slope = self.inner[loose[pivot], units]
            here, straight = offset[:, units], np.full(self.skip[0].shape, ab.zero())
            # units that read one coordinate and nothing else: what it adds by itself belongs here
            if np.count_nonzero((stored[:, units] != 0).any(axis=1)) == 1:
                alone[pivot] = False
                t, straight = x[:, loose[pivot]], self.skip[loose[pivot]]
            else:
                along = ab.arbs(direction)
                t = ab.dot(x[:, loose], along)
                rest = self.inner[np.ix_(loose, units)] - along[:, None] * slope
                here = here + ab.dot(x[:, loose], rest)
            y = y + _extremes(t, here, slope, self.out[units], straight)
        left = loose[alone]
        return y + ab.dot(x[:, left], self.skip[left])


def _directions(weights: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Functionals of the noisy coordinates, 1 at their first one, and the units that read a multiple of each."""
    groups: dict[tuple[float, ...], tuple[np.ndarray, list[int]]] = {}
    for unit in np.flatnonzero(weights.any(axis=0)).tolist():
        column = weights[:, unit]
        scaled = column / column[np.flatnonzero(column)[0]]
        groups.setdefault(tuple((np.round(scaled, 12) + 0.0).tolist()), (scaled, []))[1].append(unit)
    for direction, units in groups.values():
        yield direction, np.array(units)


def _extremes(t: Arbs, offset: Arbs, slope: Arbs, out: Arbs, straight: Arbs) -> Arbs:
    """(rows, c) around sum_u relu(offset_u + slope_u t) out_u + t straight, for t in balls (rows,)."""
    low, high = ab.low(t)[:, None], ab.high(t)[:, None]
    kinks = ab.larger(ab.smaller(-offset / slope, high), low)
    points = np.concatenate([low, high, kinks], axis=1)  # (rows, points)
    active = ab.relu(offset[:, None] + points[:, :, None] * slope)
    value = ab.dot(active, out) + points[:, :, None] * straight
    return ab.between(ab.least(value, axis=1), ab.greatest(value, axis=1))
