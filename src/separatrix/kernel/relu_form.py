"""One hidden ReLU layer in its normal form, exactly: linear + sum of c_k |w_k . u| with pairwise non-parallel w_k.

The form is unique (absolute values along different lines are linearly independent modulo linear functions), so two nets
are the same function if and only if they have the same form. relu(a) = a/2 + |a|/2 gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

Row = tuple[Fraction, ...]


@dataclass(frozen=True, slots=True)
class ReluForm:
    """linear . u + sum_k weight_k |line_k . u|; u[0] is the constant 1, lines start with a coefficient 1."""

    linear: Row
    kinks: tuple[tuple[Row, Fraction], ...]

    def branches(self) -> list[Row] | None:
        """The linear forms whose maximum (all weights > 0) or minimum (all < 0) this is; None where signs are mixed."""
        signs = {weight > 0 for _, weight in self.kinks}
        if len(signs) > 1 or len(self.kinks) > 6:
            return None
        rows = [self.linear]
        for line, weight in self.kinks:
            rows = [tuple(a + s * weight * b for a, b in zip(row, line, strict=True)) for row in rows for s in (1, -1)]
        return rows

    @property
    def convex(self) -> bool:
        """Whether no kink points down."""
        return all(weight > 0 for _, weight in self.kinks)


def exact(array: np.ndarray) -> list[list[Fraction]]:
    """A float matrix as fractions."""
    return [[Fraction(v) for v in row] for row in np.asarray(array, dtype=np.float64).tolist()]


def relu_forms(inner: Sequence[Row], outer: Sequence[Sequence[Fraction]], bias: Sequence[Fraction]) -> list[ReluForm]:
    """One form an output of u -> sum_h relu(inner_h . u) outer[h] + bias.

    inner: a row a hidden unit, over u (u[0] = 1). outer: (hidden, outputs). bias: (outputs,).
    """
    width, count = len(inner[0]), len(bias)
    linear = [[Fraction(0)] * width for _ in range(count)]
    kinks: list[dict[Row, Fraction]] = [{} for _ in range(count)]
    half = Fraction(1, 2)
    for o in range(count):
        linear[o][0] = bias[o]
    for unit, weights in zip(inner, outer, strict=True):
        first = next((v for v in unit[1:] if v), None)
        for o, weight in enumerate(weights):
            if not weight:
                continue
            if first is None:  # a constant unit
                linear[o][0] += weight * max(unit[0], Fraction(0))
                continue
            for v, value in enumerate(unit):
                if value:
                    linear[o][v] += weight * value * half
            line = tuple(value / first for value in unit)
            kinks[o][line] = kinks[o].get(line, Fraction(0)) + weight * abs(first) * half
    return [
        ReluForm(tuple(row), tuple((line, weight) for line, weight in found.items() if weight))
        for row, found in zip(linear, kinks, strict=True)
    ]
