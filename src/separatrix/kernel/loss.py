"""What floating point may take from the terms of one query row: the margin-table form of `rounding`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import RejectedError
from separatrix.kernel.balls import Ball, exp, growth, sum_high, sum_low
from separatrix.kernel.layer import Layer, Tables
from separatrix.kernel.rounding import SAFE, Rounding
from separatrix.kernel.row import Row


@dataclass(frozen=True, slots=True)
class Loss:
    """Losses of terms; all are upper bounds, non-negative. `key` names `sign` and `ceiling`, which rows share.

    sign (A, k, S): taken from the margin of a symbol at unit weight, underflow included.
    place (T,): e^{p_j} (e^{lambda_j} - 1). ceiling (A, k, S): what `place` is multiplied with.
    single (A, k, singles): taken from the terms of the singles. underflow: from every margin at unit weight.
    """

    key: tuple[bytes, ...]
    sign: np.ndarray
    place: np.ndarray
    ceiling: np.ndarray
    single: np.ndarray
    underflow: float

    @classmethod
    def of(
        cls, r: Rounding, layer: Layer, tables: Tables, row: Row, query: int, token: int, labels: np.ndarray
    ) -> Loss:
        """The losses of one query row; RejectedError when the normaliser itself is not under control."""
        # symbol and position are rounded before they are added, so their sizes count, not that of their sum
        size_x = np.abs(layer.token.mid[token]) + np.abs(layer.position.mid[query])
        size_rows = size_x[None] if layer.blank is None else np.stack([size_x, np.abs(layer.blank.mid[0])])
        absolute = size_x @ np.abs(layer.query.mid) @ np.abs(layer.key.mid).T
        absolute = absolute * (abs(layer.scale) * SAFE * r.score_error)
        at_place = np.abs(layer.position.mid) @ absolute * SAFE
        at_sign = np.abs(layer.token.mid[tables.used]) @ absolute * SAFE
        at_single = size_rows @ absolute * SAFE
        worst = float(at_place.max() + at_sign.max(initial=0.0) + at_single.max() + r.score_underflow)
        common = (r.score_underflow + r.exp_error + 2.0 * r.unit * worst) * SAFE
        top_place, top_sign = float(row.place.high.max()), float(row.sign.high.max(initial=0.0))
        top = max(top_place + top_sign, float(row.single.high.max()))

        # log-errors of the weights; the distance from the row's maximum is split between position and symbol
        lam_place = at_place + r.unit * np.maximum((top - top_sign) - row.place.low, 0.0) * SAFE
        lam_sign = at_sign + r.unit * np.maximum(top_sign - row.sign.low, 0.0) * SAFE + common
        lam_single = at_single + r.unit * np.maximum(top - row.single.low, 0.0) * SAFE + common
        lift_place = _lift(row.place, row.e_place[1], lam_place)
        lift_single = _lift(row.single, row.e_single[1], lam_single)

        # the normaliser: e^(a+b) - 1 = (e^a - 1) e^b + (e^b - 1), over every symbol that any position may hold
        moved, whole = float(lift_single.sum()), float(row.e_single[0].sum())
        e_low, e_high = row.e_sign
        if len(e_low):
            others = np.delete(np.arange(len(lift_place)), query)
            moved += float(sum_high(lift_place[others])) * float((e_high * (1.0 + growth(lam_sign))).max())
            moved += float(sum_high(row.e_place[1][others])) * float((e_high * growth(lam_sign)).max())
            whole += float(sum_low(row.e_place[0][others])) * float(e_low.min())
        if not moved * SAFE * 2.0 < whole:
            raise RejectedError("floating-point errors of the scores are too large to say anything")
        share = moved * SAFE / whole
        theta = (share / (1.0 - share) + r.sum_error + r.path) * SAFE

        constant = np.abs(layer.bias.mid) + (0.0 if layer.skip is None else size_x @ np.abs(layer.skip.mid))
        sizes = np.abs(layer.token.mid[tables.used]) @ r.logit_sizes
        if not tables.position_free:
            sizes = sizes + (np.abs(layer.position.mid) @ r.logit_sizes).max(axis=0)
        rounded = _round_up(lam_sign + theta)
        key = (labels.tobytes(), rounded.tobytes(), e_high.tobytes(), constant.tobytes())
        if key not in tables.loss_memo:
            a, grown = _both((sizes + constant) * SAFE, labels), growth(rounded)
            tables.loss_memo.clear()
            tables.loss_memo[key] = grown * a * SAFE + r.underflow, e_high * (1.0 + grown) * a * SAFE
        sign, ceiling = tables.loss_memo[key]
        single_sizes = size_rows @ r.logit_sizes + constant
        single_lift = _lift(row.single, row.e_single[1], lam_single + theta)
        return cls(
            key=key,
            sign=sign,
            place=lift_place * SAFE,
            ceiling=ceiling,
            single=single_lift * _both(single_sizes * SAFE, labels) * SAFE,
            underflow=r.underflow,
        )


def _round_up(x: np.ndarray) -> np.ndarray:
    """Up to four significant bits, so that neighbouring rows have equal losses, computed once."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.ceil(mantissa * 16.0), exponent - 4)


def _both(sizes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(A, k, rows): size[label] + size[rival] from (rows, k); two logits are rounded separately."""
    return sizes.T[labels][:, None, :] + sizes.T[None]


def _lift(score: Ball, e_high: np.ndarray, lam: np.ndarray) -> np.ndarray:
    """Upper bounds of e^score (e^lam - 1), safe where e^lam alone would overflow."""
    small = e_high * growth(np.minimum(lam, 1.0))
    large = exp(Ball(score.mid + lam, score.rad + np.abs(score.mid) * 2.0**-52 + lam * 2.0**-52)).high
    return np.where(lam <= 1.0, small, large) * SAFE
