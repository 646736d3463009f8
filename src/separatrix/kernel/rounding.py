"""What floating point may do to one attention layer: log-errors of weights and logits, for any evaluation order.

fl(op) = op (1 + d) + e with |d| <= u, |e| <= least; numbers at rest are rounded once. Every product of factors (1 + d)
or 1/(1 + d) with K factors lies in [e^{-KL}, e^{KL}], L = -ln(1 - u). A weight's log-error is
    lambda_j = error of its score + u * (distance of the score from the row's maximum) + error of exp,
the normaliser's is zeta, and theta_j = lambda_j + zeta + K L bounds every path from a value to a logit. A margin
u_j is therefore worth at least u_j - (e^theta_j - 1) a_j, a_j the sum of absolute path products: still separable.
All bounds here are computed in float64 and inflated by 2^-20, which covers their own rounding (non-negative terms).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import RejectedError
from separatrix.core.semantics import FloatSpec
from separatrix.kernel.balls import Ball, growth
from separatrix.kernel.layer import Layer

SAFE = 1.0 + 2.0**-20


@dataclass(frozen=True, slots=True)
class Rounding:
    """Constants of one model under one float spec; `score_error` multiplies the absolute score."""

    layer: Layer
    spec: FloatSpec
    unit: float  # L
    score_error: float
    score_underflow: float
    path: float  # K L
    sum_error: float  # of the normaliser: depth * L
    underflow: float  # absolute, on a difference of logits
    exp_error: float
    logit_sizes: np.ndarray  # (d, k) |W_V| |W_O| |W_R|: absolute path products

    @classmethod
    def of(cls, layer: Layer, spec: FloatSpec, stacked: np.ndarray | None = None) -> Rounding:
        """Counts roundings along the longest paths; RejectedError where the format overflows.

        stacked (H, dv, d): W_O of all heads, where the layer is one of several whose outputs are added: at once, over
        all H dv products, or head by head.
        """
        u, least = spec.unit, spec.least
        unit = (u + u * u) * SAFE
        weights = len(layer.position.mid) + (layer.blank is not None)
        parts = (layer.query, layer.key, layer.value, layer.output, layer.readout)

        def product(part: Ball) -> int:  # weight at rest, multiplication, sum (exact zeros round nothing)
            return 2 + min(spec.depth(len(part.mid)), max(0, column_terms(part.mid) - 1))

        heads, joined = 1, product(layer.output)
        if stacked is not None:
            heads, own, _ = stacked.shape
            depth = max(spec.depth(heads * own), spec.depth(own) + spec.depth(heads))
            joined = 2 + min(depth, max(0, column_terms(stacked.reshape(heads * own, -1)) - 1))
        width = layer.query.mid.shape[1]
        score = (
            2 + product(layer.query) + 2 + product(layer.key) + 1 + spec.depth(width) + (0 if layer.scale == 1.0 else 2)
        )
        path = 2 + product(layer.value) + 2 + spec.depth(weights) + joined + 1 + product(layer.readout) + 2
        x = np.abs(layer.token.mid).max(axis=0) + np.abs(layer.position.mid).max(axis=0)
        if layer.blank is not None:
            x = np.maximum(x, np.abs(layer.blank.mid[0]))
        wq, wk, wv, wo, wr = (np.abs(part.mid) for part in parts)
        q, k, v, skip = x @ wq, x @ wk, x @ wv, x * (layer.skip is not None)
        out = v @ wo + skip
        logits = out @ wr + np.abs(layer.bias.mid)
        numbers = (x, wq, wk, wv, wo, wr, q, k, weights * v, out, logits, q * k)
        biggest = max(float(a.max()) for a in numbers) + abs(layer.scale)
        if 8.0 * heads * max(biggest, float(q @ k) * max(1.0, abs(layer.scale)), float(weights)) > spec.greatest:
            raise RejectedError("a number of this model may overflow in this floating-point format")
        exact = _scores_are_exact(layer, spec)

        # what underflow adds, in units of `least`, before relative errors multiply it
        def flush(size: np.ndarray, error: np.ndarray, w: np.ndarray) -> np.ndarray:
            return error @ w + (size + least * error) @ spec.is_tiny(w) + (w > 0).sum(axis=0)

        rest = [layer.token, layer.position] + ([layer.blank] if layer.blank is not None else [])
        of_x = np.sum([spec.is_tiny(part.mid).max(axis=0) for part in rest], axis=0)
        of_q, of_k, of_v = (flush(x, of_x, w) for w in (wq, wk, wv))
        of_score = float(of_q @ k + q @ of_k + least * (of_q @ of_k) + width) * abs(layer.scale)
        of_score += float(q @ k) * float(spec.is_tiny(layer.scale)) + 1.0
        of_heads = of_v + 2.0 * weights * (v + least * of_v) + weights  # exp, division, product
        of_out = flush(v, of_heads, wo) + of_x * (layer.skip is not None)
        of_logits = flush(out, of_out, wr) + spec.is_tiny(layer.bias.mid)
        if least > 0 and max(path, score) * unit > 0.5:
            raise RejectedError("too many roundings for this floating-point format")
        bad_exp = spec.exp_error * u
        if bad_exp >= 0.5 or 4 * weights * least >= 0.125:
            raise RejectedError("exp or the normaliser is not accurate enough in this floating-point format")
        return cls(
            layer=layer,
            spec=spec,
            unit=unit,
            score_error=0.0 if exact else float(growth(score * unit)) * SAFE,
            score_underflow=2.0 * least * of_score * SAFE,
            path=path * unit * SAFE,
            sum_error=(spec.depth(weights) * unit + 4.0 * weights * least) * SAFE,
            # 2 logits; e^(1/2) for a path, e^(1/2 + 1/8) for the sum of the weights, 1 / (1 - bad_exp), bad_exp < 1/6
            underflow=8.0 * least * float(of_logits.max()) * SAFE,
            exp_error=(bad_exp + bad_exp**2) * SAFE,
            logit_sizes=wv @ wo @ wr * SAFE,
        )


def column_terms(matrix: np.ndarray) -> int:
    """Most nonzero entries in a column: adding exact zeros rounds nothing."""
    return int((matrix != 0).sum(axis=0).max(initial=0))


def _lowest_bit(values: np.ndarray) -> float:
    """The largest power of two that divides every entry; infinity when all are zero."""
    entries = np.abs(values[values != 0]).astype(np.float64)
    if not len(entries):
        return np.inf
    mantissa, exponent = np.frexp(entries)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    return float(np.ldexp((whole & -whole).astype(np.float64), exponent - 53).min())


def _scores_are_exact(layer: Layer, spec: FloatSpec) -> bool:
    """Whether every score is computed without any rounding: selectors, grids and sums that fit the significand."""
    limit = 2.0**spec.bits
    if np.frexp(abs(layer.scale))[0] != 0.5:
        return False
    tables = [layer.token.mid, layer.position.mid] + ([layer.blank.mid] if layer.blank is not None else [])
    factors = []
    for matrix in (layer.query.mid, layer.key.mid):
        if column_terms(matrix) > 1:
            return False
        column = np.abs(matrix).argmax(axis=0)
        factor = np.abs(matrix).max(axis=0)
        if any(f != 0 and np.frexp(f)[0] != 0.5 for f in factor):
            return False
        bit, top = np.empty(len(column)), np.empty(len(column))
        for t, c in enumerate(column):
            entries = [table[:, c] for table in tables]
            if layer.token.mid[:, c].any() and layer.position.mid[:, c].any():
                return False
            bit[t] = min(_lowest_bit(e) for e in entries) * factor[t] if factor[t] else np.inf
            top[t] = max(np.abs(e).max() for e in entries) * factor[t]
            if factor[t] and top[t] >= limit * bit[t]:
                return False
        factors.append((bit, top))
    (bit_q, top_q), (bit_k, top_k) = factors
    active = (top_q > 0) & (top_k > 0)
    if not active.any():
        return True
    total, bit = float((top_q * top_k)[active].sum()), float((bit_q * bit_k)[active].min())
    normal = spec.least_exponent is None or bit * min(1.0, abs(layer.scale)) >= 2.0**spec.least_exponent
    return normal and total * SAFE <= limit * bit
