"""What the heads, the features and the norms of a `Net` range over, on a cell or on a part of one.

A head's share of a feature is N / D = sum_j e_j a_j / sum_j e_j. Where N - L D >= S on a set of inputs, N / D is at
least L + S / D there, at the worse end of D. So any guess L gives a range, and where L is below the shares already,
    N / D >= L + S / D_high    narrows it, one head alone, and
    sum_h N_h / D_h >= sum_h L_h + least of sum_h (N_h - L_h D_h) / D_h,high    bounds all heads together:
one separable sum, for N_h - L_h D_h >= 0. Least values are -(greatest values of -a).
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
Ends = tuple[np.ndarray, np.ndarray]  # floats below, floats above


@dataclass(frozen=True, slots=True)
class Ranges:
    """Floats below and above, on each of C sets: D_h (C, H), features that are ranged (C, R), s and S (C,).

    shares (C, 2, R, H): floats below every N_h / D_h, of the features and of the negative features.
    """

    heads: Ends
    shares: np.ndarray
    features: Ends
    s: Ends
    outer: Ends

    @classmethod
    def of(cls, scene: Scene, tau: np.ndarray) -> Ranges:
        """Of C cells, from a guess tau (C, 2, R, H) of the least and the greatest share of each head: any is sound."""
        net, cells = scene.net, len(scene.labels)
        heads, guess = scene.denominators(), tau * np.array([1.0, -1.0])[:, None, None]
        shares = np.empty(guess.shape)
        cell, row = np.divmod(np.arange(cells * len(net.ranged)), max(1, len(net.ranged)))
        for side in (0, 1):
            a = _signed(scene, side)
            for part in chunks(np.arange(len(cell)), scene, 1):
                c, r = cell[part], row[part]
                low, high = heads[0][c], heads[1][c]
                shares[c, side, r] = alone(scene, c, a[r], guess[c, side, r], low, high, None)
        together = _together(scene, np.arange(cells), heads, shares, None)
        return _made(scene, heads, shares, together)

    def at(self, cell: np.ndarray) -> Ranges:
        """Those of these cells."""
        ends = ((part[0][cell], part[1][cell]) for part in (self.heads, self.features, self.s, self.outer))
        heads, features, s, outer = ends
        return Ranges(heads, self.shares[cell], features, s, outer)

    def narrowed(self, scene: Scene, cell: np.ndarray, only: np.ndarray, heads: Ends, wanted: np.ndarray) -> Ranges:
        """Of the inputs of these sets (L,), parts of the cells (L,), whose slots hold what `only` (L, J, S) says and
        whose D_h lie between `heads` (L, H). wanted (L, R): the features whose ranges are to shrink."""
        net, e = scene.net, (scene.low, scene.high)
        low = np.stack([scene.words.low(_whole(e[0][h], cell), cell, only) for h in range(net.heads)], axis=1)
        high = -np.stack([scene.words.low(_whole(-e[1][h], cell), cell, only) for h in range(net.heads)], axis=1)
        both = np.maximum(low, heads[0]), np.minimum(high, heads[1])
        shares = self.shares.copy()
        for side in (0, 1):
            a = _signed(scene, side)
            rows, columns = np.nonzero(wanted)
            for part in chunks(np.arange(len(rows)), scene, 1):
                i, r = rows[part], columns[part]
                known = shares[i, side, r]
                more = alone(scene, cell[i], a[r], known, None, both[1][i], only[i])
                shares[i, side, r] = np.maximum(known, more)
        together = _together(scene, cell, both, shares, (wanted, only))
        kept = np.where(wanted[None], together, -np.inf)
        made = _made(scene, both, shares, kept)
        return Ranges(
            both,
            shares,
            _meet(made.features, self.features),
            _meet(made.s, self.s),
            _meet(made.outer, self.outer),
        )


def _made(scene: Scene, heads: Ends, shares: np.ndarray, together: np.ndarray) -> Ranges:
    """From the bounds (2, C, R) of all heads together, without the residual's part."""
    net, own = scene.net, scene.own[scene.net.ranged]
    low = sum_low(np.stack([together[0], np.broadcast_to(own.low, together[0].shape)]), axis=0)
    high = -sum_low(np.stack([together[1], np.broadcast_to(-own.high, together[1].shape)]), axis=0)
    features = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    one = np.ones(len(low))
    s = outer = (one, one)
    if net.inner_eps is not None:
        s = _spread(_last(features, net.coordinates), net.inner_eps, net.width)
    if net.outer_eps is not None:
        outer = _spread(_outer_coordinates(scene, features, s), net.outer_eps, net.width)
    return Ranges(heads, shares, features, s, outer)


