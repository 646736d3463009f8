"""Lower bounds of a sum of ratios on every input of a cell, from multipliers: the denominator-vertex bound.

For an input x let N_h = sum_j e_hj u_hj, D_h = sum_j e_hj > 0 and w_h = 1/D_h. Given tau with sum_h tau_h + const >= 0,
    sum_h N_h/D_h + const >= sum_h w_h (N_h - tau_h D_h),
which is linear in w while x is fixed. Where a_h <= D_h <= b_h, w lies in the box of all [1/b_h, 1/a_h], so it is
enough that the right-hand side is positive at the corners w of the box. For any multipliers p, m >= 0 it is at least
    sum_h [ w_h (N_h - tau_h D_h) - p_h (D_h - a_h) - m_h (b_h - D_h) ]
        = sum_j sum_h e_hj [ w_h (u_hj - tau_h) - p_h + m_h ] + sum_h (p_h a_h - m_h b_h),
a separable sum, whose least value on a cell is a sum of least terms. p_h, m_h may depend on which end w_h takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.kernel.balls import TINY, Ball, gamma, sum_low
from separatrix.kernel.head_tables import View

CHUNK = 2**21  # numbers in the largest array
LEAST = 2.0**-600  # of D: what underflows in a term, 2^-1074, is then below SPARE after division by D
SPARE = 2.0**-400


@dataclass(frozen=True, slots=True)
class Leaves:
    """L boxes of (cell, label, rival) with their multipliers.

    cell, rival (L,). tau (L, H). low, high (L, H): the box of the D_h. plus, minus (L, 2, H): p and m where w_h is
    1/high (0) and where it is 1/low (1). prices (L, rows, classes) or None: for distinct words, one row a corner, or a
    head where each is taken alone.
    """

    cell: np.ndarray
    rival: np.ndarray
    tau: np.ndarray
    low: np.ndarray
    high: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    prices: np.ndarray | None = None

    def __getitem__(self, index: slice | np.ndarray) -> Leaves:
        parts = (self.cell, self.rival, self.tau, self.low, self.high, self.plus, self.minus, self.prices)
        return Leaves(*(None if part is None else part[index] for part in parts))  # pyright: ignore

    def __len__(self) -> int:
        return len(self.cell)


def alone_low(view: View, leaves: Leaves) -> np.ndarray:
    """(L,) floats below the least of N_h - tau_h D_h over the cell and over h."""
    low = np.empty(len(leaves))
    for part in _chunks(len(leaves), view.low.shape[0] * view.at.shape[1] * view.at.shape[2]):
        some = leaves[part]
        term, _, _ = _terms(view, some)
        low[part] = (_sum_low(view, some, term) - SPARE).min(axis=1)
    return low


def _sum_low(view: View, leaves: Leaves, terms: np.ndarray) -> np.ndarray:
    """(L, rows) floats below the least sum of terms (L, rows, J, W) over the words of each leaf's cell."""
    if view.words is None:
        return sum_low(terms.min(axis=3), axis=2)
    prices = [None] * len(leaves) if leaves.prices is None else leaves.prices[:, : terms.shape[1]]
    return np.array(
        [view.words.low(int(c), term, price) for c, term, price in zip(leaves.cell, terms, prices, strict=True)]
    ).reshape(terms.shape[:2])


def corners_low(view: View, leaves: Leaves) -> np.ndarray:
    """(L,) floats below the least of the separable sum over the cell and over the 2^H corners.

    The term of a head is w (term of `_terms`) + c e with c = m_h - p_h; `_slack` of its size, taken off beforehand,
    covers its roundings and those of the sum over heads. The sum of least terms over slots is rounded by `sum_low`.
    """
    heads, slots, width = view.low.shape[0], view.at.shape[1], view.at.shape[2]
    ends = np.arange(2**heads)[:, None] >> np.arange(heads) & 1
    pick = np.concatenate([ends == 0, ends == 1], axis=1).astype(np.float64)  # (2^H, 2H): which end each w_h takes
    low = np.empty(len(leaves))
    for part in _chunks(len(leaves), max(2 * heads, 2**heads) * slots * width):
        some = leaves[part]
        term, e_low, e_high = _terms(view, some)
        w = np.stack([np.nextafter(1.0 / some.high, 0.0), np.nextafter(1.0 / some.low, np.inf)], axis=1)  # (L, 2, H)
        both = w[:, :, :, None, None] * term[:, None]
        offset = np.zeros((len(some), len(pick)))
        if some.plus.any() or some.minus.any():
            c = (some.minus - some.plus)[:, :, :, None, None]
            size = (some.minus + some.plus)[:, :, :, None, None] * e_high[:, None]
            both = both + (c * np.where(c >= 0, e_low[:, None], e_high[:, None]) - size * _slack(heads))
            gain, cost = some.plus * some.low[:, None], some.minus * some.high[:, None]
            offset = ((gain - cost) - (gain + cost) * _slack(heads)).reshape(len(some), -1) @ pick.T
        corner = (pick @ both.reshape(len(some), 2 * heads, -1)).reshape(len(some), len(pick), slots, width)
        parts = np.stack([_sum_low(view, some, corner), offset], axis=2)  # (L, 2^H, 2)
        certain = np.all((some.low >= LEAST) & (some.low <= some.high), axis=1)
        low[part] = np.where(certain, (sum_low(parts, axis=2) - SPARE).min(axis=1), -np.inf)
    return low


def _slack(heads: int) -> float:
    """More than the relative errors of a term (10 roundings at most) and of a sum of 2H terms in any order."""
    return gamma(2 * heads + 16)


def _terms(view: View, leaves: Leaves) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(L, H, J, W) floats below e (u - tau) by `_slack`, and the two ends of e.

    The lower ends of u - tau make it least with the lower end of e where they are positive, else with the upper.
    """
    label = view.labels[leaves.cell]
    symbol = _low(view.symbol_logits, label, leaves.rival, leaves.tau)  # (L, H, S)
    slot = _low(view.slot_logits, label, leaves.rival, None)  # (L, H, J)
    at = view.at[leaves.cell].reshape(len(leaves), 1, -1)
    m = np.take_along_axis(symbol, np.broadcast_to(at, (len(leaves), symbol.shape[1], at.shape[2])), axis=2)
    m = m.reshape(*slot.shape, -1) + slot[:, :, :, None]
    if view.loss is not None:
        m = np.nextafter(m, -np.inf) - view.loss.taken(label, leaves.rival, view.at[leaves.cell])
    cells, of_cell = np.unique(leaves.cell, return_inverse=True)
    e_low, e_high = (e[of_cell] for e in view.exponentials(cells))
    term = np.where(m >= 0, e_low, e_high) * m
    return term - np.abs(term) * _slack(slot.shape[1]), e_low, e_high


def _low(logits: Ball, label: np.ndarray, rival: np.ndarray, tau: np.ndarray | None) -> np.ndarray:
    """(L, H, rows) floats below logits[label] - logits[rival] - tau, from (H, rows, k)."""
    turned = Ball(np.moveaxis(logits.mid, 2, 0), np.moveaxis(logits.rad, 2, 0))
    ball = turned[label] - turned[rival]
    return ball.low if tau is None else (ball - Ball.exact(tau[:, :, None])).low


def _chunks(count: int, size: int) -> list[slice]:
    step = max(1, CHUNK // max(1, size))
    return [slice(start, start + step) for start in range(0, count, step)]


assert 2.0**601 * 2.0**-1074 * 2.0**60 < SPARE > TINY
