"""Lower bounds of s times a margin on every input of a box of a cell, from multipliers (see `relu_net`).

Let f_m = own_m + sum_h N_hm / D_h be the features of an input, p_k = f_k + shift_k + slope_k s its pre-activations. For
ANY floats lambda_k, and p_k in [L_k, U_k],
    beta_k relu(p_k) >= lambda_k p_k + delta_k,   delta_k = least of beta_k relu(p) - lambda_k p at p = L_k, U_k and,
where it lies between, 0: the difference is linear on either side of 0. So s times the margin is at least
    sum_m a_m f_m + const,   a and const affine in s,
and being linear in s while the input is fixed, it is enough to bound it at both ends of the interval of s. There
    alone:    sum_h N_h / D_h >= sum_h [tau_h + S_h / D_h],  S_h <= N_h - tau_h D_h on the cell, D_h at the worse end;
    corners:  sum_h N_h / D_h = sum_h tau_h + sum_h w_h (N_h - tau_h D_h), linear in w_h = 1 / D_h: it is enough to
              bound it where every w_h is at an end of its range, and there it is a separable sum. To each corner may be
              added sum_h [minus_h (b_h - D_h) + plus_h (D_h - a_h)] times -1, for D_h in [a_h, b_h]: any multipliers
              plus, minus >= 0, which may depend on the end that w_h takes.
Where the slots of a leaf hold only some of the cell's symbols, all ranges are those of that part (see `relu_ranges`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.kernel.balls import Ball, gamma, sum_low, times_low
from separatrix.kernel.relu_ranges import LEAST, SPARE, Ends, Ranges, alone, chunks, interval, terms, units
from separatrix.kernel.relu_tables import Scene


@dataclass(frozen=True, slots=True)
class Box:
    """L boxes: of the pre-activations (L, F) beyond what `Ranges` says, of the D_h (L, H), of s (L,).

    part (L,): the row of `only` (rows, J, S) that says what the slots may hold; -1 for all that the cell allows.
    """

    units: Ends
    heads: Ends
    s: Ends
    part: np.ndarray
    only: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Box:
        units, heads, s = ((e[0][rows], e[1][rows]) for e in (self.units, self.heads, self.s))
        return Box(units, heads, s, self.part[rows], self.only)


@dataclass(frozen=True, slots=True)
class Leaves:
    """L boxes of (cell, rival) with their multipliers.

    slope (L, F): lambda. tau (L, H), or width 0 for one head, which needs none. plus, minus (L, 2, H), where w_h is
    1/high (0) and where it is 1/low (1). taken (L,): what the margin must exceed, by which the bounds are lower.
    """

    cell: np.ndarray
    rival: np.ndarray
    alone: np.ndarray
    box: Box
    slope: np.ndarray
    tau: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    taken: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Leaves:
        return Leaves(
            self.cell[rows],
            self.rival[rows],
            self.alone[rows],
            self.box[rows],
            self.slope[rows],
            self.tau[rows],
            self.plus[rows],
            self.minus[rows],
            self.taken[rows],
        )


def leaves_low(scene: Scene, ranges: Ranges, leaves: Leaves) -> np.ndarray:
    """(L,) floats below s times the margin, less `taken`, on the box of each leaf; +inf where the box is empty."""
    result, part = np.empty(len(leaves.cell)), leaves.box.part
    for rows in chunks(np.flatnonzero(part < 0), scene, 1):
        some = leaves[rows]
        result[rows] = _low(scene, within(scene, ranges.at(some.cell), some.box), some, None)
    for rows in chunks(np.flatnonzero(part >= 0), scene, 1):
        some = leaves[rows]
        only = some.box.only[some.box.part]
        whole = ranges.at(some.cell)
        here = whole.narrowed(scene, some.cell, only, some.box.heads, _wanted(scene, whole, some))
        result[rows] = _low(scene, within(scene, here, some.box), some, only)
    return result


def _wanted(scene: Scene, ranges: Ranges, leaves: Leaves) -> np.ndarray:
    """(L, R) the features whose ranges matter: not of units of known sign, nor where delta = 0 for all p."""
    beta = Ball(scene.net.beta.mid.T, scene.net.beta.rad.T)
    least = (beta[scene.labels[leaves.cell]] - beta[leaves.rival]).low
    low, high = units(scene, ranges.features, ranges.s)
    wanted = np.ones((len(leaves.cell), len(scene.net.ranged)), dtype=bool)
    wanted[:, : scene.net.hidden] = (low < 0) & (high > 0) & ~((leaves.slope >= 0) & (leaves.slope <= least))
    return wanted


@dataclass(frozen=True, slots=True)
class Inside:
    """The ranges of L boxes: pre-activations (L, F), D_h (L, H), s and S (L,); where low > high a box is empty."""

    units: Ends
    heads: Ends
    s: Ends
    outer: Ends


def within(scene: Scene, ranges: Ranges, box: Box) -> Inside:
    """From the ranges (L) of the sets that the boxes lie in."""
    s = np.maximum(ranges.s[0], box.s[0]), np.minimum(ranges.s[1], box.s[1])
    low, high = units(scene, ranges.features, s)
    return Inside(
        (np.maximum(low, box.units[0]), np.minimum(high, box.units[1])),
        (np.maximum(ranges.heads[0], box.heads[0]), np.minimum(ranges.heads[1], box.heads[1])),
        s,
        ranges.outer,
    )


def _low(scene: Scene, inside: Inside, leaves: Leaves, only: np.ndarray | None) -> np.ndarray:
    ends = inside.units, inside.heads, tuple(e[:, None] for e in inside.s)
    empty = np.any([(low > high).any(axis=1) for low, high in ends], axis=0)
    result = np.full(len(leaves.cell), np.inf)
    hidden = scene.net.hidden
    for end in (0, 1):
        rows = np.flatnonzero(~empty if end == 0 else ~empty & ~(inside.s[0] == inside.s[1]))
        if not len(rows):
            continue
        some, s = leaves[rows], inside.s[end][rows]
        here = Inside(*((e[0][rows], e[1][rows]) for e in (inside.units, inside.heads, inside.s, inside.outer)))
        const = _constant(scene, here, some, s)
        weights = np.zeros((len(rows), scene.net.mix.mid.shape[2]))
        weights[:, :hidden] = some.slope
        if scene.net.outs:
            at = np.arange(len(rows))
            weights[at, hidden + scene.labels[some.cell]] = s
            weights[at, hidden + some.rival] = -s
        value = np.empty(len(rows))
        for by_head in (False, True):
            for part in chunks(np.flatnonzero(some.alone == by_head), scene, 1 if by_head else _copies(scene)):
                parts = None if only is None else only[rows[part]]
                value[part] = _bound(scene, here, some, part, weights[part], const[part], by_head, parts)
        result[rows] = np.minimum(result[rows], np.where(np.isnan(value), -np.inf, value))
    return result


def _copies(scene: Scene) -> int:
    return max(2, 2**scene.net.heads // scene.net.heads + 1)


def _bound(
    scene: Scene,
    inside: Inside,
    leaves: Leaves,
    rows: np.ndarray,
    weights: np.ndarray,
    const: np.ndarray,
    by_head: bool,
    only: np.ndarray | None,
) -> np.ndarray:
    a, cell, tau = scene.functional(weights), leaves.cell[rows], leaves.tau[rows]
    own = (Ball.exact(weights) @ Ball(scene.own.mid[:, None], scene.own.rad[:, None]))[:, 0].low
    low, high = inside.heads[0][rows], inside.heads[1][rows]
    if scene.net.heads == 1:  # then the sign of the sum with this tau is that of the bound
        tau = -(own + const)[:, None]
    if by_head:
        least = sum_low(alone(scene, cell, a, tau, low, high, only), axis=1)
    else:
        least = _corners(scene, cell, a, tau, low, high, leaves.plus[rows], leaves.minus[rows], only)
    return sum_low(np.stack([least, own, const]), axis=0)


def _constant(scene: Scene, inside: Inside, leaves: Leaves, s: np.ndarray) -> np.ndarray:
    """(L,) below what does not depend on the heads: delta, lambda (shift + slope s), s (constant + t S), -taken."""
    net, label, rival = scene.net, scene.labels[leaves.cell], leaves.rival
    slope, at = Ball.exact(leaves.slope), Ball.exact(s[:, None])
    beta = Ball(net.beta.mid.T, net.beta.rad.T)
    parts = [_delta(beta[label] - beta[rival], leaves.slope, *inside.units), -leaves.taken[:, None]]
    parts.append((slope * (net.shift[None] + net.slope[None] * at)).low)
    tilted = Ball(np.zeros(len(s)), np.zeros(len(s)))
    if net.outer_eps is not None:
        tilted = interval(*inside.outer) * (net.tilt[label] - net.tilt[rival])
    parts.append((at[:, 0] * (net.constant[label] - net.constant[rival] + tilted)).low[:, None])
    return sum_low(np.concatenate(parts, axis=1), axis=1)


def _delta(beta: Ball, slope: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(L, F) below min over p in [low, high] of beta relu(p) - slope p."""
    right = (beta - Ball.exact(slope)).low  # of p > 0
    least = np.full(slope.shape, np.inf)
    for end in (low, high):
        value = np.where(end > 0, times_low(end, end, right), times_low(-end, -end, slope))
        least = np.minimum(least, np.where(np.isnan(value), -np.inf, value))
    return np.where((low <= 0) & (high >= 0), np.minimum(least, 0.0), least)


