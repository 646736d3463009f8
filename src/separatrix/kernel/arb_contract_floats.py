"""What floating point may do to a step of a contract, in Arb: the analysis of `contracts.rounded`, without its floats.

With L = -ln(1 - u), a product of K factors (1 + d), |d| <= u, or their inverses lies in [e^{-KL}, e^{KL}], so that a
sum whose terms meet at most K roundings is off by (e^{KL} - 1) times the sum of their sizes, and by underflow. What is
one known number on every input is kept as such: sums of them are rational numbers, exact where the format holds every
partial sum in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from separatrix.core.errors import RejectedError
from separatrix.core.semantics import FloatSpec
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs
from separatrix.kernel.arb_nets import number

Known = Fraction | None  # None: not one known number
MOST_ROUNDINGS = 64


@dataclass(frozen=True, slots=True)
class Product:
    """ball (rows, c): what is computed. lost (rows, c): how far it may be from the real result for the same input."""

    ball: Arbs
    lost: Arbs


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one format."""

    spec: FloatSpec

    @property
    def unit(self) -> Any:
        """L."""
        return -(1 - number(self.spec.unit)).log()

    @property
    def least(self) -> Any:
        """Of one underflow."""
        return number(self.spec.least)

    def grown(self, count: np.ndarray | float) -> Arbs:
        """e^{KL} - 1 for K roundings; RejectedError where these are too many."""
        most = ab.arbs(np.asarray(count, dtype=np.float64)) * self.unit
        if not all(bool(m <= MOST_ROUNDINGS) for m in np.asarray(most, dtype=object).reshape(-1)):
            raise RejectedError("too many roundings for this floating-point format")
        return ab.exp(most) - 1

    def met(self, w: np.ndarray) -> Arbs:
        """(c,) `grown` for products with stored weights (d, c), whatever they are multiplied by."""
        terms = (w != 0).sum(axis=0)
        return self.grown(2.0 + np.minimum(self.spec.depth(len(w)), np.maximum(terms - 1, 0)))

    def require(self, *sizes: Arbs) -> None:
        """RejectedError where a number of one of these sizes, with all its errors, may overflow."""
        for size in sizes:
            if not all(bool(s * 8 <= self.spec.greatest) for s in np.asarray(size, dtype=object).reshape(-1)):
                raise RejectedError("a number of this model may overflow in this floating-point format")

    def sum(self, terms: Iterable[tuple[Known, Known]]) -> Known:
        """The sum of products, where the format holds it and all partial sums in any order, and all is known."""
        products = []
        for x, y in terms:
            if x == 0 or y == 0:
                continue
            if x is None or y is None:
                return None
            products.append(x * y)
        if not products:
            return Fraction(0)
        bit = min(Fraction(p.numerator & -p.numerator, p.denominator) for p in products)
        least = self.spec.least_exponent
        if least is not None and bit < Fraction(2) ** (least - self.spec.bits + 1):
            return None
        return sum(products, Fraction(0)) if sum(map(abs, products)) <= bit * 2**self.spec.bits else None

    def held(self, values: np.ndarray) -> np.ndarray:
        """Stored numbers as fractions; None where they are rounded as they are stored."""
        flat = [self.sum([(Fraction(v), Fraction(1))]) for v in values.reshape(-1).tolist()]
        return _objects(flat, values.shape)

    def rest(self, values: np.ndarray) -> Arbs:
        """Stored numbers, rounded once."""
        exact, tiny = ab.arbs(values), ab.arbs(self.spec.is_tiny(values))
        self.require(ab.size(exact))
        error = ab.size(exact) * self.spec.unit + tiny * self.least
        return np.where(_missing(self.held(values)), spread(exact, error), exact)

    def add(self, x: Arbs, y: Arbs) -> Arbs:
        """A rounded sum; exact where one of the two is zero."""
        one, found = Fraction(1), spread(x + y, (ab.size(x) + ab.size(y)) * self.spec.unit)
        for at in np.ndindex(*x.shape):
            if x[at] == 0 or y[at] == 0:
                found[at] = x[at] + y[at] if x[at] == 0 else x[at]
            elif (whole := self.sum([(known(x[at]), one), (known(y[at]), one)])) is not None:
                found[at] = number(float(whole))
        return found

    def multiply(self, x: Arbs, w: np.ndarray, bias: np.ndarray | None = None, more: Arbs | None = None) -> Product:
        """x (rows, d), as computed, times stored weights (d, c), plus a stored bias (c,), plus `more` (rows, c).

        Bias and `more` may be added anywhere among the products.
        """
        size_x, weight, spec = ab.high(ab.size(x)), ab.arbs(w), self.spec
        real, size = ab.dot(x, weight), ab.dot(size_x, ab.size(weight))
        under, sums = ab.dot(size_x, ab.arbs(spec.is_tiny(w))), spec.depth(len(w))
        touched = (~_zero(x)).astype(np.int64) @ (w != 0).astype(np.int64)
        held = self.held(w)
        rounded = _missing(held).any(axis=0)
        if bias is not None:
            one = ab.arbs(bias)
            real, size, touched = real + one, size + ab.size(one), touched + (bias != 0)
            under, sums = under + ab.arbs(spec.is_tiny(bias)), sums + 1
            rounded = rounded | _missing(self.held(bias))
        nothing = touched == 0
        if more is not None:
            real, size = real + more, size + ab.high(ab.size(more))
            touched, sums = touched + ~_zero(more), sums + 1
        grown = self.grown(1.0 + rounded + np.minimum(sums, np.maximum(touched - 1, 0)))
        self.require(size * (grown + 1))
        lost = grown * size + (ab.arbs(touched) + under) * (grown + 1) * self.least
        ball = spread(real, lost)
        for row, xs in enumerate(_known(x)):
            for c, ws in enumerate(held.T):
                if nothing[row, c]:
                    ball[row, c], lost[row, c] = ab.zero() if more is None else more[row, c], ab.zero()
                    continue
                pairs = [(a, b) for a, b in zip(xs, ws, strict=True) if a != 0 and b != 0]
                if bias is not None:
                    pairs.append((self.sum([(Fraction(bias[c].item()), Fraction(1))]), Fraction(1)))
                if more is not None:
                    pairs.append((known(more[row, c]), Fraction(1)))
                whole = self.sum(pairs)
                if whole is not None:
                    ball[row, c], lost[row, c] = number(float(whole)), ab.zero()
        return Product(ball, lost)

    def scores(self, key: Arbs, query: Arbs, scale: float) -> Arbs:
        """(classes,) scale * <query, key> of a query (m,) with keys (classes, m), the scale applied to the product."""
        spec, nonzero = self.spec, ~_zero(key) & ~_zero(query)
        size = ab.dot(ab.high(ab.size(key)), ab.high(ab.size(query)))
        terms = nonzero.sum(axis=1)
        grown = self.grown(1.0 + np.minimum(spec.depth(len(query)), np.maximum(terms - 1, 0)))
        self.require(size * (grown + 1) * max(1.0, abs(scale)), ab.arbs(abs(scale)))
        lost = grown * size + ab.arbs(terms) * (grown + 1) * self.least
        score = spread(ab.dot(key, query), lost)
        factor = self.sum([(Fraction(scale), Fraction(1))])
        if scale != 1.0:
            under = (ab.high(ab.size(score)) * float(spec.is_tiny(scale)) + 1) * 4 * self.least
            score = score * number(scale)
            score = spread(score, ab.high(ab.size(score)) * self.grown(2.0) + under)
        own = _known(query[None])[0]
        for row, ks in enumerate(_known(key)):
            whole = self.sum(zip(ks, own, strict=True))
            if whole is not None and scale != 1.0:
                whole = self.sum([(whole, factor)])
            if whole is not None:
                score[row] = number(float(whole))
        return score

    def logarithms(self, score: Arbs, top: Any) -> Arbs:
        """Of the weights before the normaliser, less the greatest score, plus `top`; top is above every score."""
        bad = -(1 - number(self.spec.exp_error) * self.spec.unit).log()
        return spread(score, ab.relu(top - ab.low(score)) * self.spec.unit + bad)

    def weighing(self, positions: int) -> float:
        """Roundings between the weights before the normaliser and the sum of weighted values, in units of L."""
        small = positions * self.spec.least
        if not 4.0 * small < 0.5:
            raise RejectedError("the normaliser is not accurate enough in this floating-point format")
        return 2.0 + 2.0 * self.spec.depth(positions) + 4.0 * small / self.spec.unit


