"""Every ball operation against exact fractions or arb, on values chosen to break it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from separatrix.core.arch import Arch, Attention, Readout, Table
from separatrix.kernel import balls
from separatrix.kernel.balls import (
    FEW,
    Ball,
    below,
    exp,
    gamma,
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
