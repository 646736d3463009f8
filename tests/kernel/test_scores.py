"""Scores and exponentials of the separable check, against exact rationals and correctly rounded exponentials."""

from fractions import Fraction

import numpy as np
import pytest
from flint import arb, fmpq

from separatrix.can import registry
from separatrix.kernel.balls import Ball
from separatrix.kernel.layer import NARROW, Layer, scores
from separatrix.kernel.row import _coarse_exp, _exp
from separatrix.tasks.index_lookup import IndexLookup


def exact(x: float) -> arb:
    return arb(fmpq(*float(x).as_integer_ratio()))


@pytest.mark.parametrize("width", [1, 7, NARROW, NARROW + 1, 150])
@pytest.mark.parametrize("memo", [None, {}])
def test_scores_are_enclosed(width, memo):
    rng = np.random.default_rng(width)
    for _ in range(3):
        table = rng.standard_normal((5, width + 4)) * 2.0 ** rng.integers(-30, 30, (5, 1))
        functionals = rng.standard_normal((3, width + 4))
        functionals[:, rng.permutation(width + 4)[:4]] = 0
        rad = np.abs(functionals) * 2.0**-40
        ball = scores(Ball.exact(table), Ball(functionals, rad), memo)
        assert ball.mid.shape == ball.rad.shape == (5, 3)
        moved = functionals + rad * rng.choice([-1.0, 1.0], rad.shape) * 0.999
        for j in range(5):
            for g in range(3):
                truth = sum(Fraction(a) * Fraction(b) for a, b in zip(table[j], moved[g], strict=True))
                assert abs(truth - Fraction(float(ball.mid[j, g]))) <= Fraction(float(ball.rad[j, g]))
        memo = None if memo is None else {}


def test_a_memo_of_other_columns_is_not_used():
    memo: dict = {}
    table = Ball.exact(np.arange(12.0).reshape(3, 4))
    first, second = np.array([[1.0, 0, 2, 0]]), np.array([[0.0, 3, 0, 1]])
    for row in (first, second, first, np.zeros((1, 4))):
        assert np.array_equal(scores(table, Ball.exact(row), memo).mid, table.mid @ row.T)


@pytest.mark.parametrize("radius", [0.0, 2.0**-30, 2.0**-12, 2.0**-11, 0.3, 2.0])
def test_coarse_exponentials_enclose(radius):
    rng = np.random.default_rng(3)
    grid = -np.arange(0, 52 * 1024) / 1024
    values = np.concatenate([rng.choice(grid, 400), rng.uniform(-51, 0, 400), [0.0, -49.9999, -50, -51, -1e3, -1e9]])
    shift = 7.25
    x, offset = Ball(values + shift, np.full(len(values), radius)), Ball.exact(np.float64(shift))
    low, high = _coarse_exp(x, offset)
    for i, mid in enumerate(x.mid):
        for end in (-radius, radius):
            truth = (exact(mid) - exact(shift) + exact(end)).exp()
            assert exact(low[i]) <= truth or low[i] == 0
            assert high[i] == np.inf or truth <= exact(high[i])
    if radius <= 2.0**-12:
        fine = values > -49
        assert (high[fine] <= low[fine] * 1.004).all()


def test_scores_above_the_shift_are_not_taken_from_the_table():
    x = Ball(np.array([0.5, -1.0]), np.zeros(2))
    for got, expected in zip(_coarse_exp(x, Ball.exact(np.float64(0.0))), _exp(x), strict=True):
        assert np.allclose(got, expected, rtol=1e-14)
    bad = Ball(np.array([np.nan, np.inf, 0.0]), np.zeros(3))
    with np.errstate(all="ignore"):
        low, high = _coarse_exp(bad, Ball.exact(np.float64(0.0)))
    assert low[2] <= 1 <= high[2] and not (high[:2] < np.inf).any()


def test_reading_only_columns_that_count_changes_nothing():
    task = IndexLookup(5)
    model = registry.get("index-lookup-chirp").build(task, 12)
    layer = Layer.of(model.arch, model.tensors, 13)
    rows = Ball.exact(np.random.default_rng(0).standard_normal((4, model.arch.width)))
    whole, part = rows @ layer.logits, layer.read(rows)
    assert np.allclose(whole.mid, part.mid, atol=1e-12) and (part.rad <= whole.rad).all()
    assert layer.read(layer.position).is_zero().all()