@dataclass(frozen=True, slots=True)
class Read:
    """The read-out of a label and its rivals, both rounded: sizes, tiny (d, rivals), count, constant (rivals,)."""

    sizes: Arbs
    tiny: Arbs
    count: np.ndarray
    constant: Arbs

    @classmethod
    def of(cls, rules: Rules, t: Mapping[str, np.ndarray], label: int, rivals: np.ndarray) -> Read:
        """Of the stored tensors."""
        weight, bias, spec = t["readout.weight"], t["readout.bias"], rules.spec
        terms = (weight != 0).sum(axis=0) + (bias != 0)
        rounded = _missing(rules.held(weight)).any(axis=0) | _missing(rules.held(bias))
        count = 1.0 + rounded + np.minimum(spec.depth(len(weight)) + 1, np.maximum(terms - 1, 0))
        grown, size, tiny = rules.grown(count), ab.size(ab.arbs(weight)), ab.arbs(spec.is_tiny(weight))
        lost = ab.size(ab.arbs(bias)) * grown + (ab.arbs(spec.is_tiny(bias) + terms)) * (grown + 1) * rules.least
        return cls(
            size[:, [label]] + size[:, rivals],
            tiny[:, [label]] + tiny[:, rivals],
            np.maximum(count[label], count[rivals]),
            lost[label] + lost[rivals],
        )


