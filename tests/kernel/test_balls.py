"""Every ball operation against exact fractions or arb, on values chosen to break it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from core.reference import precision
from separatrix.core.arch import Arch, Attention, Readout, Table
from separatrix.kernel import balls, row
from separatrix.kernel.balls import (
    FEW,
    Ball,
    below,
    exp,
    gamma,
    growth,
    least_product_low,
    sum_high,
    sum_low,
    times_low,
    up,
)
from separatrix.kernel.layer import scores

NASTY = [0.0, -0.0, 5e-324, -5e-324, 2.0**-1022, 1e-300, -1e-200, 1e-16, 1.0, -1.0, 1 + 2**-52, 1 - 2**-53, 1 / 3]
NASTY += [-math.pi, 2.0**53, 1e150, -1e300, 2.0**970]
RADII = [0.0, 5e-324, 1e-300, 1e-17, 0.5, 1e10]
floats = st.floats(allow_nan=False, allow_infinity=False, width=64)


def encloses(mid: float, rad: float, value: Fraction) -> bool:
    """Whether |value - mid| <= rad in exact arithmetic (an infinite or NaN radius encloses everything)."""
    return not math.isfinite(rad) or not math.isfinite(mid) or abs(value - Fraction(mid)) <= Fraction(rad)


def corners(mid: float, rad: float) -> list[Fraction]:
    """Extreme points of a ball."""
    return [Fraction(mid) - Fraction(rad), Fraction(mid), Fraction(mid) + Fraction(rad)]


def ball(mid: float, rad: float) -> Ball:
    return Ball(np.array([mid]), np.array([rad]))


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
@np.errstate(all="ignore")
def test_operations_enclose_the_corners_of_nasty_balls(name: str) -> None:
    exact = {"add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y}[name]
    for (a, b), (ra, rb) in itertools.product(itertools.product(NASTY, NASTY), itertools.product(RADII, RADII)):
        x, y = ball(a, ra), ball(b, rb)
        z = {"add": x + y, "sub": x - y, "mul": x * y}[name]
        for p, q in itertools.product(corners(a, ra), corners(b, rb)):
            assert encloses(z.mid[0], z.rad[0], exact(p, q)), (name, a, ra, b, rb)


@given(floats, floats, st.sampled_from(RADII), st.sampled_from(RADII))
@settings(max_examples=300, deadline=None)
def test_operations_enclose_any_floats(a: float, b: float, ra: float, rb: float) -> None:
    with np.errstate(all="ignore"):
        x, y = ball(a, ra), ball(b, rb)
        results = [(x + y, lambda p, q: p + q), (x - y, lambda p, q: p - q), (x * y, lambda p, q: p * q)]
    for z, exact in results:
        for p, q in itertools.product(corners(a, ra), corners(b, rb)):
            assert encloses(z.mid[0], z.rad[0], exact(p, q))


@given(floats, st.sampled_from(RADII))
@settings(max_examples=200, deadline=None)
def test_low_and_high_enclose(a: float, ra: float) -> None:
    with np.errstate(all="ignore"):
        x = ball(a, ra)
        low, high = float(x.low[0]), float(x.high[0])
    assert not math.isfinite(low) or Fraction(low) < min(corners(a, ra))
    assert not math.isfinite(high) or Fraction(high) > max(corners(a, ra))


def test_below_is_below_every_float_and_close() -> None:
    rng = np.random.default_rng(6)
    values = rng.integers(0, 2**64, 2**16, dtype=np.uint64).view(np.float64)
    values = np.concatenate([values[np.isfinite(values)], *(s * 2.0 ** np.arange(-1074, 1024) for s in (-1.0, 1.0))])
    least, most = np.nextafter(0, 1), np.finfo(np.float64).max
    values = np.concatenate([values, np.nextafter(values, 0), [0.0, -0.0, least, -least, most]])
    assert len(values) >= FEW
    with np.errstate(over="ignore"):
        low, near = below(values), np.nextafter(values, -np.inf)
    assert (low <= near).all() and (near < values).all()
    assert (low >= np.nextafter(np.nextafter(near, -np.inf), -np.inf)).all()
    special = np.tile([np.inf, -np.inf, np.nan, -most], FEW)
    for some in (special, special[:4]):
        with np.errstate(over="ignore"):
            low = below(some)[:4]
        assert np.array_equal(low, [most, -np.inf, np.nan, -np.inf], equal_nan=True)


def test_below_changes_nothing_that_it_is_given() -> None:
    values = np.random.default_rng(7).normal(size=(3 * FEW, 2))
    frozen = np.broadcast_to(np.float64(1.5), (2 * FEW,))  # read only
    for some in (values, values[::2, 1], values.T, values[: FEW - 1, 0], frozen, values[0, 0], values[:0]):
        before = np.array(some)
        low = below(some)
        assert (low < before).all() and np.array_equal(some, before) and not np.shares_memory(low, some)


def test_exact_keeps_what_floats_can_hold() -> None:
    assert not Ball.exact(np.array([2**53 - 1, -(2**53) + 1, 0])).rad.any()
    assert not Ball.exact(np.array([0.1], dtype=np.float32)).rad.any()
    assert Ball.exact(np.array([0.1], dtype=np.float32)).mid[0] == float(np.float32(0.1))


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**62 + 1, -(2**63), 2**63 - 1])
def test_integers_that_are_no_floats_enclose_nothing(value: int) -> None:
    one = Ball.exact(np.array([value]))
    assert encloses(one.mid[0], one.rad[0], Fraction(value))


def matrix_case(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two factors (2, t) and (t, 2) of one adversarial sort."""
    t = 40
    if kind == "same-sign":
        return np.full((2, 3000), 0.1), np.full((3000, 2), 1 / 3)
    if kind == "cancellation":
        a = np.repeat(rng.normal(size=(2, t // 2)), 2, axis=1)
        b = np.repeat(rng.normal(size=(t // 2, 2)), 2, axis=0)
        b[1::2] *= -(1 + 2.0**-50)
        return a, b
    if kind == "subnormal":
        return rng.random((2, t)) * 1e-310, rng.random((t, 2))
    if kind == "huge-by-subnormal":
        return np.ldexp(rng.random((2, t)) + 0.5, 1000), np.ldexp(rng.random((t, 2)) + 0.5, -1040)
    if kind == "subnormal-by-huge":
        return np.ldexp(rng.random((2, t)) + 0.5, -1040), np.ldexp(rng.random((t, 2)) + 0.5, 1000)
    if kind == "products-underflow":
        return rng.normal(size=(2, t)) * 1e-170, rng.normal(size=(t, 2)) * 1e-170
    if kind == "huge":
        return rng.normal(size=(2, t)) * 1e150, rng.normal(size=(t, 2)) * 1e150
    if kind == "scales":
        return np.ldexp(rng.normal(size=(2, t)), rng.integers(-300, 300, (2, t))), np.ldexp(
            rng.normal(size=(t, 2)), rng.integers(-300, 300, (t, 2))
        )
    return rng.normal(size=(2, t)), rng.normal(size=(t, 2))


KINDS = ["same-sign", "cancellation", "subnormal", "huge-by-subnormal", "subnormal-by-huge", "products-underflow"]
KINDS += ["huge", "scales", "normal"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("radius", [0.0, 1e-12])
def test_matmul_encloses_every_vertex(kind: str, radius: float) -> None:
    rng = np.random.default_rng(0)
    a, b = matrix_case(kind, rng)
    ra, rb = np.abs(a) * radius, np.abs(b) * radius
    product = Ball(a, ra) @ Ball(b, rb)
    for _ in range(3):
        sa, sb = rng.choice([-1, 1], a.shape), rng.choice([-1, 1], b.shape)
        if radius and kind != "cancellation":
            sa, sb = np.sign(a).astype(int), np.sign(b).astype(int)
        for i, j in itertools.product(range(2), range(2)):
            value = sum(
                (Fraction(x) + int(s) * Fraction(rx)) * (Fraction(y) + int(t) * Fraction(ry))
                for x, s, rx, y, t, ry in zip(
                    a[i], sa[i], ra[i], b[:, j], sb[:, j], rb[:, j], strict=True
                )  # every sign pattern lies in the balls
            )
            assert encloses(product.mid[i, j], product.rad[i, j], Fraction(value)), (kind, radius)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wide", [False, True])
def test_scores_enclose(kind: str, wide: bool) -> None:
    """Both error sums of `scores`: by columns, and by Cauchy-Schwarz when there are more than 64."""
    a, b = matrix_case(kind, np.random.default_rng(1))
    if wide and a.shape[1] < 65:
        a, b = np.tile(a, (1, 3)), np.tile(b, (3, 1))
    with np.errstate(over="ignore"):
        result = scores(Ball.exact(a), Ball(b.T, np.abs(b.T) * 1e-14))
    for i, j in itertools.product(range(2), range(2)):
        for sign in (-1, 0, 1):
            value = sum(
                Fraction(x) * (Fraction(y) + sign * (1 if x > 0 else -1) * Fraction(abs(y) * 1e-14))
                for x, y in zip(a[i], b[:, j], strict=True)
            )
            assert encloses(result.mid[i, j], result.rad[i, j], Fraction(value)), (kind, wide, sign)


def test_matmul_keeps_exact_zeros_and_nothing_else() -> None:
    a = np.array([[0.0, 1.0, 0.0], [1e-300, 0.0, 0.0]])
    b = np.array([[1e-300, 0.0], [0.0, 0.0], [5.0, 7.0]])
    product = Ball.exact(a) @ Ball.exact(b)
    assert product.is_zero().tolist() == [[True, True], [False, True]]  # 1e-300 * 1e-300 underflows but is not 0
    loose = Ball(a, np.where(a == 0, 1e-9, 0.0)) @ Ball.exact(b)
    assert loose.is_zero().tolist() == [[False, False], [False, False]]


@np.errstate(all="ignore")
def test_overflow_and_nan_are_never_finite_enclosures() -> None:
    big = Ball.exact(np.array([[1e308, 1e308]]))
    for result in (big @ Ball.exact(np.array([[1.0], [1.0]])), big * big, big + big):
        assert not np.isfinite(result.rad).any()
    assert not np.isfinite((Ball.exact(np.array([[np.inf]])) @ Ball.exact(np.array([[0.0]]))).low).any()
    assert not (exp(ball(np.nan, 0.0)).rad < np.inf).any() and not (exp(ball(0.0, np.nan)).rad < np.inf).any()


def test_pairs_are_differences_with_every_rival() -> None:
    logits = Ball(np.array([[1.0, 2.0, 4.0], [0.5, 0.0, -1.0]]), np.full((2, 3), 1e-3))
    table = logits.pairs(np.array([2, 0]))
    assert table.mid.shape == (2, 3, 2)
    assert table.mid[0].tolist() == [[3.0, -1.5], [2.0, -1.0], [0.0, 0.0]]
    assert (table.rad >= 2e-3).all()


@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_bounded_on_both_sides(kind: str) -> None:
    a, _ = matrix_case(kind, np.random.default_rng(2))
    values = a[0]
    real = sum(map(Fraction, values))
    assert Fraction(float(sum_low(values))) < real < Fraction(float(sum_high(values)))
    assert sum_low(a, axis=1).shape == (2,)


def test_same_sign_equal_terms_need_the_error_of_the_running_sum() -> None:
    """Random signs would never show a missing error of the sum; 3000 equal terms do."""
    for value in (0.1, 1 / 3, 1e-5 / 7, 0.7):
        for terms in (3000, 2999, 100_000):
            values = np.full(terms, value)
            assert Fraction(float(sum_low(values))) < terms * Fraction(value) < Fraction(float(sum_high(values)))
            ordered = np.full(terms, value).cumsum()[-1]  # a sequential sum, whatever NumPy does in `sum`
            assert abs(Fraction(float(ordered)) - terms * Fraction(value)) <= Fraction(gamma(terms)) * terms * Fraction(
                value
            )


def test_empty_sums() -> None:
    assert sum_low(np.zeros((0, 3))).shape == (3,) and (sum_low(np.zeros((0, 3))) <= 0).all()


def test_times_low_for_all_signs() -> None:
    positive = [0.0, 5e-324, 1e-300, 1e-9, 1 / 3, 1.0, 7.0, 1e300]
    for low, high in itertools.combinations_with_replacement(positive, 2):
        for factor in NASTY:
            with np.errstate(over="ignore"):
                bound = float(times_low(np.array(low), np.array(high), np.array(factor)))
            for x in (low, (low + high) / 2 if high < 1e300 else low, high):
                if math.isfinite(bound):
                    assert Fraction(bound) < Fraction(x) * Fraction(factor), (low, high, factor)
                else:
                    assert bound == -np.inf or factor > 0


@np.errstate(all="ignore")
def test_times_low_proves_nothing_from_nan_or_infinity() -> None:
    for low, high, factor in ((np.nan, 1, 1), (0, np.inf, -1), (0, 1, np.nan), (0.0, np.inf, -np.inf)):
        assert not float(times_low(np.array(low, float), np.array(high, float), np.array(factor, float))) > -1e300


@np.errstate(all="ignore")
def test_the_least_product_is_below_every_product() -> None:
    rng = np.random.default_rng(4)
    wide, some = [abs(x) for x in NASTY], [*NASTY, *rng.normal(size=30)]
    seen = 0
    for trial in range(300):
        low = np.abs(rng.choice(wide if trial % 2 else some[-30:], 4))
        high = np.maximum(low, rng.choice(wide, 4)) if trial % 2 else low * (1 + 2.0**-40)
        factor = rng.choice(some if trial % 3 else np.abs(some), (4, 5))
        found = least_product_low(low, high, factor)
        for s, at in itertools.product(range(4), range(5)):
            if np.isfinite(found[at]):
                seen += 1
                for x in (low[s], high[s]):
                    assert Fraction(found[at]) < Fraction(x) * Fraction(factor[s, at])
            else:
                assert not found[at] > 0
        if not trial % 2:
            every = times_low(low[:, None], high[:, None], factor).min(axis=0)
            np.testing.assert_allclose(found, every, rtol=2.0**-39, atol=1e-300)
    assert seen > 3000


@np.errstate(all="ignore")
def test_the_least_product_proves_nothing_from_nan_or_infinity() -> None:
    for low, high, number in ((np.nan, 1.0, 1.0), (0.0, np.inf, -1.0), (0.0, 1.0, np.nan), (0.0, np.inf, -np.inf)):
        for other in (-1.0, 1.0):
            factor = np.array([[other], [number]])
            assert not least_product_low(np.array([1.0, low]), np.array([1.0, high]), factor)[0] > -1e300


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
        low, high = row._coarse_exp(ball(mid, rad), Ball.exact(np.float64(0.0)))
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


def test_up_covers_the_rounding_of_a_radius() -> None:
    rng = np.random.default_rng(6)
    values = rng.random(3000)
    assert Fraction(float(up(values.sum(), 3000))) > sum(map(Fraction, values.tolist()))
    assert up(np.array(0.0)) > 0


def test_gamma_refuses_absurd_lengths() -> None:
    with pytest.raises(ValueError, match="too many"):
        gamma(2**41)


def test_arithmetic_is_asserted() -> None:
    balls.assert_arithmetic()


def test_a_scale_that_is_no_number_is_refused() -> None:
    from separatrix.core.errors import InputError

    for scale in (math.nan, math.inf, -math.inf):
        arch = Arch(2, Table(2), (Attention(1, 1, 1, scale=scale),), Readout(2))
        with pytest.raises(InputError, match="scale"):
            Arch.from_config(arch.to_config())
