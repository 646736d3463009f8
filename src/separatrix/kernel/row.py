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
        place (T,), sign (S,): the score of a position and of a symbol; a pair's score is their sum. `place` is
            raw - shift, made when asked for.
        single (1 or 2,): the query's own token, and the model's blank.
        e_place, e_sign, e_single: intervals (low, high) of their exponentials.
        rows (1 or 2, d): embeddings of the singles.
    """

    raw: Ball
    shift: Ball
    sign: Ball
    single: Ball
    e_place: tuple[np.ndarray, np.ndarray]
    e_sign: tuple[np.ndarray, np.ndarray]
    e_single: tuple[np.ndarray, np.ndarray]
    rows: Ball

    @property
    def place(self) -> Ball:
        return self.raw - self.shift

    @classmethod
    def of(cls, layer: Layer, x: Ball, g: Ball, place: Ball, sign: Ball, coarse: bool) -> Row:
        """From the query's embedding x (d,), its functional g (d,) and the scores of positions and symbols."""
        rows = x[None]
        if layer.blank is not None:
            rows = Ball(np.r_[rows.mid, layer.blank.mid], np.r_[rows.rad, layer.blank.rad])
        single = (rows @ g[:, None])[:, 0]
        shift_sign = float(sign.mid.max(initial=-np.inf)) if len(sign.mid) else 0.0
        top = max(float(place.mid.max()) + shift_sign, float(single.mid.max()))
        shift = Ball.exact(np.float64(top - shift_sign))
        sign = sign - Ball.exact(np.float64(shift_sign))
        single = single - shift - Ball.exact(np.float64(shift_sign))
        e_place = _coarse_exp(place, shift) if coarse else _exp(place - shift)
        return cls(place, shift, sign, single, e_place, _exp(sign), _exp(single), rows)


def _exp(x: Ball) -> tuple[np.ndarray, np.ndarray]:
    ball = exp(x)
    return np.maximum(ball.low, 0.0), ball.high


def _coarse_exp(x: Ball, shift: Ball) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of e^(x - shift), where that is <= 0 up to rounding, from tables on a grid of 2^-10.

    With y = x - shift and k = floor(-grid * top), top = y.mid + radius in floats: y <= -k/grid up to rounding, which is
    relative, so y <= -(k - 1)/grid; and y > -(k + 1)/grid - 2 radius up to rounding, so y >= -(k + 2)/grid.
    """
    radius = float(x.rad.max(initial=0.0))
    top = x.mid - shift.mid
    top += radius
    if not (radius <= 0.25 / _GRID and np.isfinite(top).all() and top.max(initial=0.0) < 1.0 / _GRID):
        return _exp(x - shift)
    top *= -_GRID
    np.floor(top, out=top)
    k = np.clip(top, 0.0, _FAR * _GRID, out=top).astype(np.int64)
    low, high = _coarse_tables()
    return low[k], high[k]


@functools.cache
def _coarse_tables() -> tuple[np.ndarray, np.ndarray]:
    """Entry k: e^(-(k + 2)/grid) from below, 0 in the last; e^(-(k - 1)/grid) from above."""
    steps = np.arange(int(_FAR * _GRID) + 1)
    low = exp(Ball.exact(-(steps + 2) / _GRID)).low
    low[-1] = 0.0
    return low, exp(Ball.exact(-(steps - 1) / _GRID)).high
