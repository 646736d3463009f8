"""Exponentials: within their proved error, coarse intervals, and growth."""

from __future__ import annotations

import itertools
import math

import numpy as np
from flint import arb, fmpq

from core.reference import precision
from separatrix.kernel import balls, row
from separatrix.kernel.balls import (
    Ball,
    exp,
    growth,
)


def exp_points() -> np.ndarray:
    rng = np.random.default_rng(3)
    edges = np.array([-690.0, np.nextafter(-690.0, 0), -689.9, 700.0, np.nextafter(700, 0), 0.0, -0.0, 5e-324, -1e-300])
    steps = (np.arange(-2000, 2000) + 0.5) * balls._STEP
    return np.r_[
        edges, rng.uniform(-690, 700, 12_000), rng.uniform(-1, 1, 4000), steps, np.ldexp(1.0, -np.arange(1, 60))
    ]


def test_exp_is_within_its_proved_error_at_20k_points() -> None:
    points = exp_points()
    assert len(points) > 20_000
    values, result = balls._exp(points), exp(Ball.exact(points))
    worst = 0.0
    with precision(160):
        for x, value, rad in zip(points.tolist(), values.tolist(), result.rad.tolist(), strict=True):
            true = arb(x).exp()
            error = abs(arb(value) - true) / true
            assert error < arb(2.0**-51), x
            worst = max(worst, float(error.mid()))
            assert abs(arb(value) - true) <= arb(rad)
    assert worst < 1.2 * 2.0**-52


def test_exp_of_balls_encloses_both_ends() -> None:
    rng = np.random.default_rng(4)
    mids = np.r_[rng.uniform(-700, 700, 400), -690.0, -690.5, -689.5, 700.0, 699.5, -745.0, -800.0, -1e308]
    for radius in (0.0, 1e-300, 1e-14, 1e-3, 0.5, 1.0):
        result = exp(Ball(mids, np.full(len(mids), radius)))
        with precision(200):
            for x, low, high in zip(mids.tolist(), result.low.tolist(), result.high.tolist(), strict=True):
                for point in (arb(x) - arb(radius), arb(x), arb(x) + arb(radius)):
                    true = point.exp()
                    assert true > arb(low) and (not math.isfinite(high) or true < arb(high)), (x, radius)


def test_exp_outside_its_range_is_infinite() -> None:
    result = exp(Ball(np.array([700.0, 701.0, 0.0, 1e308]), np.array([0.0, 0.0, 1.001, 0.0])))
    assert np.isfinite(result.rad).tolist() == [True, False, False, False]


def test_the_table_of_roots_is_correctly_rounded() -> None:
    with precision(200):
        for i, value in enumerate(balls._TABLE.tolist()):
            true = (arb(fmpq(i, 64)) * arb(2).log()).exp()
            assert abs(arb(value) - true) <= arb(2.0**-53) * true * 1.0000001
        step = arb(2).log() / 64
        assert abs(arb(balls._HIGH) + arb(balls._LOW) - step) < arb(2.0**-90)


def test_coarse_intervals_enclose() -> None:
    rng = np.random.default_rng(5)
    grid = -np.arange(0, 51 * 1024, 37) / 1024.0
    mids = np.r_[rng.uniform(-60, 0, 3000), grid, np.nextafter(grid, -np.inf), np.nextafter(grid, 0), -1e6, -700.0, 0.0]
    for radius, shift in itertools.product((0.0, 1e-12, 1e-4, 2.4e-4, 9e-4), (0.0, 1 / 3, -1e9)):
        moved = mids + shift
        low, high = row._coarse_exp(Ball(moved, np.full(len(mids), radius)), Ball.exact(np.float64(shift)))
        with precision(100):
            for x, lower, upper in zip(moved.tolist(), low.tolist(), high.tolist(), strict=True):
                y = arb(x) - arb(shift)
                assert (y - arb(radius)).exp() > arb(lower) and (y + arb(radius)).exp() < arb(upper), (x, shift)
        near = mids > -40
        assert (high[near] / low[near] < 1.01).all()


@np.errstate(invalid="ignore")
def test_coarse_intervals_survive_what_does_not_fit_their_table() -> None:
    for mid, rad in ((0.5, 0.0), (0.0, 0.01), (-1.0, 0.9), (np.nan, 0.0), (-5.0, np.inf), (-5.0, np.nan)):
        low, high = row._coarse_exp(Ball(np.array([mid]), np.array([rad])), Ball.exact(np.float64(0.0)))
        if math.isfinite(mid) and math.isfinite(rad):
            assert low[0] <= math.exp(mid - rad) and high[0] >= math.exp(mid + rad)
        else:
            assert high[0] == np.inf and low[0] == 0.0


def test_growth_is_above() -> None:
    points = np.r_[0.0, np.ldexp(1.0, -np.arange(0, 900)), np.linspace(0, 3, 999), 10.0, 100.0, 699.0, 1.0, 1 + 2**-52]
    result = growth(points)
    with precision(1200):
        for x, value in zip(points.tolist(), result.tolist(), strict=True):
            true = arb(x).exp() - 1 if x else arb(0)
            assert true <= arb(value), x
            assert arb(value) <= true * (1.0 + 2.0**-40) + x * x * true, x
    assert growth(701.0) == np.inf and growth(np.nan) == np.inf and growth(np.inf) == np.inf


def test_growth_is_tight_enough_at_one() -> None:
    assert growth(1.0) <= 2.01  # Pade gives 2 where e - 1 is 1.72: the price of no library
