"""What floating point may take from logits, in Arb: the analysis of `rounding` and `head_loss`, without their floats.

With L = -ln(1 - u), a product of K factors (1 + d), |d| <= u, or their inverses lies in [e^{-KL}, e^{KL}]. The weight
of a slot and column has log-error lambda, the normaliser zeta, theta = lambda + zeta + K L bounds every path from a
value through the head to a logit; so a logit loses at most (e^theta - 1) times its absolute path products.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from separatrix.core.arch import Attention
from separatrix.core.domain import CellGroup
from separatrix.core.errors import RejectedError
from separatrix.core.semantics import FloatSpec
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs
from separatrix.kernel.arb_nets import number
from separatrix.kernel.arb_words import Words
from separatrix.kernel.case import Case


def losses(
    case: Case,
    spec: FloatSpec,
    group: CellGroup,
    words: Words,
    score: Arbs,
    more: int = 0,
    values: tuple[Arbs, Arbs] | None = None,
) -> tuple[Arbs, Arbs]:
    """taken (H, J, S, k) from what a slot and column add to a logit, once (k,) from the rest of it, underflow included.

    score (H, J, S); label and rival lose both, so that a margin loses the sum. more: roundings on every path besides
    those of the model itself. values: off (H, J, S, k) and centre (H, k), where what a slot and column add to a logit,
    or to differences of logits, is known: off + centre; then only this is lost by errors of weights.
    """
    arch, t = case.model(), case.tensors
    layer = arch.layers[0]
    assert isinstance(layer, Attention)
    sizes = {name: ab.size(ab.arbs(tensor)) for name, tensor in t.items()}
    token = sizes["embed.token"]
    place = sizes.get("embed.position", ab.zeros(len(words.allowed) - arch.blank, arch.width))
    blank = [sizes["embed.blank"][None]] if arch.blank else []
    # symbol and position are rounded before they are added, so their sizes count, not that of their sum
    places = np.concatenate([place, *blank])
    signs = np.concatenate([token[words.ids[:-1]], ab.zeros(1, arch.width)])
    own = token[group.token] + place[group.query]
    cells = np.array([words.only(cell) for cell in range(len(group))])
    taken, once, underflow, longest = [], [], ab.zero(), ab.zero()
    unlike: Any = ab.zeros(len(sizes["readout.bias"]))
    for h in range(layer.heads):
        r = Rounding.of(case, spec, h, len(words.allowed), token, place, blank, more)
        wq, wk, wv, wo = (sizes[f"layers.0.{name}"][h] for name in ("query", "key", "value", "output"))
        absolute = ab.dot(wk, ab.dot(own, wq)) * (abs(number(layer.scale)) * r.score_error)
        error = ab.dot(places, absolute)[:, None] + ab.dot(signs, absolute) + r.score_underflow
        some = cells.any(axis=0)
        worst, top = ab.greatest(error[some]), ab.greatest(score[h][some])
        distance = ab.relu(top - score[h])
        lam = error + r.unit * (distance + 2 * worst) + r.exp_error
        weight = lam + _normaliser(score[h] - top, lam, cells) + r.sum_error
        products = ab.dot(wv, ab.dot(wo, sizes["readout.weight"]))
        paths = ab.dot(places, products)[:, None] + ab.dot(signs, products)
        grown = ab.exp(weight)[:, :, None]
        if values is None:
            taken.append((grown * r.path.exp() - 1) * paths)
        else:
            taken.append((grown - 1) * ab.size(values[0][h]) + grown * (r.path.exp() - 1) * paths)
            unlike = unlike + ab.size(values[1][h]) * (r.sum_error.exp() - 1)
        underflow, longest = underflow + r.underflow, r.path.max(longest)
    constant = sizes["readout.bias"]
    if layer.residual:
        constant = constant + ab.dot(own, sizes["readout.weight"])
    once = constant * (longest.exp() - 1) + underflow / 2 + unlike
    return np.array(taken, dtype=object), once


def _normaliser(score: Arbs, lam: Arbs, cells: np.ndarray) -> Any:
    """Log-error of sum_j e_j before its own roundings, on every input of every cell.

    It is at most the greatest lambda, and at most -ln(1 - s), s the greatest share by which all terms together move.
    """
    e, some = ab.exp(score), np.atleast_2d(cells.any(axis=0))
    moved: Any = sum((ab.greatest(row[mask]) for row, mask in zip(e * (ab.exp(lam) - 1), some, strict=True)), ab.zero())
    whole: Any = sum((ab.least(row[mask]) for row, mask in zip(e, some, strict=True)), ab.zero())
    greatest = ab.greatest(lam[some])
    if moved * 2 < whole:
        return greatest.min(-(1 - moved / whole).log())
    return greatest


@dataclass(frozen=True, slots=True)
class Rounding:
    """Constants of one head: L, log-errors of scores, of exp, of the normaliser's sum and of a path; underflows."""

    unit: Any
    score_error: Any
    score_underflow: Any
    exp_error: Any
    sum_error: Any
    path: Any
    underflow: Any  # of a difference of logits

    @classmethod
    def of(
        cls, case: Case, spec: FloatSpec, h: int, slots: int, token: Arbs, place: Arbs, blank: list[Arbs], more: int
    ) -> Rounding:
        """Counts roundings along the longest paths; RejectedError where the format overflows."""
        arch, t = case.model(), case.tensors
        layer = arch.layers[0]
        assert isinstance(layer, Attention)
        stored = {name: t[f"layers.0.{name}"][h] for name in ("query", "key", "value", "output")}
        readout = t["readout.weight"]
        unit = -(1 - number(spec.unit)).log()

        def product(part: np.ndarray) -> int:  # weight at rest, multiplication, sum (exact zeros round nothing)
            return 2 + min(spec.depth(len(part)), max(0, column_terms(part) - 1))

        joined, heads = product(stored["output"]), layer.heads
        if heads > 1:  # the outputs are added in one product over all heads, or head by head
            whole = t["layers.0.output"]
            inner = whole.shape[1]
            depth = max(spec.depth(heads * inner), spec.depth(inner) + spec.depth(heads))
            joined = 2 + min(depth, max(0, column_terms(whole.reshape(heads * inner, -1)) - 1))
        width = stored["query"].shape[1]
        score = 2 + product(stored["query"]) + 2 + product(stored["key"]) + 1 + spec.depth(width)
        score += 0 if layer.scale == 1.0 else 2
        path = 2 + product(stored["value"]) + 2 + spec.depth(slots) + joined + 1 + product(readout) + 2 + more
        x = ab.greatest(token, axis=0) + ab.greatest(place, axis=0)
        for row in blank:
            x = ab.larger(x, row[0])
        wq, wk, wv, wo = (ab.size(ab.arbs(stored[name])) for name in ("query", "key", "value", "output"))
        wr, bias = ab.size(ab.arbs(readout)), ab.size(ab.arbs(t["readout.bias"]))
        scale = abs(number(layer.scale))
        q, k, v = ab.dot(x, wq), ab.dot(x, wk), ab.dot(x, wv)
        out = ab.dot(v, wo) + (x if layer.residual else 0)
        logits = ab.dot(out, wr) + bias
        numbers = [x, wq, wk, wv, wo, wr, q, k, v * slots, out, logits, q * k, ab.arbs(np.ones(1))]
        biggest = ab.greatest(np.concatenate([part.reshape(-1) for part in numbers])) + scale
        scores = ab.dot(q[None], k)[0] * scale.max(1)
        if not (biggest.max(scores).max(slots) * (8 * heads) <= spec.greatest):
            raise RejectedError("a number of this model may overflow in this floating-point format")
        least = number(spec.least)
        tiny = {name: ab.arbs(spec.is_tiny(tensor)) for name, tensor in (dict(t) | stored).items()}

        # what underflow adds, in units of `least`, before relative errors multiply it
        def flush(size: Arbs, error: Arbs, w: np.ndarray, weight: Arbs, small: Arbs) -> Arbs:
            return ab.dot(error, weight) + ab.dot(size + least * error, small) + ab.arbs((w != 0).sum(axis=0))

        names = [name for name in ("embed.token", "embed.position", "embed.blank") if name in t]
        of_x = sum((ab.greatest(np.atleast_2d(tiny[name]), axis=0) for name in names), ab.zeros(arch.width))
        parts = (("query", wq), ("key", wk), ("value", wv))
        of_q, of_k, of_v = (flush(x, of_x, stored[name], weight, tiny[name]) for name, weight in parts)
        of_score = ab.dot(of_q[None], k)[0] + ab.dot(q[None], of_k)[0] + least * ab.dot(of_q[None], of_k)[0] + width
        of_score = of_score * scale + ab.dot(q[None], k)[0] * float(spec.is_tiny(layer.scale)) + 1
        of_heads = of_v + 2 * slots * (v + least * of_v) + slots  # exp, division, product
        of_out = flush(v, of_heads, stored["output"], wo, tiny["output"]) + (of_x if layer.residual else 0)
        of_logits = flush(out, of_out, readout, wr, tiny["readout.weight"]) + tiny["readout.bias"]
        if spec.least > 0 and not max(path, score) * unit <= 0.5:
            raise RejectedError("too many roundings for this floating-point format")
        bad = number(spec.exp_error) * spec.unit
        if not (bad < 0.5 and 4 * slots * least < 0.125):
            raise RejectedError("exp or the normaliser is not accurate enough in this floating-point format")
        exact = scores_are_exact(layer, stored["query"], stored["key"], [t[name] for name in names], spec)
        return cls(
            unit=unit,
            score_error=ab.zero() if exact else (score * unit).exp() - 1,
            score_underflow=2 * least * of_score,
            exp_error=-(1 - bad).log(),
            sum_error=spec.depth(slots) * unit + 4 * slots * least,
            path=path * unit,
            underflow=8 * least * ab.greatest(of_logits),  # twice e^(1/2 + 1/2 + 1/8) / (1 - bad), bad < 1/6
        )


