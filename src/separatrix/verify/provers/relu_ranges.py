"""Ranges of heads, features and norms, by the formulas of `kernel.relu_ranges`, in plain float64 and without its care.

The kernel rounds everything outwards by hairs: multipliers that are found here are to suffice with a margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.verify.provers.relu_loops import compiled, plain
from separatrix.verify.provers.relu_view import CHUNK, View

STEPS = 3  # of Dinkelbach: the kernel's own bound is then off by the square of a small error
Ends = tuple[np.ndarray, np.ndarray]


def guess(view: View) -> np.ndarray:
    """(C, 2, R, H): near the least and the greatest share of each head in each feature that is ranged."""
    net, cells, which = view.net, len(view.labels), view.net.ranged
    found = np.zeros((cells, 2, len(which), net.heads))
    if not len(which):
        return found
    value, slots = view.table(which), np.arange(view.e.shape[1])
    cell, r = np.divmod(np.arange(cells * len(which)), len(which))
    for h in range(net.heads):
        e = view.e[h]
        for side, sign in enumerate((1.0, -1.0)):
            weighted = sign * value[:, h] * e
            start = np.nan_to_num(weighted.sum(axis=(1, 2)) / e.sum())
            for part in _parts(len(cell), e.size):
                c, i = cell[part], r[part]
                tau = start[i]
                for _ in range(STEPS):
                    _, choice = view.words.least(weighted[i] - tau[:, None, None] * e, view.words.cells, c)
                    n = np.take_along_axis(weighted[i], choice[:, :, None], axis=2)[..., 0].sum(axis=1)
                    tau = n / e[slots, choice].sum(axis=1)
                found[c, side, i, h] = sign * tau
    found = np.nan_to_num(found, posinf=0.0, neginf=0.0)
    return found.astype(np.float32).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Ranges:
    """D_h (C, H); shares (C, 2, R, H) of features and negative features; features (C, R); s, S (C,)."""

    heads: Ends
    shares: np.ndarray
    features: Ends
    s: Ends
    outer: Ends

    @classmethod
    def of(cls, view: View, tau: np.ndarray) -> Ranges:
        """Of all cells, from guesses of the shares."""
        cells, which, words = len(view.labels), view.net.ranged, view.words
        row = np.arange(cells)
        heads = _denominators(view, words.cells)
        known = tau * np.array([1.0, -1.0])[:, None, None]
        shares, value = known.copy(), view.table(which)
        c, r = np.divmod(np.arange(cells * len(which)), max(1, len(which)))
        for side, sign in enumerate((1.0, -1.0)):
            for h, e in enumerate(view.e):
                for part in _parts(len(c), e.size):
                    i, j = c[part], r[part]
                    a = known[i, side, j, h]
                    least, _ = words.least(e * (sign * value[j, h] - a[:, None, None]), words.cells, i)
                    shares[i, side, j, h] = a + least / np.where(least >= 0, heads[1][i, h], heads[0][i, h])
        whole = np.ones((cells, len(which)), dtype=bool)
        return _made(view, heads, shares, _together(view, words.cells, row, heads, shares, whole, view.net.heads > 1))

    def at(self, cell: np.ndarray) -> Ranges:
        """Those of these cells."""
        ends = ((part[0][cell], part[1][cell]) for part in (self.heads, self.features, self.s, self.outer))
        heads, features, s, outer = ends
        return Ranges(heads, self.shares[cell], features, s, outer)

    def narrowed(self, view: View, masks: np.ndarray, heads: Ends, wanted: np.ndarray) -> Ranges:
        """Of parts of the cells (L,), whose slots hold what `masks` (L, J, S) says, whose D_h lie in `heads`.

        wanted (L, R): the features to look at, see `kernel.relu_bounds`.
        """
        found = _denominators(view, masks)
        both = np.maximum(found[0], heads[0]), np.minimum(found[1], heads[1])
        shares, value = self.shares.copy(), view.table(view.net.ranged)
        rows, columns = np.nonzero(wanted)
        loop = view.words.constraint.kind in ("product", "distinct")
        together = np.full((2, *wanted.shape), -np.inf)
        for side, sign in enumerate((1.0, -1.0)):
            if loop:
                known, sums = np.ascontiguousarray(shares[rows, side, columns]), np.empty(len(rows))
                words = view.words
                given = plain(view.e, value, masks, rows, columns)
                tied = words.tied if words.constraint.kind == "distinct" else words.tied[:0]
                compiled("narrow")(*given, sign, *plain(words.kinds, tied), known, both[1][rows], sums)
                shares[rows, side, columns], together[side, rows, columns] = known, sums
                continue
            for h, e in enumerate(view.e):
                for part in _parts(len(rows), e.size):
                    i, r = rows[part], columns[part]
                    known = shares[i, side, r, h]
                    least, _ = view.words.least(e * (sign * value[r, h] - known[:, None, None]), masks, i)
                    shares[i, side, r, h] = known + np.maximum(least, 0.0) / both[1][i, h]
        if not loop:
            together = _together(view, masks, np.arange(len(masks)), both, shares, wanted, True)
        made = _made(view, both, shares, np.where(wanted, together, -np.inf))
        old = (self.features, self.s, self.outer)
        new = (made.features, made.s, made.outer)
        met = [(np.maximum(a[0], b[0]), np.minimum(a[1], b[1])) for a, b in zip(old, new, strict=True)]
        return Ranges(both, shares, *met)


def units(view: View, features: Ends, s: Ends) -> Ends:
    """(L, F) the ranges of the pre-activations."""
    net = view.net
    more = np.stack([net.slope * end[:, None] for end in s])
    low, high = (end[:, : net.hidden] + net.shift for end in features)
    return low + more.min(axis=0), high + more.max(axis=0)


def _denominators(view: View, masks: np.ndarray) -> Ends:
    row = np.arange(len(masks))
    ends = []
    for sign in (1.0, -1.0):
        cost = [np.broadcast_to(sign * e, masks.shape) for e in view.e]
        ends.append(np.stack([sign * view.words.least(one, masks, row)[0] for one in cost], axis=1))
    return ends[0], ends[1]


def _together(
    view: View,
    masks: np.ndarray,
    row: np.ndarray,
    heads: Ends,
    shares: np.ndarray,
    wanted: np.ndarray,
    look: bool,
) -> np.ndarray:
    """(2, L, R) below the sums of the shares; `look`: at all heads together, where `wanted`."""
    found = np.moveaxis(shares.sum(axis=3), 1, 0).copy()
    if not look:
        return found
    value = view.table(view.net.ranged)
    rows, columns = np.nonzero(wanted)
    for side, sign in enumerate((1.0, -1.0)):
        for part in _parts(len(rows), view.e[0].size):
            i, r = rows[part], columns[part]
            cost = np.zeros((len(i), *view.e.shape[1:]))
            for h, e in enumerate(view.e):
                known, most = shares[i, side, r, h][:, None, None], heads[1][i, h][:, None, None]
                cost += e * (sign * value[r, h] - known) / most
            found[side, i, r] += np.maximum(view.words.least(cost, masks, row[i])[0], 0.0)
    return found


def _made(view: View, heads: Ends, shares: np.ndarray, together: np.ndarray) -> Ranges:
    net, own = view.net, view.own[view.net.ranged]
    features = together[0] + own, own - together[1]
    one = np.ones(len(shares))
    s = outer = (one, one)
    if net.inner is not None:
        s = _spread(_last(features, net.coordinates), net.inner, net.width)
    if net.outer is not None:
        c = _last(features, net.coordinates)
        if net.hidden:
            p = [np.maximum(end, 0.0) for end in units(view, features, s)]
            if net.inner is not None:
                p = [p[0] / s[1][:, None], p[1] / s[0][:, None]]
            plus, minus = np.maximum(net.middle, 0.0), np.minimum(net.middle, 0.0)
            added = p[0] @ plus + p[1] @ minus, p[1] @ plus + p[0] @ minus
            c = tuple(net.outs * a + b + net.middle_bias for a, b in zip(c, added, strict=True))
        outer = _spread((c[0], c[1]), net.outer, net.width)
    return Ranges(heads, shares, features, s, outer)


def _last(ends: Ends, count: int) -> Ends:
    return ends[0][:, ends[0].shape[1] - count :], ends[1][:, ends[1].shape[1] - count :]


def _spread(c: Ends, eps: float, d: int) -> Ends:
    most = np.maximum(np.abs(c[0]), np.abs(c[1]))
    least = np.where((c[0] <= 0) & (c[1] >= 0), 0.0, np.minimum(np.abs(c[0]), np.abs(c[1])))
    low, high = (np.sqrt((size**2).sum(axis=1) / d + d * d * eps) for size in (least, most))
    return low, high


def _parts(count: int, size: int) -> list[slice]:
    step = max(1, CHUNK // max(1, size))
    return [slice(i, i + step) for i in range(0, count, step)]
