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
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.kernel.balls import TINY, Ball, gamma, sum_high, sum_low, times_low, up
from separatrix.kernel.norm import root
from separatrix.kernel.relu_tables import Scene

CHUNK = 2**21  # numbers in the largest array
LEAST = 2.0**-600  # of D: what underflows in a term, 2^-1074, is then below SPARE after division by D
SPARE = 2.0**-400


@dataclass(frozen=True, slots=True)
class Box:
    """L boxes: of the pre-activations (L, F) beyond what `Ranges` says, of the D_h (L, H), of s (L,)."""

    units: tuple[np.ndarray, np.ndarray]
    heads: tuple[np.ndarray, np.ndarray]
    s: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Leaves:
    """L boxes of (cell, rival) with their multipliers.

    slope (L, F): lambda. tau (L, H), or width 0 for one head, which needs none. plus, minus (L, 2, H), where w_h is
    1/high (0) and where it is 1/low (1).
    """

    cell: np.ndarray
    rival: np.ndarray
    alone: np.ndarray
    box: Box
    slope: np.ndarray
    tau: np.ndarray
    plus: np.ndarray
    minus: np.ndarray


@dataclass(frozen=True, slots=True)
class Ranges:
    """Floats below and above, on each of C cells: D_h (C, H), features that are ranged (C, R), s and S (C,)."""

    heads: tuple[np.ndarray, np.ndarray]
    features: tuple[np.ndarray, np.ndarray]
    s: tuple[np.ndarray, np.ndarray]
    outer: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, scene: Scene, tau: np.ndarray, joint: np.ndarray) -> Ranges:
        """From a guess tau (C, 2, R, H) of the least and the greatest share of each head: any is sound.

        joint (C, 2, R): whether the heads are bounded together, by corners, or each alone.
        """
        net, cells = scene.net, len(scene.labels)
        heads, which = scene.denominators(), net.ranged
        ends = np.empty((2, cells, len(which)))
        for side, sign in enumerate((1.0, -1.0)):
            a, own = scene.feature(which), scene.own[which]
            if sign < 0:
                a, own = -a, -own
            for corners in (False, True):
                found = np.flatnonzero(joint[:, side] == corners)
                for cell, r in (np.divmod(part, len(which)) for part in chunks(found, scene, not corners)):
                    low, high, guess = heads[0][cell], heads[1][cell], sign * tau[cell, side, r]
                    if corners:
                        none = np.zeros((len(cell), 2, net.heads))
                        least = _corners(scene, cell, a[r], guess, low, high, none, none)
                    else:
                        least = _alone(scene, cell, a[r], guess, low, high)
                    ends[side, cell, r] = sign * sum_low(np.stack([least, own.low[r]]), axis=0)
        features = ends[0], ends[1]
        one = np.ones(cells)
        s = outer = (one, one)
        if net.inner_eps is not None:
            s = _spread(_last(features, net.coordinates), net.inner_eps, net.width)
        if net.outer_eps is not None:
            outer = _spread(_outer_coordinates(scene, features, s), net.outer_eps, net.width)
        return cls(heads, features, s, outer)