def _corners(
    scene: Scene,
    cell: np.ndarray,
    a: Ball,
    tau: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    plus: np.ndarray,
    minus: np.ndarray,
    only: np.ndarray | None,
) -> np.ndarray:
    """(L,) below sum_h N_h / D_h, by the 2^H corners.

    The term of a head is w (term of `terms`) + c e with c = minus - plus; `slack` of its size, taken off beforehand,
    covers its roundings and those of the sum over heads. Sums over slots are rounded by `Words.low`.
    """
    heads, slots, width = scene.low.shape
    ends = np.arange(2**heads)[:, None] >> np.arange(heads) & 1
    pick = np.concatenate([ends == 0, ends == 1], axis=1).astype(np.float64)  # (2^H, 2H): which end each w_h takes
    slack = gamma(2 * heads + 16)
    term = np.stack([terms(scene, a[:, h], tau[:, h], h) for h in range(heads)], axis=1)  # (L, H, J, S)
    w = np.stack([np.nextafter(1.0 / high, 0.0), np.nextafter(1.0 / low, np.inf)], axis=1)  # (L, 2, H)
    both = w[:, :, :, None, None] * term[:, None]
    both -= np.abs(both) * slack
    offset = np.zeros((len(cell), len(pick)))
    if plus.any() or minus.any():
        c, size = (part[:, :, :, None, None] for part in (minus - plus, minus + plus))
        both = both + (c * np.where(c >= 0, scene.low, scene.high) - size * scene.high * slack)
        gain, cost = plus * low[:, None], minus * high[:, None]
        offset = ((gain - cost) - (gain + cost) * slack).reshape(len(cell), -1) @ pick.T
    corner = (pick @ both.reshape(len(cell), 2 * heads, -1)).reshape(-1, slots, width)
    only = None if only is None else np.repeat(only, len(pick), axis=0)
    least = scene.words.low(corner, np.repeat(cell, len(pick)), only).reshape(len(cell), -1)
    value = (sum_low(np.stack([least, offset]), axis=0) - SPARE).min(axis=1)
    fine = np.all((low >= LEAST) & (low <= high), axis=1)
    return sum_low(np.concatenate([np.where(fine, value, -np.inf)[:, None], tau], axis=1), axis=1)
