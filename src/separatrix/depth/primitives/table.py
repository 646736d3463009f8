"""Every primitive with its stated depth, built, measured and compared with exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from separatrix.depth.builder import Builder
from separatrix.depth.circuit import Circuit
from separatrix.depth.forms import Forms
from separatrix.depth.measure import measure
from separatrix.depth.primitives.addition import add_large_weights, add_small_weights, sum_bits
from separatrix.depth.primitives.comparison import less, less_small_weights
from separatrix.depth.primitives.division import quotient_steps
from separatrix.depth.primitives.floats import (
    FloatWires,
    decode_steps,
    encode,
    float_product,
    float_sum,
    round_steps,
    value_form,
)
from separatrix.depth.primitives.groups import majority, parity, word_s3, word_s5
from separatrix.depth.primitives.multiplication import binary, multiply, multiply_small_weights, product, unary
from separatrix.depth.primitives.series import divide, exponential, exponential_coefficients
from separatrix.depth.reference import evaluate_plain
from separatrix.depth.words import integer
from separatrix.numbers.floats import FloatFormat, Number
from separatrix.tasks.word_problem import elements
from separatrix.tasks.word_problem import products as group_products


@dataclass(frozen=True)
class Primitive:
    """One row: what is built, from how many numbers of how many bits, and what it must compute.

    Attributes:
        stated: the depth of the construction with form outputs.
        weights: `LT` (weights exponential in p) or `MAJ` (polynomial in n and p).
        build: (builder, wires (numbers, bits)) -> forms.
        answer: numbers -> list of outputs; integers, or `Number`s for floats.
        floats: the format, where the numbers are floats (2p + 2 wires each).
    """

    name: str
    parameters: str
    stated: int
    weights: str
    shape: tuple[int, int]
    build: Callable[[Builder, np.ndarray], Forms]
    answer: Callable[[list[Any]], list[int]]
    floats: FloatFormat | None = None

    def circuit(self) -> Circuit:
        """The circuit, its inputs in the order of the numbers, lowest bits first."""
        count, bits = self.shape
        b = Builder(count * bits)
        return b.circuit(self.build(b, np.arange(count * bits).reshape(count, bits)))

    def inputs(self, lanes: int, rng: np.random.Generator) -> tuple[np.ndarray, list[list[Any]]]:
        """(lanes, inputs) bits and the numbers they write: random, with extremes and zeros among them."""
        count, bits = self.shape
        rows = []
        for lane in range(lanes):
            if self.floats is not None:
                rows.append([_random_float(self.floats, rng, lane) for _ in range(count)])
            else:
                top = 2**bits - 1
                pool = [0, top, 1, int(rng.integers(0, top + 1))]
                some = lane % 3 == 0
                rows.append([pool[rng.integers(4)] if some else int(rng.integers(0, top + 1)) for _ in range(count)])
        if self.floats is not None:
            words = [[bit for x in row for bit in encode(self.floats, x)] for row in rows]
        else:
            words = [[x >> k & 1 for x in row for k in range(bits)] for row in rows]
        return np.array(words), rows

    def check(self, lanes: int, rng: np.random.Generator) -> int:
        """Lanes on which the circuit differs from exact arithmetic (0 is expected)."""
        bits, rows = self.inputs(lanes, rng)
        got = evaluate_plain(self.circuit(), bits).reshape(lanes, -1)
        want = np.array([self.answer(row) for row in rows])
        return int((got != want).any(axis=1).sum())


def _random_float(form: FloatFormat, rng: np.random.Generator, lane: int) -> Number:
    if rng.random() < 0.1:
        return form.zero
    m = int(rng.integers(2 ** (form.p - 1), 2**form.p)) * int(rng.choice([-1, 1]))
    if lane % 2:  # exponents close together: cancellation and ties
        return Number(m, int(np.clip(rng.integers(-2, form.p + 2) + (lane % 7) - 3, form.low, form.high)))
    return Number(m, int(rng.integers(form.low, form.high + 1)))


def _bits(x: int, count: int) -> list[int]:
    return [x >> k & 1 for k in range(count)]


def adder(n: int, p: int, small: bool) -> Primitive:
    """The iterated sum of n numbers of p bits, with weights 2^p (depth 1) or below n (depth 4)."""
    build = add_small_weights if small else add_large_weights
    name, regime = ("iterated addition, block-save", "MAJ") if small else ("iterated addition", "LT")
    return Primitive(
        name, f"n={n} p={p}", 4 if small else 1, regime, (n, p), build, lambda xs: _bits(sum(xs), sum_bits(n, p))
    )


def products(m: int, p: int) -> Primitive:
    """The iterated product of m numbers of p bits by Chinese remainders."""
    return Primitive("iterated product by CRT", f"m={m} p={p}", 4, "LT", (m, p), product,
                     lambda xs: _bits(prod(xs), m * p))  # fmt: skip


def float_sums(n: int, p: int) -> Primitive:
    """The sum of n floats of F_p, rounded once."""
    form = FloatFormat.paper(p)
    return Primitive("exact-then-round float sum", f"n={n} F_{p}", 2, "LT", (n, 2 * p + 2),
                     lambda b, w: float_sum(b, form, w), lambda xs: encode(form, form.sum(xs)), form)  # fmt: skip


def float_products(p: int) -> Primitive:
    """The rounded product of two floats of F_p."""
    form = FloatFormat.paper(p)
    return Primitive("float product", f"F_{p}", 3, "LT", (2, 2 * p + 2),
                     lambda b, w: float_product(b, form, w[0], w[1]),
                     lambda xs: encode(form, form.multiply(xs[0], xs[1])), form)  # fmt: skip


def divisions(p: int) -> Primitive:
    """floor(x / y) of two numbers of p bits, 0 for y = 0, by a power series, with no table of 2^p entries."""
    return Primitive(
        "division by power series",
        f"p={p}",
        7,
        "LT",
        (2, p),
        divide,
        lambda xs: _bits(xs[0] // xs[1] if xs[1] else 0, p),
    )


def exponentials(p: int) -> Primitive:
    """e^(x / 2^p) below, to p binary places, by a power series."""
    coefficients, shift = exponential_coefficients(p)

    def answer(xs: list[int]) -> list[int]:
        return _bits(sum(c * xs[0] ** i for i, c in enumerate(coefficients)) >> shift, p + 2)

    return Primitive(
        "exponential by power series", f"p={p}", 3, "LT", (1, p), lambda b, w: exponential(b, w[0]), answer
    )


def words(group: str, n: int) -> Primitive:
    """The product of n elements of S3 (its number) or of S5 (where it takes the points), given by their numbers."""
    order, table = len(elements(group)), group_products(group)

    def answer(xs: list[int]) -> list[int]:
        made = 0
        for x in xs:
            made = int(table[made, x if x < order else 0])
        return [made] if group == "s3" else list(elements(group)[made])

    build, depth = (word_s3, 5) if group == "s3" else (word_s5, 1 + (n - 1).bit_length())
    name = f"word over {group.upper()}"
    return Primitive(name, f"n={n}", depth, "LT", (n, (order - 1).bit_length()), build, answer)


def ladder(full: bool = False) -> list[Primitive]:
    """Majority, parity and words over S3, whose depth does not grow with n; words over S5, whose depth does."""
    sizes = (8, 16, 32) if full else (4, 8)
    rows = []
    for n in sizes:
        rows += [
            Primitive("majority", f"n={n}", 1, "MAJ", (n, 1), lambda b, w: majority(b, w[:, 0]),
                      lambda xs: [2 * sum(xs) > len(xs)]),
            Primitive("parity", f"n={n}", 1, "MAJ", (n, 1), lambda b, w: parity(b, w[:, 0]), lambda xs: [sum(xs) % 2]),
            words("s3", n),
            words("s5", n),
        ]  # fmt: skip
    return sorted(rows, key=lambda row: [r.name for r in rows].index(row.name))


def primitives(full: bool = False) -> list[Primitive]:
    """The table's rows; `full` adds the larger sizes."""
    p = 8
    square = [(x * x) // 7 % 251 for x in range(256)]
    mixed = np.array([[(3 * x * y + x) % 17 for y in range(16)] for x in range(16)])

    def compared(b: Builder, w: np.ndarray) -> Forms:
        gates = quotient_steps(b, integer(b, w[0]), integer(b, w[1]) + 1, np.arange(1, 256))
        return b.forms(gates, 1, 0, 0, 255)[None]

    def half_even(xs: list[int]) -> list[int]:
        quotient, rest = divmod(xs[0], xs[1] + 1)
        return [quotient + (2 * rest > xs[1] + 1 or (2 * rest == xs[1] + 1 and quotient % 2))]

    def dot_product(b: Builder, w: np.ndarray) -> Forms:
        gates = b.both(w[:4, :, None], w[4:, None, :], "product")
        return b.forms(gates.reshape(1, -1), np.tile(2 ** np.add.outer(np.arange(4), np.arange(4)).reshape(-1), 4))

    def minterms(b: Builder, w: np.ndarray) -> Forms:
        codes = np.arange(16)
        ones = codes[:, None] >> np.arange(4) & 1
        ands = b.gate(b.forms(np.broadcast_to(w[0], (16, 4)), 2 * ones - 1), ones.sum(axis=1), "minterm")
        ors = [b.any(ands[np.array([square[x] >> k & 1 for x in codes], dtype=bool)]) for k in range(8)]
        return b.forms(np.array(ors)[:, None])

    three = FloatFormat.paper(3)

    def to_float(b: Builder, w: np.ndarray) -> Forms:
        return decode_steps(b, three, round_steps(b, three, integer(b, w[0]), three.low))

    rows = [
        Primitive("constant times number", "p=8", 0, "MAJ", (1, p), lambda b, w: b.add([(13, integer(b, w[0]))])[None],
                  lambda xs: [13 * xs[0]]),
        Primitive("dot product", "d=4 p=4", 1, "LT", (8, 4), dot_product,
                  lambda xs: [sum(x * y for x, y in zip(xs[:4], xs[4:], strict=True))]),
        Primitive("comparison", "p=8", 1, "LT", (2, p), lambda b, w: less(b, *w)[None], lambda xs: [xs[0] < xs[1]]),
        Primitive(
            "comparison, small weights", "p=8", 2, "MAJ", (2, p),
            lambda b, w: less_small_weights(b, *w)[None], lambda xs: [xs[0] < xs[1]],
        ),
        *(adder(n, q, small) for n, q in [(4, 8), (16, 8), (8, 16)] for small in (False, True)),
        Primitive("multiplication", "p=8", 2, "LT", (2, p), lambda b, w: multiply(b, *w),
                  lambda xs: _bits(xs[0] * xs[1], 16)),
        Primitive("multiplication, block-save", "p=8", 5, "MAJ", (2, p), lambda b, w: multiply_small_weights(b, *w),
                  lambda xs: _bits(xs[0] * xs[1], 16)),
        *(products(m, q) for m, q in [(2, 4), (3, 4), (4, 4), (2, 8)]),
        Primitive("division by comparison", "p=8", 1, "LT", (2, p), compared, half_even),
        Primitive("function of one number", "p=8", 1, "LT", (1, p), lambda b, w: unary(b, w[0], square)[None],
                  lambda xs: [square[xs[0]]]),
        Primitive("function by minterms", "p=4", 2, "MAJ", (1, 4), minterms, lambda xs: _bits(square[xs[0]], 8)),
        Primitive("function of two numbers", "p=4", 2, "LT", (2, 4), lambda b, w: binary(b, w[0], w[1], mixed)[None],
                  lambda xs: [int(mixed[xs[0], xs[1]])]),
        Primitive("rounding to floats", "F_3", 1, "LT", (1, 12), to_float,
                  lambda xs: encode(three, three.round(xs[0] * Fraction(2) ** three.low))),
        Primitive("float as one form", "F_3", 1, "LT", (1, 8),
                  lambda b, w: value_form(b, three, FloatWires.of(w, 3)), lambda xs: [xs[0].m << (xs[0].e - three.low)],
                  three),
        divisions(4),
        exponentials(6),
        *(float_sums(n, q) for n, q in [(4, 3), (8, 3), (4, 4)]),
        float_products(3),
        float_products(4),
        *ladder(),
    ]  # fmt: skip
    if full:
        rows += [adder(n, q, small) for n in (32, 64) for q in (8, 16) for small in (False, True)]
        rows += [
            products(3, 8),
            products(4, 8),
            products(2, 16),
            divisions(8),
            exponentials(12),
            *(float_sums(n, 3) for n in (16, 32)),
        ]
        rows += [*(float_sums(n, 4) for n in (8, 16, 32)), float_sums(4, 5), *ladder(full=True)]
    return rows


def primitive_rows(full: bool = False, lanes: int = 64, progress: Callable[[str], None] = lambda _: None) -> list[dict]:
    """One dictionary a primitive: stated and measured depth, gates, edges, greatest weight, lanes that disagree."""
    rng, rows = np.random.default_rng(0), []
    for one in primitives(full):
        progress(f"{one.name} {one.parameters}")
        report = measure(one.circuit())
        rows.append(
            {
                "name": one.name, "parameters": one.parameters, "regime": one.weights, "stated": one.stated,
                "depth": report.depth, "depth_materialised": report.depth_materialised, "gates": report.gates,
                "edges": report.edges, "weight_bits": report.weight_bits, "lanes": lanes,
                "wrong": one.check(lanes, rng),
            }
        )  # fmt: skip
    return rows