@dataclass(frozen=True, slots=True)
class Roundings:
    """What is lost between the values of a layer's heads and the stream behind it.

    values: of each head. output: W_O. reach (d,): above the sizes of the stream behind. joined (d,): roundings of the
    sum of what all heads, and the residual, add to it.
    """

    rules: Rules
    values: list[Product]
    output: np.ndarray
    positions: int
    residual: bool
    reach: Arbs
    joined: np.ndarray

    @classmethod
    def of(
        cls, rules: Rules, box: Arbs, tensors: list[np.ndarray], scale: float, residual: bool, positions: int
    ) -> Roundings:
        """tensors: W_Q, W_K, W_V, W_O; RejectedError where something may overflow, in heads that add nothing, too."""
        query, key, value, output = tensors
        spec, (heads, own, _) = rules.spec, output.shape
        size = ab.greatest(ab.high(ab.size(box)), axis=0)
        for w_query, w_key in zip(query, key, strict=True):
            q, k = (ab.dot(size, ab.size(ab.arbs(w))) * (rules.met(w) + 1) for w in (w_query, w_key))
            terms = int((~_zero(q) & ~_zero(k)).sum())
            product = ab.dot(q[None], k) * (rules.grown(1.0 + min(spec.depth(len(q)), max(0, terms - 1))) + 1)
            rules.require(q, k, product, product * abs(scale))
        values = [rules.multiply(box, w) for w in value]
        depth = spec.depth(own) if heads == 1 else max(spec.depth(heads * own), spec.depth(own) + spec.depth(heads))
        terms = (output != 0).sum(axis=(0, 1)) + residual
        joined = np.minimum(depth + residual, np.maximum(terms - 1, 0)).astype(np.float64)
        grown = rules.grown(rules.weighing(positions) + 2.0 + joined) + 1
        reach = size if residual else ab.zeros(len(size))
        for v, w in zip(values, output, strict=True):
            most = ab.greatest(ab.high(ab.size(v.ball)), axis=0)
            rules.require(most * positions * ab.greatest(grown))
            reach = reach + ab.dot(most, ab.size(ab.arbs(w)))
        rules.require(reach * grown, grown * positions)
        return cls(rules, values, output, positions, residual, reach * grown, joined)

    def carried(self, box: Arbs) -> Arbs:
        """(rows, d) the stream that is added, with what it loses by being added."""
        fed = np.zeros(len(self.joined), dtype=bool)
        for v, w in zip(self.values, self.output, strict=True):
            fed |= (w[~_zero(v.ball).all(axis=0)] != 0).any(axis=0)
        return np.where(fed, spread(box, ab.high(ab.size(box)) * self.rules.grown(self.joined)), box)

    def loss(self, h: int, sizes: Arbs, count: np.ndarray | float = 0.0) -> Arbs:
        """(classes, c) what c sums of head h's values may lose, each class by its share of the weights.

        sizes (d, c): absolute weights that read the stream behind the layer, with `count` (c,) roundings.
        """
        rules, w, value = self.rules, self.output[h], self.values[h]
        rounded = _missing(rules.held(self.output)).any(axis=(0, 1))
        last = np.where(_zero(sizes), 0.0, (1.0 + rounded + self.joined)[:, None]).max(axis=0, initial=0.0)
        grown = rules.grown(rules.weighing(self.positions) + last + count)
        paths, size = ab.dot(ab.size(ab.arbs(w)), sizes), ab.high(ab.size(value.ball))
        lost = ab.dot(value.lost, paths) * (grown + 1) + ab.dot(size, paths) * grown
        most = ab.greatest(size, axis=0)
        # exp, the division and the product of every position; then the product with W_O
        under = ab.dot((most + 1) * (~_zero(most)).astype(int), paths) * (8 * self.positions)
        under = under + ab.dot(ab.dot(most, ab.arbs(rules.spec.is_tiny(w))), sizes)
        under = under + ab.dot(ab.arbs((w != 0).sum(axis=0)), sizes)
        return lost + under * (grown + 1) * rules.least

    def taken(self, own: Arbs, read: Read) -> Arbs:
        """(rows, c) what a margin loses besides: of the stream of the position that asks, of biases, by underflow."""
        rules = self.rules
        grown = rules.grown(read.count) + 1
        rules.require((ab.dot(self.reach, read.sizes) + read.constant) * grown)
        lost = read.constant + ab.dot(self.reach, read.tiny) * grown * rules.least
        lost = lost + ab.zeros(len(own), 1)
        if self.residual:
            grown = rules.grown(read.count + float(self.joined.max()))
            lost = lost + ab.dot(ab.high(ab.size(own)), read.sizes) * grown
        return lost


def spread(x: Arbs, error: Arbs) -> Arbs:
    """The balls with this error added on both sides."""
    return ab.between(x - error, x + error)


def known(x: Any) -> Known:
    """The number that a ball is, or None."""
    if not (x.is_exact() and x.is_finite()):
        return None
    mantissa, exponent = x.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def _known(x: Arbs) -> list[list[Known]]:
    return [[known(v) for v in row] for row in x]


def _zero(x: Arbs) -> np.ndarray:
    """Where a ball is exactly {0}."""
    return np.array([bool(v == 0) for v in x.reshape(-1)], dtype=bool).reshape(x.shape)


def _missing(values: np.ndarray) -> np.ndarray:
    return np.array([v is None for v in values.reshape(-1)], dtype=bool).reshape(values.shape)


def _objects(flat: list[Known], shape: tuple[int, ...]) -> np.ndarray:
    found = np.empty(len(flat), dtype=object)
    found[:] = flat
    return found.reshape(shape)
