"""Multipliers for `kernel.relu_bounds` by a relaxation method, in plain float64, for many pairs at once.

The bound is concave in the multipliers: its value at the worst input and corner has a gradient there, and steps of
Polyak's length lead to a positive value where there is one to be found, and time. Nothing here is trusted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from separatrix.verify.provers.relu_pairs import Pairs, functionals, margins
from separatrix.verify.provers.relu_view import CHUNK, View

CLEAR = 1e-9  # in units of the scale: smaller bounds are not believed


@dataclass(frozen=True, slots=True)
class Worst:
    """The face (end of s, corner) where a bound is least: value (P,), number of the face (P,), input (P, J)."""

    value: np.ndarray
    face: np.ndarray
    choice: np.ndarray

    def put(self, part: slice, value: np.ndarray, face: np.ndarray | int, choice: np.ndarray) -> None:
        """Overwrites what is not less than these."""
        less = ~(value >= self.value[part])
        for mine, new in ((self.value, value), (self.face, face), (self.choice, choice)):
            mine[part][less] = np.broadcast_to(new, mine[part].shape)[less]


def ends(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Of the K faces: which end of s (K,), and which end each w_h takes (K, H); one head has one corner."""
    heads = view.net.heads
    corners = np.arange(2**heads if heads > 1 else 1)[:, None] >> np.arange(heads) & 1
    sides = 2 if view.net.inner is not None else 1
    return np.repeat(np.arange(sides), len(corners)), np.tile(corners, (sides, 1))


