"""What floating point may do to products, scores and exponentials, on boxes of numbers as they were computed.

A step reads a box that holds what the step before computed, so that only the step's own roundings are counted:
    fl(op) = op (1 + d) + e, |d| <= u, |e| <= least; numbers at rest are rounded once; exact results stay exact.
A product of K factors (1 + d) or 1/(1 + d) lies in [e^{-KL}, e^{KL}], L = -ln(1 - u), so that a sum of products whose
terms meet at most K roundings is off by (e^{KL} - 1) times the sum of their sizes, and by underflow. A term meets one
rounding as it is multiplied, one if its weight is no number of the format, and those of the sum: adding an exact zero
rounds nothing. Where every factor is one known number, all terms are multiples of one power of two, b, and their sizes
add up to 2^bits b at most, every partial sum in every order is a number of the format, and nothing is rounded.
A weight of attention is computed as exp of (score - greatest score): its logarithm errs by u times the distance of the
two, and by the error of exp. The underflow of exp is small against the normaliser, whose greatest term is exp(0).
All bounds are computed in float64 and inflated by 2^-20, which covers their own rounding (non-negative terms).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Ints
from separatrix.core.errors import RejectedError
from separatrix.core.semantics import FloatSpec
from separatrix.kernel.balls import Ball, exp, growth, up

SAFE = 1.0 + 2.0**-20
ZERO, INEXACT = 2**30, -(2**28)  # exponents of the lowest bit of 0, and of what is not one known number
MOST_ROUNDINGS = 64.0  # times the unit: beyond, nothing is left to be said
CHUNK = 2**20  # scores that are computed together


@dataclass(frozen=True, slots=True)
class Product:
    """ball (rows, c): what is computed. lost (rows, c): how far it may be from the real result for the same input."""

    ball: Ball
    lost: np.ndarray


@dataclass(frozen=True, slots=True)
class Floats:
    """The rules of one format."""

    spec: FloatSpec

    @classmethod
    def of(cls, spec: FloatSpec | None) -> Floats | None:
        """None for real arithmetic; RejectedError where exp is too coarse for anything to be said."""
        if spec is not None and spec.exp_error * spec.unit >= 0.5:
            raise RejectedError("exp is not accurate enough in this floating-point format")
        return None if spec is None else cls(spec)

    @property
    def unit(self) -> float:
        """L, or a little more."""
        return (self.spec.unit + self.spec.unit**2) * SAFE

    def grown(self, count: np.ndarray | float) -> np.ndarray:
        """Above e^{KL} - 1 for K roundings; RejectedError where these are too many."""
        most = np.asarray(count, dtype=np.float64) * self.unit * SAFE
        if not float(most.max(initial=0.0)) <= MOST_ROUNDINGS:
            raise RejectedError("too many roundings for this floating-point format")
        return growth(most) * SAFE

    def met(self, w: np.ndarray) -> np.ndarray:
        """(c,) `grown` for products with stored weights (d, c), whatever they are multiplied by."""
        terms = (w != 0).sum(axis=0)
        return self.grown(2.0 + np.minimum(self.spec.depth(len(w)), np.maximum(terms - 1, 0)))

    def require(self, *sizes: np.ndarray | float) -> None:
        """RejectedError where a number of one of these sizes, with all its errors, may overflow."""
        for size in sizes:
            if not float(np.max(size, initial=0.0)) * 8.0 * SAFE <= self.spec.greatest:
                raise RejectedError("a number of this model may overflow in this floating-point format")

    def fits(self, size: np.ndarray, low: np.ndarray) -> np.ndarray:
        """Where sums of multiples of 2^low with this sum of sizes are numbers of the format in any order."""
        emin = self.spec.least_exponent
        least = -(2**20) if emin is None else emin - self.spec.bits + 1  # of the least subnormal number
        inside = size * SAFE <= np.ldexp(1.0, np.minimum(low, 900) + self.spec.bits)
        return (low >= least) & (inside | (size == 0))

    def held(self, values: np.ndarray) -> np.ndarray:
        """Whether the format holds these stored numbers."""
        exact = Ball.exact(values)
        return self.fits(np.abs(exact.mid), lowest(values)) & (exact.rad == 0)

    def rest(self, values: np.ndarray) -> Ball:
        """Stored numbers, rounded once."""
        exact = Ball.exact(values)
        size = np.abs(exact.mid)
        self.require(size)
        rad = (self.spec.unit * size + self.spec.least * self.spec.is_tiny(exact.mid)) * SAFE
        return Ball(exact.mid, np.where(self.held(values), exact.rad, exact.rad + rad))

    def add(self, x: Ball, y: Ball) -> Ball:
        """A rounded sum; exact where one of the two is zero."""
        size, total = size_of(x) + size_of(y), x + y
        fits = self.fits(size, np.minimum(_lowest(x), _lowest(y)))
        rad = np.where(fits, 0.0, up(total.rad + self.spec.unit * size * SAFE))
        alone = np.where(x.is_zero(), y.rad, x.rad)
        return Ball(total.mid, np.where(x.is_zero() | y.is_zero(), alone, rad))

    def multiply(self, x: Ball, w: np.ndarray, bias: np.ndarray | None = None, more: Ball | None = None) -> Product:
        """x (rows, d), as computed, times stored weights (d, c), plus a stored bias (c,), plus `more` (rows, c).

        Bias and `more` may be added anywhere among the products.
        """
        weight, size_x = Ball.exact(w), size_of(x)
        size_w, tiny = np.abs(weight.mid), self.spec.is_tiny(weight.mid)
        size, under = size_x @ size_w, size_x @ tiny
        touched = (size_x > 0).astype(np.float64) @ (size_w > 0).astype(np.float64)
        low, held = _lowest_products(_lowest(x), lowest(w)), self.held(w).all(axis=0)
        real, sums = x @ weight, self.spec.depth(len(w))
        if bias is not None:
            real = real + Ball.exact(bias)[None]
            size, touched = size + np.abs(bias), touched + (bias != 0)
            under, sums = under + self.spec.is_tiny(bias), sums + 1
            low, held = np.minimum(low, lowest(bias)), held & self.held(bias)
        nothing = touched == 0
        if more is not None:
            real = real + more
            size, touched, sums = size + size_of(more), touched + ~more.is_zero(), sums + 1
            low = np.minimum(low, _lowest(more))
        grown = self.grown(1.0 + ~held + np.minimum(sums, np.maximum(touched - 1, 0)))
        self.require(size * (1.0 + grown))
        lost = up((grown * size + self.spec.least * (touched + under) * (1.0 + grown)) * SAFE)
        exact = nothing | (held & self.fits(size, low))
        rad = np.where(exact, 0.0, up(real.rad + lost))
        if more is not None:
            rad = np.where(nothing, more.rad, rad)
        return Product(Ball(real.mid, rad), np.where(exact, 0.0, lost))

    def scores(self, query: Ball, key: Ball, scale: float) -> Ball:
        """(A, K) scale * <query, key> of all pairs of rows (A, m) and (K, m), the scale applied to the product."""
        step = max(1, CHUNK // len(key.mid))
        parts = [self._scores(query[start : start + step], key, scale) for start in range(0, len(query.mid), step)]
        return Ball(np.concatenate([part.mid for part in parts]), np.concatenate([part.rad for part in parts]))

    def _scores(self, query: Ball, key: Ball, scale: float) -> Ball:
        turned = Ball(key.mid.T, key.rad.T)
        real, size_q, size_k = query @ turned, size_of(query), size_of(turned)
        size = size_q @ size_k
        touched = (size_q > 0).astype(np.float64) @ (size_k > 0).astype(np.float64)
        low = _lowest_products(_lowest(query), _lowest(turned))
        grown = self.grown(1.0 + np.minimum(self.spec.depth(len(turned.mid)), np.maximum(touched - 1, 0)))
        self.require(size * (1.0 + grown) * max(1.0, abs(scale)), abs(scale))
        lost = (grown * size + self.spec.least * touched * (1.0 + grown)) * SAFE
        fits = self.fits(size, low)
        score = Ball(real.mid, np.where(fits, 0.0, up(real.rad + lost)))
        if scale == 1.0:
            return score
        factor, times = np.frexp(abs(scale))
        under = 1.0 + size_of(score) * self.spec.is_tiny(scale)
        score = score * Ball.exact(np.float64(scale))
        lost = self.grown(2.0) * size_of(score) + 4.0 * self.spec.least * under
        fits &= bool(factor == 0.5) & bool(self.held(np.array(scale))) & self.fits(size * abs(scale), low + times - 1)
        return Ball(score.mid, np.where(fits, 0.0, up(score.rad + lost * SAFE)))

    def exponentials(self, score: Ball, top: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Floats below and above e^(log-weight - shift) (A, K), before the normaliser.

        top (A,): above every score that is seen. shift (A, K).
        """
        step = max(1, CHUNK // score.mid.shape[1])
        starts = [slice(start, start + step) for start in range(0, len(top), step)]
        parts = [self._exponentials(score[part], top[part], shift[part]) for part in starts]
        return np.concatenate([low for low, _ in parts]), np.concatenate([high for _, high in parts])

    def _exponentials(self, score: Ball, top: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, high, move = Ball.exact(score.low), Ball.exact(score.high), Ball.exact(shift)
        bad = self.spec.exp_error * self.spec.unit
        wide = self.spec.unit * np.maximum(top[:, None] - low.mid, 0.0) + bad + bad**2
        error = Ball.exact(wide * SAFE)
        return np.maximum(exp(low - move - error).low, 0.0), exp(high - move + error).high

    def weighing(self, positions: int) -> float:
        """Roundings between the weights before the normaliser and the sum of weighted values: two sums, a division and
        a product, and the underflow of exp in the normaliser, in units of L.
        """
        small = positions * self.spec.least
        if not 4.0 * small < 0.5:
            raise RejectedError("the normaliser is not accurate enough in this floating-point format")
        return 2.0 + 2.0 * self.spec.depth(positions) + 4.0 * small / self.spec.unit


def lowest(values: np.ndarray) -> Ints:
    """Exponents of the lowest bits of these numbers."""
    mantissa, exponent = np.frexp(np.abs(values.astype(np.float64)))
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    bit = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    return np.where(whole == 0, ZERO, exponent.astype(np.int64) - 53 + bit)


def _lowest(x: Ball) -> Ints:
    return np.where(x.rad == 0, lowest(x.mid), INEXACT)


def _lowest_products(x: Ints, w: Ints) -> Ints:
    """(rows, c) least exponents of the products that are added; x (rows, d), w (d, c)."""
    low = np.full((len(x), w.shape[1]), ZERO, dtype=np.int64)
    for own, row in zip(x.T, w, strict=True):
        columns = np.flatnonzero(row < ZERO)
        if len(columns) == len(row):
            np.minimum(low, own[:, None] + row, out=low)
        elif len(columns):
            low[:, columns] = np.minimum(low[:, columns], own[:, None] + row[columns])
    return low


def size_of(x: Ball) -> np.ndarray:
    """Above |x|."""
    return (np.abs(x.mid) + x.rad) * (1.0 + 2.0**-50)
