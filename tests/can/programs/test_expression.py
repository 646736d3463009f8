"""Expressions evaluate as written, and compile to ReLU nets that are the same function."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.can.programs.expression import (
    Expression,
    Leaf,
    ReluNet,
    absolute,
    compile_net,
    maximum,
    minimum,
    own,
    received,
    relu,
    select,
)

X, Y, Z = own(0), received(0), received(1)
CASES: dict[str, tuple[Expression, int]] = {
    "sum": (X + 2.0 * Y - Z, 0),
    "constant": (Expression((), 3.0), 0),
    "maximum": (maximum(X, Y), 1),
    "minimum": (minimum(X, Y) + 1.0, 1),
    "compare": (minimum(X, Y) + absolute(Z - X), 1),
    "three": (maximum(maximum(X, Y), Z), 2),
    "median of three": (maximum(minimum(X, Y), minimum(maximum(X, Y), Z)), 3),
    "carried": (X + maximum(relu(Y - 1.0), Z), 2),
}


def run(net: ReluNet, rows: np.ndarray) -> np.ndarray:
    for weight, bias in zip(net.weights[:-1], net.biases[:-1], strict=True):
        rows = np.maximum(rows @ weight + bias, 0.0)
    return rows @ net.weights[-1] + net.biases[-1]


def column(leaf: Leaf) -> int:
    return leaf.index if leaf.kind == "own" else 1 + leaf.index


@pytest.mark.parametrize("name", CASES)
def test_the_net_is_the_expression(name: str) -> None:
    expression, depth = CASES[name]
    assert expression.depth == depth
    rows = np.random.default_rng(0).normal(size=(500, 3)) * 3
    net = compile_net([expression, X], column, 3)
    assert len(net.hidden) == max(1, depth)
    wanted = np.broadcast_to(expression.evaluate(lambda leaf: rows[:, column(leaf)]), (500,))
    assert np.abs(run(net, rows) - np.stack([wanted, rows[:, 0]], axis=1)).max() < 1e-12


def test_extremes_of_numbers() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 3))
    values = {name: CASES[name][0].evaluate(lambda leaf: rows[:, column(leaf)]) for name in CASES}
    assert np.allclose(values["maximum"], rows[:, :2].max(axis=1))
    assert np.allclose(values["three"], rows.max(axis=1))
    assert np.allclose(values["median of three"], np.median(rows, axis=1))


def test_select_is_exact_within_its_bound_and_not_beyond() -> None:
    chosen = select(X, Y, Z, 4.0)

    def at(bit: float, one: float, zero: float) -> float:
        return float(chosen.evaluate(lambda leaf: np.array([bit, one, zero])[column(leaf)]))

    assert (at(1, 3.5, -2), at(0, 3.5, -2), at(1, -4, 4), at(0, -4, 4)) == (3.5, -2.0, -4.0, 4.0)
    assert at(0, 5.0, 0.0) != 0.0


def test_equal_text_for_people() -> None:
    assert str(maximum(X, 0.5 * Y)) == "own[0] + relu(0.5 received[0] - own[0])"
    assert str(X - X) == "0"
