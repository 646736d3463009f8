"""Primitives against exact arithmetic: on every input where small, at random beyond; depths as stated."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from separatrix.depth import Builder
from separatrix.depth.measure import measure
from separatrix.depth.primitives.floats import encode
from separatrix.depth.primitives.table import (
    adder,
    divisions,
    exponentials,
    float_products,
    float_sums,
    ladder,
    primitive_rows,
    primitives,
    products,
    words,
)  # fmt: skip
from separatrix.depth.reference import evaluate_plain
from separatrix.depth.words import telescoped_bit
from separatrix.numbers import FloatFormat


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return primitive_rows(lanes=48)


def test_measured_depths_are_the_stated_ones(rows: list[dict]) -> None:
    assert [r for r in rows if r["depth"] != r["stated"]] == []
    assert {r["depth_materialised"] - r["depth"] for r in rows} <= {0, 1}


def test_every_primitive_agrees_with_exact_arithmetic(rows: list[dict]) -> None:
    assert [r for r in rows if r["wrong"]] == []
    assert len({r["name"] for r in rows}) >= 11


def test_words_over_solvable_groups_are_flat_and_over_s5_grow_by_a_level_a_doubling() -> None:
    depth = {(row.name, row.shape[0]): measure(row.circuit()).depth for row in ladder() + ladder(full=True)}
    for name in ("majority", "parity", "word over S3"):
        assert len({depth[name, n] for n in (4, 8, 16, 32)}) == 1
    assert [depth["word over S5", n] for n in (4, 8, 16, 32)] == [3, 4, 5, 6]


@pytest.mark.parametrize(("group", "n"), [("s3", 1), ("s3", 4), ("s5", 1), ("s5", 2)])
def test_words_on_every_input(group: str, n: int) -> None:
    one = words(group, n)
    bits = np.array(list(product((0, 1), repeat=n * one.shape[1])))
    letters = (bits.reshape(len(bits), n, -1) << np.arange(one.shape[1])).sum(axis=2)
    got = evaluate_plain(one.circuit(), bits).reshape(len(bits), -1)
    assert got.tolist() == [one.answer(row) for row in letters.tolist()]


def test_the_comparison_can_fail() -> None:
    from dataclasses import replace

    one = primitives()[2]
    broken = replace(one, answer=lambda xs: [1 - bit for bit in one.answer(xs)])
    assert broken.check(16, np.random.default_rng(0)) == 16


@pytest.mark.parametrize(("n", "p", "gates"), [(4, 8, 52), (8, 8, 109), (16, 8, 222), (32, 8, 447), (8, 16, 229)])
def test_gates_of_the_adder_follow_the_formula(n: int, p: int, gates: int) -> None:
    circuit = adder(n, p, small=False).circuit()
    assert circuit.gates == gates == 2 * n * p - sum(-(-n // 2**j) for j in range(p))


@pytest.mark.parametrize(("n", "p"), [(8, 8), (16, 16), (64, 8)])
def test_block_save_adders_have_weights_below_n(n: int, p: int) -> None:
    report = measure(adder(n, p, small=True).circuit())
    assert report.depth == 4
    assert 2 ** (report.weight_bits - 1) < n
    assert 2 ** (report.threshold_bits - 1) <= n * n


@pytest.mark.parametrize(("n", "p"), [(4, 3), (3, 4), (2, 6), (6, 2), (5, 2), (1, 4), (12, 1)])
def test_both_adders_on_every_input(n: int, p: int) -> None:
    bits = np.array(list(product([0, 1], repeat=n * p)))
    sums = (bits.reshape(-1, n, p) * 2 ** np.arange(p)).sum(axis=(1, 2))
    for small in (False, True):
        one = adder(n, p, small)
        got = evaluate_plain(one.circuit(), bits, bounds=True)
        assert (got * 2 ** np.arange(got.shape[1])).sum(axis=1).tolist() == sums.tolist()
        assert np.isin(got, [0, 1]).all()


@pytest.mark.parametrize(("m", "p"), [(2, 4), (3, 3), (4, 2), (2, 5)])
def test_iterated_products_on_every_input(m: int, p: int) -> None:
    bits = np.array(list(product([0, 1], repeat=m * p)))
    values = (bits.reshape(-1, m, p) * 2 ** np.arange(p)).sum(axis=2).prod(axis=1)
    circuit = products(m, p).circuit()
    got = evaluate_plain(circuit, bits, bounds=True)
    assert circuit.depth == 4
    assert (got * 2 ** np.arange(m * p)).sum(axis=1).tolist() == values.tolist()


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
def test_division_by_power_series_on_every_input(p: int) -> None:
    """Seven levels, with weights beyond 64 bits among them."""
    bits = np.array(list(product([0, 1], repeat=2 * p)))
    x, y = (bits.reshape(-1, 2, p) * 2 ** np.arange(p)).sum(axis=2).T
    circuit = divisions(p).circuit()
    got = evaluate_plain(circuit, bits, bounds=True)
    assert circuit.depth == (7 if p > 1 else 6)
    assert (got * 2 ** np.arange(p)).sum(axis=1).tolist() == np.where(y > 0, x // np.maximum(y, 1), 0).tolist()


@pytest.mark.parametrize("p", [3, 7, 8])
def test_exponentials_by_power_series_on_every_input(p: int) -> None:
    bits = np.arange(2**p)[:, None] >> np.arange(p) & 1
    circuit = exponentials(p).circuit()
    got = (evaluate_plain(circuit, bits, bounds=True) * 2 ** np.arange(p + 2)).sum(axis=1)
    true = 2**p * np.exp(np.arange(2**p) / 2**p)
    assert circuit.depth == 3
    assert (got <= true).all() and (got > true - 1.5).all()


def test_series_and_products_have_polynomially_many_gates() -> None:
    """Tables double with every bit; these grow by a power of p."""
    gates = {make: [make(p).circuit().gates for p in (4, 8)] for make in (divisions, exponentials)}
    gates[lambda p: products(2, p)] = [products(2, p).circuit().gates for p in (4, 8)]
    assert all(large < 12 * small for small, large in gates.values())
    assert products(2, 16).circuit().gates < 2**12


def test_floats_of_two_bits_on_every_pair() -> None:
    form = FloatFormat.paper(2)
    pairs = list(product(form.members(), repeat=2))
    bits = np.array([encode(form, a) + encode(form, b) for a, b in pairs])
    total = evaluate_plain(float_sums(2, 2).circuit(), bits, bounds=True)
    times = evaluate_plain(float_products(2).circuit(), bits, bounds=True)
    assert total.tolist() == [encode(form, form.add(a, b)) for a, b in pairs]
    assert times.tolist() == [encode(form, form.multiply(a, b)) for a, b in pairs]


@pytest.mark.parametrize(("n", "p", "gates"), [(4, 3, 512), (8, 3, 896), (4, 4, 1536)])
def test_float_sums_have_depth_two_and_the_stated_size(n: int, p: int, gates: int) -> None:
    circuit = float_sums(n, p).circuit()
    assert (circuit.depth, circuit.gates) == (2, gates)
    assert circuit.gates == 4 * n * p * 2**p + 2 ** (2 * p + 1)


@pytest.mark.slow
def test_the_larger_primitives() -> None:
    rows = primitive_rows(full=True)
    assert [r for r in rows if r["wrong"] or r["depth"] != r["stated"]] == []


def test_telescoped_bits_of_negative_sums_are_shifted_first() -> None:
    b = Builder(3)
    form = b.forms([[0, 1, 2]], [[1, -3, -2]])
    bits = [telescoped_bit(b, form[0], j) for j in range(3)]
    circuit = b.circuit(type(form).stack(bits))
    lanes = np.array(list(product([0, 1], repeat=3)))
    values = lanes @ np.array([1, -3, -2])
    assert evaluate_plain(circuit, lanes).tolist() == [[int(v) >> j & 1 for j in range(3)] for v in values]