def units(scene: Scene, ranges: Ranges, cell: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """(L, F) the ranges of the pre-activations in these boxes; low > high where a box is empty."""
    low, high = _units(scene, tuple(r[cell, : scene.net.hidden] for r in ranges.features), box.s)  # pyright: ignore
    return np.maximum(low, box.units[0]), np.minimum(high, box.units[1])


def leaves_low(scene: Scene, ranges: Ranges, leaves: Leaves) -> np.ndarray:
    """(L,) floats below s times the margin on the box of each leaf; +inf where the box is empty."""
    count, hidden = len(leaves.cell), scene.net.hidden
    low, high = units(scene, ranges, leaves.cell, leaves.box)
    empty = (low > high).any(axis=1) | (leaves.box.heads[0] > leaves.box.heads[1]).any(axis=1)
    empty |= leaves.box.s[0] > leaves.box.s[1]
    result = np.full(count, np.inf)
    same = leaves.box.s[0] == leaves.box.s[1]
    for end in (0, 1):
        rows = np.flatnonzero(~empty if end == 0 else ~empty & ~same)
        if not len(rows):
            continue
        s = leaves.box.s[end][rows]
        const = _constant(scene, ranges, leaves, rows, s, low[rows], high[rows])
        weights = np.zeros((len(rows), scene.net.mix.mid.shape[2]))
        weights[:, :hidden] = leaves.slope[rows]
        if scene.net.outs:
            at = np.arange(len(rows))
            weights[at, hidden + scene.labels[leaves.cell[rows]]] = s
            weights[at, hidden + leaves.rival[rows]] = -s
        value = np.empty(len(rows))
        for alone in (False, True):
            for part in chunks(np.flatnonzero(leaves.alone[rows] == alone), scene, alone):
                value[part] = _bound(scene, leaves, rows[part], weights[part], const[part], alone)
        result[rows] = np.minimum(result[rows], value)
    return result


def _bound(
    scene: Scene, leaves: Leaves, rows: np.ndarray, weights: np.ndarray, const: np.ndarray, alone: bool
) -> np.ndarray:
    a, cell, tau = scene.functional(weights), leaves.cell[rows], leaves.tau[rows]
    own = (Ball.exact(weights) @ Ball(scene.own.mid[:, None], scene.own.rad[:, None]))[:, 0].low
    low, high = leaves.box.heads[0][rows], leaves.box.heads[1][rows]
    if scene.net.heads == 1:  # then the sign of the sum with this tau is that of the bound
        tau = -(own + const)[:, None]
    if alone:
        least = _alone(scene, cell, a, tau, low, high)
    else:
        least = _corners(scene, cell, a, tau, low, high, leaves.plus[rows], leaves.minus[rows])
    return sum_low(np.stack([least, own, const]), axis=0)


def _constant(
    scene: Scene, ranges: Ranges, leaves: Leaves, rows: np.ndarray, s: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """(L,) below what does not depend on the heads: delta, lambda (shift + slope s), s (constant + t S)."""
    net, label, rival = scene.net, scene.labels[leaves.cell[rows]], leaves.rival[rows]
    slope, at = Ball.exact(leaves.slope[rows]), Ball.exact(s[:, None])
    beta = Ball(net.beta.mid.T, net.beta.rad.T)
    parts = [_delta(beta[label] - beta[rival], leaves.slope[rows], low, high)]
    parts.append((slope * (net.shift[None] + net.slope[None] * at)).low)
    outer = tuple(end[leaves.cell[rows]] for end in ranges.outer)
    tilt = net.tilt[label] - net.tilt[rival]
    tilted = Ball(np.zeros(len(rows)), np.zeros(len(rows)))
    if net.outer_eps is not None:
        tilted = _interval(*outer) * tilt
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


def _alone(scene: Scene, cell: np.ndarray, a: Ball, tau: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(L,) below sum_h N_h / D_h, every head by itself; low, high (L, H): ranges of the D_h."""
    least = np.empty(tau.shape)
    for h in range(scene.net.heads):
        least[:, h] = scene.words.low(_terms(scene, a[:, h], tau[:, h], h), cell)
    share = np.where(least >= 0, least / high, least / low)
    share = np.where(low >= LEAST, share - np.abs(share) * gamma(1) - SPARE, -np.inf)
    return sum_low(np.concatenate([share, tau], axis=1), axis=1)


def _terms(scene: Scene, a: Ball, tau: np.ndarray, head: int) -> np.ndarray:
    """(L, J, S) floats below e (a - tau) of one head."""
    return times_low(scene.low[head], scene.high[head], (a - Ball.exact(tau[:, None, None])).low)


def _corners(
    scene: Scene,
    cell: np.ndarray,
    a: Ball,
    tau: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    plus: np.ndarray,
    minus: np.ndarray,
) -> np.ndarray:
    """(L,) below sum_h N_h / D_h, by the 2^H corners.

    The term of a head is w (term of `_terms`) + c e with c = minus - plus; `slack` of its size, taken off beforehand,
    covers its roundings and those of the sum over heads. Sums over slots are rounded by `Words.low`.
    """
    heads, slots, width = scene.low.shape
    ends = np.arange(2**heads)[:, None] >> np.arange(heads) & 1
    pick = np.concatenate([ends == 0, ends == 1], axis=1).astype(np.float64)  # (2^H, 2H): which end each w_h takes
    slack = gamma(2 * heads + 16)
    term = np.stack([_terms(scene, a[:, h], tau[:, h], h) for h in range(heads)], axis=1)  # (L, H, J, S)
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
    least = scene.words.low(corner, np.repeat(cell, len(pick))).reshape(len(cell), -1)
    value = (sum_low(np.stack([least, offset]), axis=0) - SPARE).min(axis=1)
    fine = np.all((low >= LEAST) & (low <= high), axis=1)
    return sum_low(np.concatenate([np.where(fine, value, -np.inf)[:, None], tau], axis=1), axis=1)


def _units(
    scene: Scene, features: tuple[np.ndarray, np.ndarray], s: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(L, F) ranges of the pre-activations, from those of their features and of s."""
    net = scene.net
    more = net.shift[None] + net.slope[None] * _interval(*s)[:, None]
    return sum_low(np.stack([features[0], more.low])), sum_high(np.stack([features[1], more.high]))


def _interval(low: np.ndarray, high: np.ndarray) -> Ball:
    mid = (low + high) / 2
    return Ball(mid, np.nextafter(np.maximum(high - mid, mid - low), np.inf))


def _last(ends: tuple[np.ndarray, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    return ends[0][:, ends[0].shape[1] - count :], ends[1][:, ends[1].shape[1] - count :]


def _spread(c: tuple[np.ndarray, np.ndarray], eps: Ball, d: int) -> tuple[np.ndarray, np.ndarray]:
    """(C,) floats below and above sqrt(|c|^2 / d + d^2 eps), from ranges of the coordinates (C, d)."""
    most = np.maximum(np.abs(c[0]), np.abs(c[1]))
    least = np.where((c[0] <= 0) & (c[1] >= 0), 0.0, np.minimum(np.abs(c[0]), np.abs(c[1])))
    ends = []
    for size, above in ((least, False), (most, True)):
        square = (_interval(size, size) * _interval(size, size)) @ Ball.exact(np.full((d, 1), 1.0))
        total = Ball(square.mid / d, up(square.rad / d + np.abs(square.mid / d) * 2.0**-53)) + eps * Ball.exact(
            np.float64(d) * d
        )
        value = total.high if above else np.maximum(total.low, 0.0)
        ends.append(root(value[:, 0], above=above))
    return ends[0], ends[1]


def _outer_coordinates(
    scene: Scene, features: tuple[np.ndarray, np.ndarray], s: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(C, d) ranges of the coordinates that the last norm reads: of c, and of what the ReLU layer adds."""
    net = scene.net
    low, high = _last(features, net.coordinates)
    if not net.hidden:
        return low, high
    total = _interval(low, high) if net.outs else Ball(np.zeros_like(low), np.zeros_like(low))
    p = _units(scene, (features[0][:, : net.hidden], features[1][:, : net.hidden]), s)
    active = [np.maximum(end, 0.0) for end in p]
    if net.inner_eps is not None:  # these are s p
        active = [np.nextafter(active[0] / s[1][:, None], 0.0), np.nextafter(active[1] / s[0][:, None], np.inf)]
    total = total + net.middle_bias[None] + _interval(*active) @ net.middle
    return total.low, total.high


def chunks(rows: np.ndarray, scene: Scene, alone: bool) -> list[np.ndarray]:
    """These rows in parts whose arrays are of bounded size."""
    size = scene.low.size * (1 if alone else max(2, 2**scene.net.heads // scene.net.heads + 1))
    step = max(1, CHUNK // max(1, size))
    return [rows[i : i + step] for i in range(0, len(rows), step)]


assert 2.0**601 * 2.0**-1074 * 2.0**60 < SPARE > TINY