def _together(
    scene: Scene, cell: np.ndarray, heads: Ends, shares: np.ndarray, parts: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """(2, L, R) below the sums over heads of the shares, which are above `shares` (L, 2, R, H)."""
    found = np.moveaxis(sum_low(shares, axis=3), 1, 0).copy()
    if scene.net.heads == 1 and parts is None:
        return found
    wanted = np.ones(found.shape[1:], dtype=bool) if parts is None else parts[0]
    rows, columns = np.nonzero(wanted)
    for side in (0, 1):
        a = _signed(scene, side)
        for part in chunks(np.arange(len(rows)), scene, 1):
            i, r = rows[part], columns[part]
            term = []
            for h in range(scene.net.heads):
                most = heads[1][i, h][:, None, None]
                quotient = terms(scene, a[r, h], shares[i, side, r, h], h) / most
                quotient -= np.abs(quotient) * gamma(1) + np.where(most >= LEAST, SPARE, np.inf)
                term.append(quotient)
            only = None if parts is None else parts[1][i]
            least = np.maximum(scene.words.low(sum_low(np.stack(term)), cell[i], only), 0.0)
            least = np.where(np.isnan(least), 0.0, least)
            every = np.concatenate([shares[i, side, r], least[:, None]], axis=1)
            found[side, i, r] = np.maximum(found[side, i, r], sum_low(every, axis=1))
    return found


def alone(
    scene: Scene,
    cell: np.ndarray,
    a: Ball,
    tau: np.ndarray,
    low: np.ndarray | None,
    high: np.ndarray,
    only: np.ndarray | None,
) -> np.ndarray:
    """(L, H) below N_h / D_h, every head by itself.

    low, high (L, H): ranges of the D_h; low is None where tau is below N_h / D_h already.
    """
    least = np.empty(tau.shape)
    for h in range(scene.net.heads):
        least[:, h] = scene.words.low(terms(scene, a[:, h], tau[:, h], h), cell, only)
    least = np.where(np.isnan(least), -np.inf, least)
    if low is None:
        share, fine = np.maximum(least, 0.0) / high, high >= LEAST
    else:
        share, fine = np.where(least >= 0, least / high, least / low), low >= LEAST
    share = np.where(fine, share - np.abs(share) * gamma(1) - SPARE, -np.inf)
    both = sum_low(np.stack([share, tau]))
    return np.where(np.isnan(both), np.where(np.isposinf(least), np.inf, -np.inf), both)


def terms(scene: Scene, a: Ball, tau: np.ndarray, head: int) -> np.ndarray:
    """(L, J, S) floats below e (a - tau) of one head."""
    return times_low(scene.low[head], scene.high[head], (a - Ball.exact(tau[:, None, None])).low)


def units(scene: Scene, features: Ends, s: Ends) -> Ends:
    """(L, F) the ranges of the pre-activations, from those of the features and of s."""
    net = scene.net
    low, high = (end[:, : net.hidden] for end in features)
    more = net.shift[None] + net.slope[None] * interval(*s)[:, None]
    return sum_low(np.stack([low, more.low])), sum_high(np.stack([high, more.high]))


def interval(low: np.ndarray, high: np.ndarray) -> Ball:
    """The ball from `low` to `high`."""
    mid = (low + high) / 2
    return Ball(mid, np.nextafter(np.maximum(high - mid, mid - low), np.inf))


def chunks(rows: np.ndarray, scene: Scene, copies: int) -> list[np.ndarray]:
    """These rows in parts whose arrays, `copies` times a table each, are of bounded size."""
    step = max(1, CHUNK // max(1, scene.low.size * copies))
    return [rows[i : i + step] for i in range(0, len(rows), step)]


def _signed(scene: Scene, side: int) -> Ball:
    a = scene.feature(scene.net.ranged)
    return a if side == 0 else -a


def _whole(table: np.ndarray, cell: np.ndarray) -> np.ndarray:
    return np.broadcast_to(table, (len(cell), *table.shape))


def _meet(one: Ends, other: Ends) -> Ends:
    return np.maximum(one[0], other[0]), np.minimum(one[1], other[1])


def _last(ends: Ends, count: int) -> Ends:
    return ends[0][:, ends[0].shape[1] - count :], ends[1][:, ends[1].shape[1] - count :]


def _spread(c: Ends, eps: Ball, d: int) -> Ends:
    """(C,) floats below and above sqrt(|c|^2 / d + d^2 eps), from ranges of the coordinates (C, d)."""
    most = np.maximum(np.abs(c[0]), np.abs(c[1]))
    least = np.where((c[0] <= 0) & (c[1] >= 0), 0.0, np.minimum(np.abs(c[0]), np.abs(c[1])))
    ends = []
    for size, above in ((least, False), (most, True)):
        square = (interval(size, size) * interval(size, size)) @ Ball.exact(np.full((d, 1), 1.0))
        total = Ball(square.mid / d, up(square.rad / d + np.abs(square.mid / d) * 2.0**-53)) + eps * Ball.exact(
            np.float64(d) * d
        )
        value = total.high if above else np.maximum(total.low, 0.0)
        ends.append(root(value[:, 0], above=above))
    return ends[0], ends[1]


def _outer_coordinates(scene: Scene, features: Ends, s: Ends) -> Ends:
    """(C, d) ranges of the coordinates that the last norm reads: of c, and of what the ReLU layer adds."""
    net = scene.net
    low, high = _last(features, net.coordinates)
    if not net.hidden:
        return low, high
    total = interval(low, high) if net.outs else Ball(np.zeros_like(low), np.zeros_like(low))
    p = units(scene, features, s)
    active = [np.maximum(end, 0.0) for end in p]
    if net.inner_eps is not None:  # these are s p
        active = [np.nextafter(active[0] / s[1][:, None], 0.0), np.nextafter(active[1] / s[0][:, None], np.inf)]
    total = total + net.middle_bias[None] + interval(*active) @ net.middle
    return total.low, total.high


assert 2.0**601 * 2.0**-1074 * 2.0**60 < SPARE > TINY
