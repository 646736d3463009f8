"""Numbers of F_p against MPFR (gmpy2) and against exact rationals; the printed // operator against rounding."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.numbers import FixedFormat, FloatFormat, Number, parse_format
from separatrix.numbers.functions import cos, exp, sin, sqrt

gmpy2 = pytest.importorskip("gmpy2")


def context(p: int):
    """MPFR with the range of F_p; it overflows to infinity where F_p saturates."""
    return gmpy2.context(precision=p, emin=-(2**p) + p, emax=2**p - 1 + p, subnormalize=False)


def same(form: FloatFormat, ours: Number, theirs) -> bool:
    if gmpy2.is_infinite(theirs):
        return ours == Number(form.greatest.m * (1 if theirs > 0 else -1), form.high)
    return ours.value == Fraction(*theirs.as_integer_ratio())


def random_numbers(form: FloatFormat, count: int, seed: int) -> list[Number]:
    rng = np.random.default_rng(seed)
    near = rng.random(count) < 0.7  # exponents close together, so that sums align
    centre = int(rng.integers(form.low, form.high + 1))
    exponents = np.where(near, centre + rng.integers(-form.p - 2, form.p + 3, count),
                         rng.integers(form.low, form.high + 1, count)).clip(form.low, form.high)  # fmt: skip
    m = rng.integers(2 ** (form.p - 1), 2**form.p, count) * rng.choice([-1, 1], count)
    zero = rng.random(count) < 0.05
    return [form.zero if z else Number(int(a), int(e)) for a, e, z in zip(m, exponents, zero, strict=True)]


def mpfr(x: Number):
    with gmpy2.context(precision=max(64, abs(x.e) + 64), emin=-(10**6), emax=10**6):
        return gmpy2.mpfr(gmpy2.mpq(x.value.numerator, x.value.denominator))


@pytest.mark.parametrize("p", [2, 3, 4, 6, 8, 11])
def test_operations_are_those_of_mpfr(p: int) -> None:
    form = FloatFormat.paper(p)
    for seed in range(4):
        xs, ys = random_numbers(form, 300, seed), random_numbers(form, 300, seed)[::-1]
        for a, b in zip(xs, ys, strict=True):
            left, right = mpfr(a), mpfr(b)
            with context(p):
                assert same(form, form.add(a, b), left + right), (a, b)
                assert same(form, form.multiply(a, b), left * right), (a, b)
                if b.m:
                    assert same(form, form.divide(a, b), left / right), (a, b)
            assert form.at_most(a, b) == (left <= right)


@pytest.mark.parametrize("p", [3, 4, 6, 8])
def test_functions_are_those_of_mpfr(p: int) -> None:
    form = FloatFormat.paper(p)
    rng = np.random.default_rng(p)
    small = [Number(int(rng.integers(2 ** (p - 1), 2**p)), int(e)) for e in rng.integers(-p - 6, 2, 150)]
    small = [x for x in small if form.low <= x.e <= form.high]
    for a in [*small, *random_numbers(form, 60, p)]:
        with context(p):
            for ours, theirs in ((exp, gmpy2.exp), (sin, gmpy2.sin), (cos, gmpy2.cos)):
                assert same(form, ours(form, a), theirs(mpfr(a))), (ours.__name__, a)
            if a.m >= 0:
                assert same(form, sqrt(form, a), gmpy2.sqrt(mpfr(a))), a


@pytest.mark.parametrize("p", [2, 3, 4])
def test_round_is_nearest_by_enumeration(p: int) -> None:
    form = FloatFormat.paper(p)
    members = form.members()
    assert len(members) == 2 ** (2 * p + 1) + 1
    values = [x.value for x in members]
    assert values == sorted(set(values))
    for a, b in pairwise(members):
        middle = (a.value + b.value) / 2
        quarter = (b.value - a.value) / 7
        assert form.round(a.value) == a
        assert (form.round(middle - quarter), form.round(middle + quarter)) == (a, b)
        tie = form.round(middle)
        even = a if a.m % 2 == 0 and (b.m % 2 == 1 or a.m == 0 or abs(a.m) > abs(b.m)) else b
        if a.m == 0 or b.m == 0:
            assert tie == form.zero
        elif a.m % 2 != b.m % 2:
            assert tie == even
        else:  # 2^p - 1 against 2^(p-1) one exponent up
            assert abs(tie.m) == 2 ** (p - 1)
    top = members[-1].value
    assert form.round(top * 10**9) == members[-1]
    assert form.round(-top * 10**9) == members[0]


def gaps(p: int, zero: bool):
    """All pairs of significands, with the second smaller by 0 .. p + 3 places."""
    ms = [s * m for m in range(2 ** (p - 1), 2**p) for s in (1, -1)]
    for gap in range(p + 4):
        for a in ms:
            for b in ms + [0] * zero:
                yield Number(a, 0), Number(b, -gap) if b else FloatFormat.paper(p).zero


@pytest.mark.parametrize(
    ("p", "wrong_add", "pairs", "wrong_div"), [(3, 20, 448, 12), (4, 106, 2048, 46), (5, 540, 9216, 194)]
)
def test_the_printed_operator_misrounds_and_the_sticky_bit_does_not(
    p: int, wrong_add: int, pairs: int, wrong_div: int
) -> None:
    form = FloatFormat.paper(p)
    counts = dict.fromkeys(("add", "le", "pairs", "div"), 0)
    for a, b in gaps(p, zero=False):
        counts["pairs"] += 1
        assert form.add(a, b, "sticky") == form.add(a, b)
        assert form.at_most(a, b, "sticky") == form.at_most(a, b)
        assert form.at_most(b, a, "sticky") == form.at_most(b, a)
        counts["add"] += form.add(a, b, "literal") != form.add(a, b)
        counts["le"] += form.at_most(a, b, "literal") != form.at_most(a, b)
    for a, b in gaps(p, zero=False):
        if b.e == 0:
            assert form.divide(a, b, "sticky") == form.divide(a, b)
            counts["div"] += form.divide(a, b, "literal") != form.divide(a, b)
    assert (counts["add"], counts["pairs"]) == (wrong_add, pairs)
    assert counts["div"] == wrong_div
    assert counts["le"] == 0
    zero, below = Number(0, 0), Number(-(2 ** (p - 1)), -p - 3)  # only next to a zero of exponent 0 does <= go wrong
    assert form.at_most(zero, below, "literal")
    assert not form.at_most(zero, below, "sticky")


def test_zero_must_have_the_least_exponent() -> None:
    form = FloatFormat.paper(5)
    small = Number(17, -20)
    assert form.add(form.zero, small, "sticky") == small
    assert form.add(Number(0, 0), small, "sticky") != small


@pytest.mark.parametrize("p", [3, 4, 8])
def test_sums_and_products_are_rounded_once(p: int) -> None:
    form, differs = FloatFormat.paper(p), 0
    for seed in range(200):
        numbers = random_numbers(form, 16, seed)
        total = sum((x.value for x in numbers), Fraction(0))
        assert form.sum(numbers) == form.round(total)
        running = numbers[0]
        for x in numbers[1:]:
            running = form.add(running, x)
        differs += running != form.sum(numbers)
        few = numbers[:4]
        assert form.product(few) == form.round(few[0].value * few[1].value * few[2].value * few[3].value)
    assert differs > 20, "rounding after every addition gives other sums"


def test_floor_is_the_greatest_integer_below() -> None:
    form = FloatFormat.paper(4)
    for x in form.members()[::7]:
        assert form.floor(x) == form.round(x.value.__floor__())
    assert form.floor(form.round(Fraction(-1, 4))).value == -1


@pytest.mark.parametrize("name", ["fp8-e4m3", "fp8-e5m2"])
def test_hardware_formats_list_the_right_numbers(name: str) -> None:
    form = parse_format(name)
    assert isinstance(form, FloatFormat)
    values = [float(x.value) for x in form.members()]
    assert max(values) == {"fp8-e4m3": 448.0, "fp8-e5m2": 57344.0}[name]
    assert min(v for v in values if v > 0) == {"fp8-e4m3": 2.0**-9, "fp8-e5m2": 2.0**-16}[name]
    assert len(values) == {"fp8-e4m3": 253, "fp8-e5m2": 247}[name]


def test_half_precision_is_that_of_numpy() -> None:
    form, rng = parse_format("fp16"), np.random.default_rng(0)
    assert isinstance(form, FloatFormat)
    for x in rng.standard_normal(300) * 2.0 ** rng.integers(-28, 15, 300):
        assert float(form.round(Fraction(x)).value) == float(np.float16(x))


def test_fixed_point_rounds_and_saturates() -> None:
    form = FixedFormat(4, 2)
    assert [form.round(Fraction(k, 8)) for k in (-99, -3, -1, 1, 3, 5, 99)] == [-8, -2, 0, 0, 2, 2, 7]
    assert FixedFormat(3, 0, signed=False).high == 7


@pytest.mark.parametrize("text", ["F1", "F99", "float", "fixed:0", "fixed:", "ufixed:65", ""])
def test_bad_formats_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_format(text)
