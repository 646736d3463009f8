"""One query row: its scores, shifted, and intervals of their exponentials."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from separatrix.kernel.balls import Ball, exp
from separatrix.kernel.layer import Layer

_GRID = 2.0**10  # coarse exps are looked up on this grid
_FAR = 50.0  # beyond it the coarse exp is [0, e^-50]


@dataclass(frozen=True, slots=True)
class Row:
    """The exponentials of one query row; every score is shifted by the same stored floats.

    Attributes:
        place (T,), sign (S,): the score of a position and of a symbol; a pair's score is their sum.
        single (1 or 2,): the query's own token, and the model's blank.
        e_place, e_sign, e_single: intervals (low, high) of their exponentials.
        rows (1 or 2, d): embeddings of the singles.
    """

    place: Ball
    sign: Ball
    single: Ball
    e_place: tuple[np.ndarray, np.ndarray]
    e_sign: tuple[np.ndarray, np.ndarray]
    e_single: tuple[np.ndarray, np.ndarray]
    rows: Ball

    @classmethod
    def of(cls, layer: Layer, x: Ball, g: Ball, place: Ball, sign: Ball, coarse: bool) -> Row:
        """From the query's embedding x (d,), its functional g (d,) and the scores of positions and symbols."""
        rows = x[None]
        if layer.blank is not None:
            rows = Ball(np.r_[rows.mid, layer.blank.mid], np.r_[rows.rad, layer.blank.rad])
        single = (rows @ g[:, None])[:, 0]
        shift_sign = float(sign.mid.max(initial=-np.inf)) if len(sign.mid) else 0.0
        top = max(float(place.mid.max()) + shift_sign, float(single.mid.max()))
        shift_place = Ball.exact(np.float64(top - shift_sign))
        place, sign = place - shift_place, sign - Ball.exact(np.float64(shift_sign))
        single = single - shift_place - Ball.exact(np.float64(shift_sign))
        e_place = _coarse_exp(place) if coarse else _exp(place)
        return cls(place, sign, single, e_place, _exp(sign), _exp(single), rows)


def _exp(x: Ball) -> tuple[np.ndarray, np.ndarray]:
    ball = exp(x)
    return np.maximum(ball.low, 0.0), ball.high


def _coarse_exp(x: Ball) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of e^x for x <= 0 (up to rounding) from a table on a grid of 2^-10: eight passes instead of forty."""
    table = _coarse_table()
    top, bottom = x.mid + x.rad, x.mid - x.rad
    if not (np.isfinite(top).all() and top.max(initial=0.0) < 1.0 / _GRID):
        return _exp(x)
    k = np.minimum(np.floor(top * -_GRID), _FAR * _GRID).astype(np.int64)  # top <= -k/grid up to rounding
    high = table[np.maximum(k, 0)]
    below = np.floor(bottom * -_GRID) + 2.0  # bottom >= -below/grid with a step to spare
    low = np.where(below <= _FAR * _GRID, table[np.clip(below, 0, _FAR * _GRID).astype(np.int64)], 0.0)
    return low * np.float64(1.0 - 2.0 / _GRID), high


@functools.cache
def _coarse_table() -> np.ndarray:
    """Entry k bounds e^x from above for x <= -(k-1)/grid, and from below (less 2/grid) for x >= -(k-1)/grid."""
    return exp(Ball.exact(-(np.arange(int(_FAR * _GRID) + 3) - 1) / _GRID)).high
