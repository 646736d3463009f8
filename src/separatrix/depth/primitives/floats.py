"""Floats of F_p in a circuit: value as one long form, rounding by a thermometer of midpoints (for p <= 5).

A number comes as 2p + 2 wires: sign, then the significand and the exponent + 2^p, both lowest bit first. Its value in
units of the least bit is a form with weights up to 2^(2^(p+1) + p): one gate for each significand bit, exponent and
sign. A sum of any number of such forms is exact and costs nothing; rounding is one level.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.builder import FALSE, Builder
from separatrix.depth.forms import Forms
from separatrix.depth.rows import exact
from separatrix.depth.words import integer, lookup, steps
from separatrix.numbers.floats import FloatFormat, Number


@dataclass(frozen=True, slots=True)
class FloatWires:
    """A number as wires: sign (...,), significand (..., p), exponent (..., p + 1)."""

    sign: np.ndarray
    significand: np.ndarray
    exponent: np.ndarray

    @classmethod
    def of(cls, wires: np.ndarray, p: int) -> FloatWires:
        """From (..., 2p + 2) wires."""
        return cls(wires[..., 0], wires[..., 1 : p + 1], wires[..., p + 1 :])


def encode(form: FloatFormat, x: Number) -> list[int]:
    """The 2p + 2 bits of a number."""
    m, e = abs(x.m), x.e - form.low
    return [int(x.m < 0), *(m >> k & 1 for k in range(form.p)), *(e >> k & 1 for k in range(form.p + 1))]


def value_form(b: Builder, form: FloatFormat, x: FloatWires) -> Forms:
    """The value in units of 2^low: one level, 2 p 2^(p+1) gates a number."""
    _small(form)
    p, count = form.p, form.high - form.low + 1
    weight, target = _literals(np.arange(count), p + 1)
    shape = x.sign.shape
    wires = np.concatenate(
        [np.broadcast_to(x.exponent[..., None, None, None, :], (*shape, count, p, 2, p + 1)),
         np.broadcast_to(x.significand[..., None, :, None, None], (*shape, count, p, 2, 1)),
         np.broadcast_to(x.sign[..., None, None, None, None], (*shape, count, p, 2, 1))], axis=-1)  # fmt: skip
    weights = np.concatenate(
        [np.broadcast_to(weight[:, None, None, :], (count, p, 2, p + 1)), np.ones((count, p, 2, 1), dtype=np.int64),
         np.broadcast_to(np.array([-1, 1])[:, None], (count, p, 2, 1))], axis=-1)  # fmt: skip
    bars = target[:, None, None] + 1 + np.array([0, 1])
    gates = b.gate(b.forms(wires, weights), np.broadcast_to(bars, (count, p, 2)), "float value")
    sizes = np.array([[[s * 2 ** (e + k) for s in (1, -1)] for k in range(p)] for e in range(count)], dtype=object)
    most = form.greatest.m << (form.high - form.low)
    flat = gates.reshape(*shape, -1)
    return b.forms(flat, np.broadcast_to(sizes.reshape(-1), flat.shape), 0, -most, most)


def rounding_thresholds(form: FloatFormat, unit: int) -> np.ndarray:
    """Least integers, in units of 2^unit, that round to each member but the first."""
    members = form.members()
    bars = []
    for a, c in pairwise(members):
        middle = (a.value + c.value) / 2 / Fraction(2) ** unit
        upper = form.round((a.value + c.value) / 2) == c
        floor = middle.__floor__()
        bars.append(floor if upper and middle.denominator == 1 else floor + 1)
    return exact(bars)


def round_steps(b: Builder, form: FloatFormat, value: Forms, unit: int, op: str = "round") -> np.ndarray:
    """(..., members - 1) wires: the rounded value is at least each member but the first. One level."""
    return steps(b, value, rounding_thresholds(form, unit), op)


def decode_steps(b: Builder, form: FloatFormat, wires: np.ndarray) -> Forms:
    """(..., 2p + 2) forms of the encoding's bits, from a thermometer over the members: free."""
    codes = np.array([encode(form, x) for x in form.members()])
    return Forms.stack([lookup(b, wires, codes[:, k]) for k in range(codes.shape[1])], axis=-1)


def float_sum(b: Builder, form: FloatFormat, numbers: np.ndarray) -> Forms:
    """Bits of the exact sum, rounded once, of (n, 2p + 2) wires. Two levels."""
    values = value_form(b, form, FloatWires.of(numbers, form.p))
    total = b.dot(1, values)
    return decode_steps(b, form, round_steps(b, form, total, form.low))


def product_value(b: Builder, form: FloatFormat, x: FloatWires, y: FloatWires) -> tuple[Forms, int]:
    """(x y as a form, its unit): exact where it matters, two levels.

    Exponent sums from which every product saturates, or under which it vanishes, are taken together.
    """
    _small(form)
    p = form.p
    bits = b.both(x.significand[..., :, None], y.significand[..., None, :], "significand")
    both = b.both(x.sign, y.sign, "sign")
    exponents = b.add([(1, integer(b, x.exponent)), (1, integer(b, y.exponent))], 2 * form.low)
    least, most = max(form.low - p - 2, 2 * form.low), min(form.high + 1, 2 * form.high)
    at = np.arange(least, most + 2)
    above = steps(b, exponents, at, "exponent")
    count = most - least + 1
    shape = (*both.shape, p, p, count, 2)
    here, after = above[..., :-1].copy(), above[..., 1:].copy()
    after[..., -1] = FALSE  # the last takes everything from it on
    wires = np.stack(
        np.broadcast_arrays(bits[..., None, None], here[..., None, None, :, None], after[..., None, None, :, None],
                            x.sign[..., None, None, None, None], y.sign[..., None, None, None, None],
                            both[..., None, None, None, None], np.zeros(shape, dtype=np.int64))[:6],
        axis=-1)  # fmt: skip
    sign = np.array([[-1, -1, 2], [1, 1, -2]])  # 1 - xor, xor
    weights = np.concatenate([np.broadcast_to([1, 1, -1], (2, 3)), sign], axis=1)
    gates = b.gate(b.forms(wires, np.broadcast_to(weights, wires.shape)), np.array([2, 3]), "float product")
    places = np.add.outer(np.add.outer(np.arange(p), np.arange(p)), np.arange(count))
    sizes = np.array([[s * 2 ** int(c) for s in (1, -1)] for c in places.reshape(-1)], dtype=object)
    top = (2**p - 1) ** 2 << (count - 1)
    flat = gates.reshape(*both.shape, -1)
    return b.forms(flat, np.broadcast_to(sizes.reshape(-1), flat.shape), 0, -top, top), least


def float_product(b: Builder, form: FloatFormat, left: np.ndarray, right: np.ndarray) -> Forms:
    """Bits of the rounded product of (2p + 2,) wires each. Three levels."""
    value, unit = product_value(b, form, FloatWires.of(left, form.p), FloatWires.of(right, form.p))
    return decode_steps(b, form, round_steps(b, form, value, unit))


def _literals(values: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (values, bits) of +-1 and the sum reached exactly when the bits write the value."""
    ones = values[:, None] >> np.arange(bits) & 1
    return np.where(ones == 1, 1, -1), ones.sum(axis=1)


def _small(form: FloatFormat) -> None:
    if form.p > 5 or form.gradual or form.low != -(2**form.p) or form.high != 2**form.p - 1:
        raise InputError(f"{form}: the circuit for floats is a table, and is built for F_2 to F_5 only")