def evaluate(view: View, pairs: Pairs, point: Point) -> Worst:
    """The least bound over all faces."""
    net, slope, tau, push = view.net, point.slope, point.tau, point.push
    side, corner = ends(view)
    heads, count = net.heads, len(pairs)
    slots, width = view.e.shape[1:]
    worst = Worst(np.full(count, np.inf), np.zeros(count, np.int64), np.zeros((count, slots), np.int64))
    delta = pairs.delta(slope)[0].sum(axis=1)
    bits = len(corner) // (side[-1] + 1)
    pick = np.concatenate([corner[:bits] == 0, corner[:bits] == 1], axis=1).astype(np.float64)
    for s in range(side[-1] + 1):
        weights, const = functionals(view, pairs, slope, pairs.s[:, s])
        const = const + delta
        step = max(1, CHUNK // (slots * width * max(2 * heads, bits)))
        for part in (slice(i, i + step) for i in range(0, count, step)):
            a, row = view.functional(weights[part]), pairs.row[part]
            if heads == 1:
                cost = view.e[0] * (a[:, 0] + const[part, None, None])
                least, x = view.words.least(cost, pairs.masks, row)
                d = view.e[0][np.arange(slots), x].sum(axis=1)
                value = np.take_along_axis(cost, x[:, :, None], axis=2)[..., 0].sum(axis=1) / d
                value = np.where(np.isneginf(least), -np.inf, value)
                worst.put(part, value, s, x)
                continue
            term = view.e * (a - tau[part, :, None, None])
            w = 1.0 / pairs.heads[part][:, ::-1]  # (L, 2, H): at the upper end of D, then at the lower
            both = w[..., None, None] * term[:, None]
            more = (const[part] + tau[part].sum(axis=1))[:, None]
            if push is not None:
                plus, minus = push[part, 0], push[part, 1]
                both = both + (minus - plus)[..., None, None] * view.e
                cost_of = plus * pairs.heads[part][:, :1] - minus * pairs.heads[part][:, 1:]
                more = more + cost_of[:, corner[:bits], np.arange(heads)].sum(axis=2)
            both = both.reshape(len(a), 2 * heads, slots, width)
            value, face, x = view.words.worst(pick, both, more, pairs.masks, row)
            worst.put(part, value, s * bits + face, x)
    return worst


@dataclass(slots=True)
class Point:
    """Multipliers of P pairs: slope (P, F), tau (P, H), push (P, 2, 2, H), plus and minus, or None where all are 0."""

    slope: np.ndarray
    tau: np.ndarray
    push: np.ndarray | None = None

    def __getitem__(self, index: np.ndarray) -> Point:
        return Point(self.slope[index], self.tau[index], None if self.push is None else self.push[index])

    def put(self, index: np.ndarray, other: Point) -> None:
        """Overwrites these rows."""
        self.slope[index], self.tau[index] = other.slope, other.tau
        if self.push is not None:
            self.push[index] = other.push

    def copy(self) -> Point:
        """With arrays of its own."""
        return Point(self.slope.copy(), self.tau.copy(), None if self.push is None else self.push.copy())


@dataclass(slots=True)
class Relaxed:
    """What the relaxation method leaves: the best bound (P,), its multipliers, the least true value and its input.

    The value is infinite, and the input none, where no word was found.

    gaps (P, variables): what each variable's relaxation cost, at the worst inputs, on average over the rounds.
    """

    bound: np.ndarray
    point: Point
    value: np.ndarray
    choice: np.ndarray
    gaps: np.ndarray


def first_tau(view: View, pairs: Pairs, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, H) ratios of the heads at an input that is bad for the functional, and the input (P, J)."""
    weights, _ = functionals(view, pairs, slope, pairs.s.mean(axis=1))
    a = view.functional(weights)
    mean = 2.0 / pairs.heads.sum(axis=1)
    r = np.einsum("phjs,hjs->ph", a, view.e) / view.e.sum(axis=(1, 2))
    choice = np.zeros((len(pairs), view.e.shape[1]), dtype=np.int64)
    for _ in range(4):
        cost = ((view.e * (a - r[:, :, None, None])) * mean[:, :, None, None]).sum(axis=1)
        _, choice = view.words.least(cost, pairs.masks, pairs.row)
        n, d = view.sums(choice)
        r, mean = np.einsum("phm,pm->ph", n, weights) / d, 1.0 / d
    return r, choice


def relax(view: View, pairs: Pairs, rounds: int, start: Point, hasty: bool, deadline: float = np.inf) -> Relaxed:
    """Polyak steps from these multipliers, for the pairs that are neither proved nor refuted yet."""
    count, net = len(pairs), view.net
    limits, size = pairs.limits()
    left = Relaxed(
        bound=np.full(count, -np.inf),
        point=start.copy(),
        value=np.full(count, np.inf),
        choice=np.zeros((count, view.e.shape[1]), dtype=np.int64),
        gaps=np.zeros((count, net.hidden + net.heads + (net.inner is not None))),
    )
    side, corner = ends(view)
    open_, here = np.arange(count), start.copy()
    for step in range(rounds):
        some = pairs[open_]
        worst, row = evaluate(view, some, here), np.arange(len(some))
        value, at, choice = worst.value, worst.face, worst.choice
        true, _ = margins(view, some, choice)
        true = np.where(np.isneginf(value), np.inf, true)  # no word was found: the choice is none
        lower = true < left.value[open_]
        left.value[open_[lower]], left.choice[open_[lower]] = true[lower], choice[lower]
        better = value > left.bound[open_]
        left.bound[open_[better]] = value[better]
        left.point.put(open_[better], here[better])
        go = (left.bound[open_] <= CLEAR * some.scale) & (left.value[open_] > 0) & (value > -np.inf)
        if not go.any() or (hasty and (left.value < 0).any()) or time.perf_counter() > deadline:
            break
        some, open_, at, value, choice, here = some[go], open_[go], at[go], value[go], choice[go], here[go]
        row = np.arange(len(some))
        n, d = view.sums(choice)
        w = 1.0 / d
        if net.heads > 1:
            w = 1.0 / np.take_along_axis(some.heads[:, ::-1], corner[at][:, None], axis=1)[:, 0]
        left.gaps[open_] += _gaps(view, some, here, n, d, w, some.s[row, side[at]])
        if step == rounds - 1:
            break
        p = (w[:, :, None] * n[:, :, : net.hidden]).sum(axis=1) + view.own[: net.hidden] + net.shift
        p = p + net.slope * some.s[row, side[at]][:, None]
        g = p - some.delta(here.slope)[1]
        of_tau = some.scale[:, None] / 16 + 1e-300
        g_tau = 1.0 - w * d
        norm = ((size[open_] * g) ** 2).sum(axis=1)
        if net.heads > 1:
            norm = norm + ((of_tau * g_tau) ** 2).sum(axis=1)
        g_push = np.zeros((len(some), 2, 2, net.heads))
        if here.push is not None:
            both = np.stack([some.heads[:, 0] - d, d - some.heads[:, 1]], axis=1) * w[:, None]  # > 0 outside the box
            used = np.stack([corner[at] == 0, corner[at] == 1], axis=1)
            g_push = both[:, :, None] * used[:, None]
            g_push = np.where((here.push > 0) | (g_push > 0), g_push, 0.0)
            norm = norm + ((of_tau[:, :, None, None] * g_push) ** 2).sum(axis=(1, 2, 3))
        target = 0.3 * np.maximum(left.value[open_], 0.0)
        length = (1.2 * (target - value) / np.maximum(norm, 1e-300))[:, None]
        slope = np.clip(here.slope + length * size[open_] ** 2 * g, limits[0][open_], limits[1][open_])
        tau, push = here.tau + length * of_tau**2 * g_tau * (net.heads > 1), here.push
        if push is not None:  # in units of w, as the gradient is
            more = (length * of_tau**2)[:, :, None, None] * g_push * (1.0 / some.heads[:, ::-1])[:, None]
            push = np.maximum(push + more, 0.0)
        here = Point(slope, tau, push)
    return left


def _gaps(
    view: View, pairs: Pairs, point: Point, n: np.ndarray, d: np.ndarray, w: np.ndarray, s: np.ndarray
) -> np.ndarray:
    """(P, variables) what the relaxation of each costs at an input with these sums, whose face has these w and s."""
    net = view.net
    f = view.own + (n / d[:, :, None]).sum(axis=1)
    weights, const = functionals(view, pairs, point.slope, s)
    p = f[:, : net.hidden] + net.shift + net.slope * s[:, None]
    p = np.clip(p, pairs.units[:, 0], pairs.units[:, 1])
    open_ = (pairs.units[:, 0] < 0) & (pairs.units[:, 1] > 0)
    of_units = (pairs.beta * np.maximum(p, 0.0) - point.slope * p - pairs.delta(point.slope)[0]) * open_
    term = np.einsum("phm,pm->ph", n, weights) - point.tau * d
    inside = np.clip(d, pairs.heads[:, 0], pairs.heads[:, 1])  # what lies outside is for multipliers, not for cuts
    parts = [of_units, np.abs(term * (w - 1.0 / inside)) * (net.heads > 1)]
    if net.inner is not None:
        c = f[:, f.shape[1] - net.coordinates :]
        true = np.sqrt((c**2).sum(axis=1) / net.width + net.width**2 * net.inner)
        true = np.clip(true, pairs.s[:, 0], pairs.s[:, 1])
        more, more_const = functionals(view, pairs, point.slope, s + 1.0)
        slope = ((more - weights) * (f - view.own)).sum(axis=1) + more_const - const
        parts.append(np.abs(slope * (true - s))[:, None])
    return np.concatenate(parts, axis=1)