def column_terms(matrix: np.ndarray) -> int:
    """Most nonzero entries in a column."""
    return int((matrix != 0).sum(axis=0).max(initial=0))


def _fractions(values: np.ndarray) -> list[Fraction]:
    return [Fraction(v) for v in values.reshape(-1).tolist()]


def _lowest_bit(value: Fraction) -> Fraction:
    """The largest power of two that divides a dyadic number other than 0."""
    return Fraction(abs(value.numerator) & -abs(value.numerator), value.denominator)


def _is_power(value: Fraction) -> bool:
    return value != 0 and abs(value) == _lowest_bit(value)


def scores_are_exact(
    layer: Attention, query: np.ndarray, key: np.ndarray, tables: list[np.ndarray], spec: FloatSpec
) -> bool:
    """Whether every score is computed without rounding: selectors by powers of two, on grids that fit the significand.

    tables: token, position and blank; no coordinate may be read from both of the first two.
    """
    scale, limit = Fraction(layer.scale), 2**spec.bits
    if not _is_power(scale) or column_terms(query) > 1 or column_terms(key) > 1:
        return False
    columns: list[list[tuple[Fraction, Fraction] | None]] = []  # by side and column: lowest bit and greatest size
    for matrix in (query, key):
        side: list[tuple[Fraction, Fraction] | None] = []
        for column in matrix.T:
            at = np.flatnonzero(column)
            if not len(at):
                side.append(None)
                continue
            factor = Fraction(column[at[0]].item())
            if not _is_power(factor) or sum(bool(np.atleast_2d(table)[:, at[0]].any()) for table in tables[:2]) > 1:
                return False
            entries = [v for table in tables for v in _fractions(np.atleast_2d(table)[:, at[0]]) if v]
            if not entries:
                side.append(None)
                continue
            bit, top = min(map(_lowest_bit, entries)) * abs(factor), max(map(abs, entries)) * abs(factor)
            if top >= limit * bit:
                return False
            side.append((bit, top))
        columns.append(side)
    active = [(a, b) for a, b in zip(*columns, strict=True) if a is not None and b is not None]
    if not active:
        return True
    total, bit = sum(a[1] * b[1] for a, b in active), min(a[0] * b[0] for a, b in active)
    if spec.least_exponent is not None and bit * min(Fraction(1), abs(scale)) < Fraction(2) ** spec.least_exponent:
        return False
    return total <= limit * bit
