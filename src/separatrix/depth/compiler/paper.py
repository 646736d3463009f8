"""The RoPE head rounded after every operation, as a circuit: 16 levels, whatever n, and 4 more for a layer norm.

A number is kept as the thermometer of its rounding: which members of F_p it is at least. Any function of one number is
then a form, so products with constants, exp, 1/x, and the bits of a number cost no level. Levels: thermometers of the
inputs 1; u 2; v 3; w 4; products w x 5, 6, 7 and s 8; D 9, beside the products A x 9, 10, 11 and B 12; C 13; products
with 1/D 14, 15, 16. Layer normalisation: sums 17 (the mean is a function of them), differences 18, sums of squares 19
(the variance and its root are functions of them), quotients by direct comparison 20 (gain and bias are functions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.builder import FALSE, Builder
from separatrix.depth.circuit import Circuit
from separatrix.depth.forms import Forms
from separatrix.depth.primitives.floats import encode, rounding_thresholds
from separatrix.depth.rows import exact
from separatrix.depth.words import lookup, steps
from separatrix.models.paper import Matrix, PaperHead, PaperNorm, deviation, negative, reciprocal
from separatrix.numbers.floats import FloatFormat, Number
from separatrix.numbers.functions import exp

MOST_BITS = 5
MOST_GATES = 2_000_000


@dataclass(frozen=True, eq=False)
class Floats:
    """An array of numbers: member c of `values` where c thermometer wires are 1.

    `values` need not be the members themselves: exp of a number is the same wires with other values.
    """

    wires: np.ndarray
    values: tuple[Number, ...]

    def pick(self, *index: Any) -> Floats:
        """The numbers at an index into the leading axes."""
        return Floats(self.wires[index], self.values)

    def apply(self, f: Callable[[Number], Number]) -> Floats:
        """f of every number, no level."""
        return Floats(self.wires, tuple(f(x) for x in self.values))

    def table(self, b: Builder, f: Callable[[Number], int]) -> Forms:
        """An integer function of every number, as a form."""
        return lookup(b, self.wires, exact([f(x) for x in self.values]))


def compile_paper(head: PaperHead) -> Circuit:
    """The circuit on n d (2p + 2) input wires (sign, significand, exponent + 2^p, lowest bits first); its outputs are
    the bits of the (n, d) results in the same code. InputError beyond p = 5."""
    form, n, d = head.form, head.n, head.d
    if form != FloatFormat.paper(form.p):
        raise InputError(f"{form}: heads rounded after every operation are compiled in the floats F_p")
    demand_paper(n, d, form.p, int(head.mask.sum()))
    b = Builder(head.input_bits)
    x = _inputs(b, form, np.arange(head.input_bits).reshape(n, d, -1))
    i, j = np.nonzero(head.mask)
    u = _by_constants(b, form, x, [head.query] * n, "query")
    v = _by_constants(b, form, u.pick(i), [head.rotation(int(t)) for t in j - i], "rotation")
    w = _by_constants(b, form, v, [tuple(zip(*head.key, strict=True))] * len(i), "key")
    s = _rounded_sum(b, form, _product(b, form, w, x.pick(j), "score product"), "score")  # (pairs,)
    a = s.apply(lambda number: exp(form, number))
    weights = _amount(b, form, a).scatter((n, n), i, j)
    total = _round(b, form, b.dot(1, weights), form.low, "denominator")
    mixed = _product(b, form, a.pick(slice(None), None), x.pick(j), "value product")  # (pairs, d)
    amounts = _amount(b, form, mixed).scatter((n, n), i, j).moved(1, 2)  # (n, d, n)
    mean = _round(b, form, b.dot(1, amounts), form.low, "values")
    c = _by_constants(b, form, mean, [head.value] * n, "value map")
    inverse = total.apply(lambda number: reciprocal(form, number))
    out = _product(b, form, inverse.pick(slice(None), None), c, "quotient")
    return _encoded(b, form, _columns(out) if head.norm is None else _normalised(b, form, head.norm, out))


def compile_norm(form: FloatFormat, norm: PaperNorm) -> Circuit:
    """Layer normalisation of one row of d encoded numbers: 5 levels."""
    demand_paper(1, len(norm.gain), form.p)
    b = Builder(len(norm.gain) * (2 * form.p + 2))
    x = _inputs(b, form, np.arange(b.inputs).reshape(1, len(norm.gain), -1))
    return _encoded(b, form, _normalised(b, form, norm, x))


def _columns(x: Floats) -> list[Floats]:
    """(..., d) numbers, column by column."""
    return [x.pick(..., c, slice(None)) for c in range(x.wires.shape[-2])]


def _encoded(b: Builder, form: FloatFormat, columns: Sequence[Floats]) -> Circuit:
    """The circuit whose outputs are the bits of (rows, d) numbers, given column by column."""
    bits = [Forms.stack([x.table(b, lambda number, k=k: encode(form, number)[k]) for x in columns], axis=-1)
            for k in range(2 * form.p + 2)]  # fmt: skip
    return b.circuit(Forms.stack(bits, axis=-1))


def demand_paper(n: int, d: int, p: int, pairs: int | None = None) -> None:
    """InputError with the estimate where the circuit would be too large; `pairs` is n (n + 1) / 2 for a causal mask."""
    count = (n * (n + 1) // 2 if pairs is None else pairs) * 2 * d * (p**2 * 2 ** (p + 2) + 2 ** (2 * p + 2))
    if p < 2 or p > MOST_BITS:
        raise InputError(
            f"--p {p}: heads rounded after every operation are compiled in F_2 to F_5; in F_{p} this one would "
            f"have about {count:,} gates, with weights of {2 ** (p + 1) + 2 * p} bits"
        )
    if count > MOST_GATES:
        raise InputError(f"about {count:,} gates, more than {MOST_GATES:,}: take a smaller n, d or p")


def _inputs(b: Builder, form: FloatFormat, wires: np.ndarray) -> Floats:
    """Thermometers of encoded numbers, one level: the size |x| is ordered as exponent and significand are, read as one
    integer, and a negative sign outweighs it. Inputs are members; what other bit patterns give is not said."""
    p = form.p
    weights = np.concatenate([2 ** np.arange(p), 2 ** (p - 1 + np.arange(p + 1))])
    top = 2 ** (2 * p + 1)
    bars, sign = [], []
    for member in form.members()[1:]:
        size = abs(member.m) + 2 ** (p - 1) * (member.e - form.low)
        positive = member.m > 0
        bars.append(size if positive else -size)  # size - top s >= code; or top (1 - s) - size >= - code
        sign.append(1 if positive else -1)
    shape = (*wires.shape[:-1], len(bars), wires.shape[-1])
    scale = np.concatenate([np.full((len(bars), 1), -top), np.outer(sign, weights)], axis=1)
    offset = np.where(np.array(sign) > 0, 0, top)
    forms = b.forms(np.broadcast_to(wires[..., None, :], shape), np.broadcast_to(scale, shape),
                    np.broadcast_to(offset, shape[:-1]))  # fmt: skip
    return Floats(b.gate(forms, np.broadcast_to(np.array(bars), shape[:-1]), "input"), form.members())


def _amount(b: Builder, form: FloatFormat, x: Floats) -> Forms:
    """The numbers in units of 2^low, as forms."""
    return x.table(b, lambda number: number.m << (number.e - form.low))


def _round(b: Builder, form: FloatFormat, total: Forms, unit: int, op: str) -> Floats:
    """The members nearest to totals in units of 2^unit: one level."""
    return Floats(steps(b, total, rounding_thresholds(form, unit), op), form.members())


def _rounded_sum(b: Builder, form: FloatFormat, x: Floats, op: str) -> Floats:
    """The sum over the last axis, exact and then rounded: one level."""
    return _round(b, form, b.dot(1, _amount(b, form, x)), form.low, op)


def _normalised(b: Builder, form: FloatFormat, norm: PaperNorm, x: Floats) -> list[Floats]:
    """Rows (..., d) normalised, four levels; column by column, since each has a gain and a bias of its own."""
    d = x.wires.shape[-2]
    count = form.round(d)
    mean = _rounded_sum(b, form, x, "mean").apply(lambda number: negative(form.divide(number, count)))
    both = b.add([(1, _amount(b, form, x)), (1, _amount(b, form, mean.pick(..., None, slice(None))))])
    centred = _round(b, form, both, form.low, "centred")
    squares = _rounded_sum(b, form, centred.apply(lambda number: form.multiply(number, number)), "variance")
    below = squares.apply(lambda number: deviation(form, form.divide(number, count)))
    quotient = _quotient(b, form, centred, below.pick(..., None, slice(None)), "normalised")
    return [
        column.apply(lambda y, g=gain, s=bias: form.add(form.multiply(y, g), s))
        for column, gain, bias in zip(_columns(quotient), norm.gain, norm.bias, strict=True)
    ]


def _quotient(b: Builder, form: FloatFormat, x: Floats, y: Floats, op: str) -> Floats:
    """Rounded quotients by positive numbers, one level: x / y is at least a midpoint u / v iff v x - u y >= 0."""
    members = form.members()
    middles = [(a.value + c.value) / 2 for a, c in pairwise(members)]
    bars = [int(form.round(middle) != c) for middle, c in zip(middles, members[1:], strict=True)]  # 1: a tie goes down
    top, under = _amount(b, form, x)[..., None], _amount(b, form, y)[..., None]
    times = exact([middle.denominator for middle in middles])
    gaps = b.add([(times, top), (exact([-middle.numerator for middle in middles]), under)])
    return Floats(b.gate(gaps, np.array(bars), op), members)


def _by_constants(b: Builder, form: FloatFormat, x: Floats, matrices: Sequence[Matrix], op: str) -> Floats:
    """(rows, d) times a constant matrix for each row: rounded products are tables of x, so one level in all."""
    rows, d = x.wires.shape[:2]
    known: dict[Number, np.ndarray] = {}
    tables = np.zeros((rows, len(matrices[0][0]), d, len(x.values)), dtype=object)
    for r, matrix in enumerate(matrices):
        for a in range(d):
            for c, weight in enumerate(matrix[a]):
                if weight not in known:
                    products = (form.multiply(number, weight) for number in x.values)
                    known[weight] = exact([y.m << (y.e - form.low) for y in products])
                tables[r, c, a] = known[weight]
    spread = np.broadcast_to(x.wires[:, None], (rows, tables.shape[1], d, x.wires.shape[-1]))
    return _round(b, form, b.dot(1, lookup(b, spread, exact(tables))), form.low, op)


def _product(b: Builder, form: FloatFormat, x: Floats, y: Floats, op: str) -> Floats:
    """Rounded products, three levels: ANDs of significand bits, thermometer of the exponents' sum and the signs; one
    AND of the three for every size and sign; rounding. Sums from which all products saturate, or under which they
    vanish, are taken together."""
    p = form.p
    bits = [[z.table(b, lambda number, k=k: abs(number.m) >> k & 1) for k in range(p)] for z in (x, y)]
    signs = [z.table(b, lambda number: int(number.m < 0)) for z in (x, y)]
    powers = [z.table(b, lambda number: number.e) for z in (x, y)]
    left, right = (Forms.stack(part, axis=-1) for part in bits)
    ands = b.gate(b.add([(1, left[..., :, None]), (1, right[..., None, :])]), 2, op)
    pair = b.add([(1, signs[0]), (1, signs[1])])
    either, both = b.gate(pair, 1, op), b.gate(pair, 2, op)
    least, most = form.low - p - 2, form.high + 1
    above = steps(b, b.add([(1, powers[0]), (1, powers[1])]), np.arange(least, most + 1), op)
    after = np.concatenate([above[..., 1:], np.full((*above.shape[:-1], 1), FALSE)], axis=-1)
    count = most - least + 1
    shape = (*above.shape[:-1], p, p, count, 2)
    wires = np.stack([np.broadcast_to(part, shape) for part in (
        ands[..., None, None], above[..., None, None, :, None], after[..., None, None, :, None],
        either[..., None, None, None, None], both[..., None, None, None, None])], axis=-1)  # fmt: skip
    weights = np.array([[1, 1, -1, -1, 1], [1, 1, -1, 1, -1]])  # signs equal: 1 - xor; signs different: xor
    gates = b.gate(b.forms(wires, np.broadcast_to(weights, wires.shape)), np.array([2, 3]), op)
    places = np.add.outer(np.add.outer(np.arange(p), np.arange(p)), np.arange(count)).reshape(-1)
    sizes = exact(np.array([[2 ** int(c), -(2 ** int(c))] for c in places], dtype=object).reshape(-1))
    flat = gates.reshape(*above.shape[:-1], -1)
    top = (2**p - 1) ** 2 << (count - 1)
    total = b.forms(flat, np.broadcast_to(sizes, flat.shape), 0, -top, top)
    return _round(b, form, total, least, op + " rounded")


def encoded(form: FloatFormat, x: Sequence[Sequence[Number]]) -> list[int]:
    """Input bits of (n, d) numbers."""
    return [bit for row in x for number in row for bit in encode(form, number)]
