"""The RoPE attention layer of Chen et al. (2024) in F_p, rounded after every operation as in the paper.

In the paper's order: u = x_i W_Q, v = u R_(j-i), w = v W_K^T, s = w x_j^T, A_ij = exp(s), D_i = sum_j A_ij,
B = A X, C = B W_V, out = D^-1 C. Every product is rounded, every sum is exact and then rounded once. The paper does not
say what 1/0 is, which happens when all exponentials of a row underflow: here it is the greatest member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from separatrix.core.errors import InputError
from separatrix.models.rope import RopeAttention, RopeTransformer, visible
from separatrix.numbers.floats import FloatFormat, Number
from separatrix.numbers.functions import cos, exp, sin, sqrt

Matrix = tuple[tuple[Number, ...], ...]


@dataclass(frozen=True, slots=True)
class PaperNorm:
    """Layer normalisation: (x - mean) / deviation, times a gain, plus a bias, rounded after every operation.

    mean = (sum x) / d, variance = (sum (x - mean)^2) / d, deviation = its root, as the paper takes them one by one. A
    variance that underflows to 0 counts as a deviation of the least positive number, since the paper divides by it.

    Attributes:
        gain, bias: (d,) members of the format.
    """

    gain: tuple[Number, ...]
    bias: tuple[Number, ...]

    @classmethod
    def plain(cls, form: FloatFormat, d: int) -> PaperNorm:
        """Gain 1 and bias 0."""
        return cls((form.round(1),) * d, (form.zero,) * d)


@dataclass(frozen=True, eq=False)
class PaperHead:
    """One head on n rows; weights, angles and rotations are members of the format.

    Attributes:
        query, key, value: (d, d); theta: (d / 2,); mask: (n, n) whether row i reads row j.
        norm: of every row of the result, None for none.
    """

    form: FloatFormat
    n: int
    query: Matrix
    key: Matrix
    value: Matrix
    theta: tuple[Number, ...]
    mask: np.ndarray
    norm: PaperNorm | None = None

    @property
    def d(self) -> int:
        """Width of a row."""
        return len(self.query)

    @property
    def input_bits(self) -> int:
        """2p + 2 bits for each of n d numbers."""
        return self.n * self.d * (2 * self.form.p + 2)

    @classmethod
    def of(cls, model: RopeTransformer, n: int, form: FloatFormat) -> PaperHead:
        """From a model of one block with one head; every weight is rounded."""
        block = model.blocks[0]
        if len(model.blocks) != 1 or not isinstance(block, RopeAttention) or len(block.query) != 1 or block.residual:
            raise InputError("rounding after every operation is done for one attention layer with one head")
        if block.weights != "softmax":
            raise InputError(f"rounding after every operation is done for softmax, not for {block.weights} attention")
        query, key, value = (_rounded(form, a[0]) for a in (block.query, block.key, block.value))
        theta = tuple(form.round(Fraction(float(t))) for t in model.theta)
        return cls(form, n, query, key, value, theta, visible(model.mask, n))

    def rotation(self, steps: int) -> Matrix:
        """R_steps with its entries rounded, of angles steps * theta that were rounded before."""
        return _rotation(self.form, self.theta, steps)


def _rounded(form: FloatFormat, weights: np.ndarray) -> Matrix:
    return tuple(tuple(form.round(Fraction(float(w))) for w in row) for row in weights)


@lru_cache(maxsize=1024)
def _rotation(form: FloatFormat, theta: tuple[Number, ...], steps: int) -> Matrix:
    d = 2 * len(theta)
    out = [[form.zero] * d for _ in range(d)]
    for k, t in enumerate(theta):
        angle = form.multiply(form.round(steps), t)
        c, s = cos(form, angle), sin(form, angle)
        out[2 * k][2 * k] = out[2 * k + 1][2 * k + 1] = c
        out[2 * k][2 * k + 1], out[2 * k + 1][2 * k] = negative(s), s
    return tuple(tuple(row) for row in out)


def reciprocal(form: FloatFormat, a: Number) -> Number:
    """1 / a, and the greatest member for 1 / 0."""
    return form.greatest if a.m == 0 else form.divide(form.round(1), a)


def run_paper(head: PaperHead, x: Sequence[Sequence[Number]]) -> list[list[Number]]:
    """(n, d) numbers -> (n, d) numbers."""
    form, n, d = head.form, head.n, head.d
    transposed = tuple(zip(*head.key, strict=True))
    out = []
    for i in range(n):
        u, seen, weights = _row(form, x[i], head.query), [j for j in range(n) if head.mask[i, j]], []
        for j in seen:
            w = _row(form, _row(form, u, head.rotation(j - i)), transposed)
            score = form.sum(form.multiply(a, b) for a, b in zip(w, x[j], strict=True))
            weights.append(exp(form, score))
        inverse = reciprocal(form, form.sum(weights))
        mixed = [form.sum(form.multiply(a, x[j][c]) for a, j in zip(weights, seen, strict=True)) for c in range(d)]
        row = [form.multiply(inverse, c) for c in _row(form, mixed, head.value)]
        out.append(row if head.norm is None else run_norm(form, head.norm, row))
    return out


def run_norm(form: FloatFormat, norm: PaperNorm, row: Sequence[Number]) -> list[Number]:
    """(d,) numbers -> (d,) numbers."""
    count = form.round(len(row))
    mean = form.divide(form.sum(row), count)
    centred = [form.add(x, negative(mean)) for x in row]
    variance = form.divide(form.sum(form.multiply(x, x) for x in centred), count)
    below = deviation(form, variance)
    scaled = [form.multiply(form.divide(x, below), gain) for x, gain in zip(centred, norm.gain, strict=True)]
    return [form.add(x, bias) for x, bias in zip(scaled, norm.bias, strict=True)]


def negative(a: Number) -> Number:
    """-a, and the one zero for zero."""
    return Number(-a.m, a.e) if a.m else a


def deviation(form: FloatFormat, variance: Number) -> Number:
    """The root of a variance, and the least positive number for 0 (and below, where no variance is)."""
    return sqrt(form, variance) if variance.m > 0 else Number(2 ** (form.p - 1), form.low)


def _row(form: FloatFormat, row: Sequence[Number], matrix: Sequence[Sequence[Number]]) -> list[Number]:
    return [form.sum(form.multiply(a, w[c]) for a, w in zip(row, matrix, strict=True)) for c in range(len(matrix[0]))]
