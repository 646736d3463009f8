"""Multipliers for `kernel.relu_bounds` by a relaxation method, in plain float64, for many pairs at once.

The bound is concave in the multipliers: its value at the worst input and corner has a gradient there, and steps of
Polyak's length lead to a positive value where there is one to be found, and time. Nothing here is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from separatrix.kernel.relu_bounds import Box, Ranges, units
from separatrix.verify.provers.relu_search import CHUNK, Work

JOINT = 25  # steps towards the joint ranges of a cell
CLEAR = 1e-9  # in units of the scale: smaller bounds are not believed


@dataclass(slots=True)
class Guess:
    """What ranges are derived from: tau (C, 2, R, H) and joint (C, 2, R), see `kernel.relu_bounds`."""

    tau: np.ndarray
    joint: np.ndarray

    @classmethod
    def of(cls, work: Work) -> Guess:
        """Head by head."""
        tau = np.nan_to_num(work.range_guess(), posinf=0.0, neginf=0.0)
        return cls(tau.astype(np.float32).astype(np.float64), np.zeros(tau.shape[:3], dtype=bool))

    def ranges(self, work: Work) -> Ranges:
        """As the kernel will derive them."""
        return Ranges.of(work.scene, self.tau, self.joint)

    def join(self, work: Work, ranges: Ranges, cell: int) -> None:
        """Bounds a cell's heads together: tau by Polyak steps for the corners' sums, from those of each head alone."""
        net = work.scene.net
        which, heads = net.ranged, net.heads
        count = 2 * len(which)
        weights = np.zeros((count, work.own.shape[0]))
        weights[np.arange(count), np.tile(which, 2)] = np.repeat([1.0, -1.0], len(which))
        low, high = ranges.heads[0][cell], ranges.heads[1][cell]
        w = np.stack([1.0 / high, 1.0 / low])
        corner = np.arange(2**heads)[:, None] >> np.arange(heads) & 1
        pick = np.concatenate([corner == 0, corner == 1], axis=1).astype(np.float64)
        a, cells = work.functional(weights), np.full(count, cell)
        tau = np.concatenate([self.tau[cell, 0], -self.tau[cell, 1]])
        best, value_of = tau.copy(), np.full(count, -np.inf)
        reach, scale = np.full(count, np.inf), np.abs(tau).sum(axis=1) / 4 + 1e-9
        row = np.arange(count)
        for _ in range(JOINT):
            term = work.e * (a - tau[:, :, None, None])
            both = (w[:, :, None, None] * term[:, None]).reshape(count, 2 * heads, -1)
            total = (pick @ both).reshape(count * len(pick), *work.e.shape[1:])
            least, choice = work.least(total, np.repeat(cells, len(pick)))
            value = least.reshape(count, -1)
            at = value.argmin(axis=1)
            value, choice = value[row, at] + tau.sum(axis=1), choice.reshape(count, len(pick), -1)[row, at]
            n, d = work.sums(choice)
            true = (np.einsum("phm,pm->ph", n, weights) / d).sum(axis=1)
            reach = np.minimum(reach, true)
            better = value > value_of
            best[better], value_of[better] = tau[better], value[better]
            g = 1.0 - w[corner[at], np.arange(heads)] * d
            norm = (g**2).sum(axis=1) + 1e-12
            step = np.minimum(np.maximum(reach - value, 0.0) / norm, scale)
            tau = tau + step[:, None] * g
        alone = np.concatenate([ranges.features[0][cell], -ranges.features[1][cell]]) - weights @ work.own
        better = (value_of > alone + 1e-3 * scale).reshape(2, -1)
        guess = np.stack([best[: len(which)], -best[len(which) :]])
        self.tau[cell][better], self.joint[cell][better] = guess.astype(np.float32)[better], True


@dataclass(frozen=True, slots=True)
class Pairs:
    """P pairs (cell, rival), with the boxes that they are looked at in.

    label (P,). beta (P, F), constant, tilt (P,): of the margin, with bounds (P, 2) of S. heads, s: boxes (P, 2, H) and
    (P, 2). units (P, 2, F): ranges of the pre-activations there. scale (P,): about the size of the margin's terms.
    """

    cell: np.ndarray
    rival: np.ndarray
    label: np.ndarray
    beta: np.ndarray
    constant: np.ndarray
    tilt: np.ndarray
    outer: np.ndarray
    heads: np.ndarray
    s: np.ndarray
    units: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, work: Work, ranges: Ranges) -> Pairs:
        """Every pair of a group, cells first, in whole cells."""
        scene = work.scene
        net, labels = scene.net, scene.labels
        cell, rival = np.divmod(np.arange(len(labels) * net.answers), net.answers)
        keep = rival != labels[cell]
        cell, rival = cell[keep], rival[keep]
        label = labels[cell]
        beta = (net.beta.mid[:, label] - net.beta.mid[:, rival]).T
        heads, s, outer = (np.stack(e, axis=1)[cell] for e in (ranges.heads, ranges.s, ranges.outer))
        free = np.full(beta.shape, np.inf)
        box = Box((-free, free), (heads[:, 0], heads[:, 1]), (s[:, 0], s[:, 1]))
        p = np.stack(units(scene, ranges, cell, box), axis=1)
        constant, tilt = (part.mid[label] - part.mid[rival] for part in (net.constant, net.tilt))
        out = 0.0
        if net.outs:
            columns = slice(net.hidden, net.hidden + net.answers)
            out = sum(np.abs(v[..., columns]).max() for v in work.values)
        scale = (np.abs(beta) * np.abs(p).max(axis=1)).sum(axis=1)
        scale = scale + (np.abs(constant) + np.abs(tilt) * outer[:, 1] + out) * s[:, 1]
        return cls(cell, rival, label, beta, constant, tilt, outer, heads, s, p, scale)

    def __len__(self) -> int:
        return len(self.cell)

    def __getitem__(self, index: np.ndarray) -> Pairs:
        names = ("cell", "rival", "label", "beta", "constant", "tilt", "outer", "heads", "s", "units", "scale")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def slopes(self) -> np.ndarray:
        """(P, F) where to begin: exact where the sign is known, the chord where beta < 0, else 0 or beta."""
        low, high = self.units[:, 0], self.units[:, 1]
        chord = np.where(high > 0, high / np.maximum(high - low, 1e-300), 0.0)
        share = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, np.where(self.beta < 0, chord, high > -low)))
        return self.beta * share

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """(2, P, F) between which slopes are looked for, and (P, F) about how far they go.

        Where the box is one side of a cut, slopes beyond beta or 0 make the cut count.
        """
        low, high = self.units[:, 0], self.units[:, 1]
        size = np.maximum(
            np.abs(self.beta), np.abs(self.beta).sum(axis=1, keepdims=True) / (4 * max(1, self.beta.shape[1]))
        )
        least, most = np.minimum(self.beta, 0.0), np.maximum(self.beta, 0.0)
        least = np.where(low >= 0, np.where(low == 0, self.beta - 4 * size, self.beta), least)
        most = np.where(low >= 0, self.beta, most)
        least = np.where((high <= 0) & (low < 0), 0.0, least)
        most = np.where((high <= 0) & (low < 0), np.where(high == 0, 4 * size, 0.0), most)
        return np.stack([least, most]), size

    def delta(self, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P, F) the least of beta relu(p) - slope p over the box, and where it is attained."""
        low, high = self.units[:, 0], self.units[:, 1]
        at = np.stack([low, np.clip(0.0, low, high), high])
        value = self.beta * np.maximum(at, 0.0) - slope * at
        best = value.argmin(axis=0)[None]
        return np.take_along_axis(value, best, 0)[0], np.take_along_axis(at, best, 0)[0]

    def tilted(self) -> np.ndarray:
        """(P,) the least of t S."""
        return np.minimum(self.tilt * self.outer[:, 0], self.tilt * self.outer[:, 1])


@dataclass(frozen=True, slots=True)
class Faces:
    """What a bound was at each face (end of s, corner): value (P, K), and the inputs (P, K, J) that gave it."""

    value: np.ndarray
    choice: np.ndarray


def ends(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Of the K faces: which end of s (K,), and which end each w_h takes (K, H); one head has one corner."""
    heads = work.scene.net.heads
    corners = np.arange(2**heads if heads > 1 else 1)[:, None] >> np.arange(heads) & 1
    sides = 2 if work.scene.net.inner_eps is not None else 1
    return np.repeat(np.arange(sides), len(corners)), np.tile(corners, (sides, 1))


def evaluate(work: Work, pairs: Pairs, point: Point) -> Faces:
    """The bound of every face."""
    net, slope, tau, push = work.scene.net, point.slope, point.tau, point.push
    side, corner = ends(work)
    heads, count, faces = net.heads, len(pairs), len(side)
    slots, width = work.e.shape[1:]
    value = np.empty((count, faces))
    choice = np.empty((count, faces, slots), dtype=np.int64)
    delta = pairs.delta(slope)[0].sum(axis=1)
    bits = len(corner) // (side[-1] + 1)
    for s in range(side[-1] + 1):
        weights, const = _weights(work, pairs, slope, pairs.s[:, s])
        const = const + delta
        here = slice(s * bits, (s + 1) * bits)
        step = max(1, CHUNK // (slots * width * max(2 * heads, bits)))
        for part in (slice(i, i + step) for i in range(0, count, step)):
            a, cell = work.functional(weights[part]), pairs.cell[part]
            if heads == 1:
                cost = work.e[0] * (a[:, 0] + const[part, None, None])
                _, x = work.least(cost, cell)
                d = work.e[0][np.arange(slots), x].sum(axis=1)
                value[part, s] = np.take_along_axis(cost, x[:, :, None], axis=2)[..., 0].sum(axis=1) / d
                choice[part, s] = x
                continue
            term = work.e * (a - tau[part, :, None, None])
            w = 1.0 / pairs.heads[part][:, ::-1]  # (L, 2, H): at the upper end of D, then at the lower
            both = w[..., None, None] * term[:, None]
            offset: np.ndarray | float = 0.0
            if push is not None:
                plus, minus = push[part, 0], push[part, 1]
                both = both + (minus - plus)[..., None, None] * work.e
                cost_of = plus * pairs.heads[part][:, :1] - minus * pairs.heads[part][:, 1:]
                offset = cost_of[:, corner[:bits], np.arange(heads)].sum(axis=2)
            pick = np.concatenate([corner[:bits] == 0, corner[:bits] == 1], axis=1).astype(np.float64)
            total = (pick @ both.reshape(len(a), 2 * heads, -1)).reshape(-1, slots, width)
            least, x = work.least(total, np.repeat(cell, bits))
            value[part, here] = least.reshape(-1, bits) + offset + (const[part] + tau[part].sum(axis=1))[:, None]
            choice[part, here] = x.reshape(-1, bits, slots)
    return Faces(value, choice)


def _weights(work: Work, pairs: Pairs, slope: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, M) and (P,): the functional and the constant at this end of s, without delta."""
    net = work.scene.net
    weights = np.zeros((len(pairs), work.own.shape[0]))
    weights[:, : net.hidden] = slope
    if net.outs:
        at = np.arange(len(pairs))
        weights[at, net.hidden + pairs.label] = s
        weights[at, net.hidden + pairs.rival] = -s
    const = (slope * (net.shift.mid + net.slope.mid * s[:, None])).sum(axis=1)
    return weights, const + s * (pairs.constant + pairs.tilted()) + weights @ work.own


def margins(work: Work, pairs: Pairs, choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P,) the true value, s times the margin, of one input a pair (P, J), and the gradient's weights (P, M)."""
    net = work.scene.net
    f = work.features(choice)
    hidden, d = net.hidden, net.width
    c = f[:, f.shape[1] - net.coordinates :]
    s = np.ones(len(pairs))
    if net.inner_eps is not None:
        s = np.sqrt((c**2).sum(axis=1) / d + d * d * float(net.inner_eps.mid))
    p = f[:, :hidden] + net.shift.mid + net.slope.mid * s[:, None]
    relu = np.maximum(p, 0.0)
    outer = np.ones(len(pairs))
    if net.outer_eps is not None:
        c = c * net.outs + (relu / s[:, None]) @ net.middle.mid + net.middle_bias.mid
        outer = np.sqrt((c**2).sum(axis=1) / d + d * d * float(net.outer_eps.mid))
    weights, _ = _weights(work, pairs, pairs.beta * (p > 0), s)
    out = (weights[:, hidden:] * f[:, hidden:]).sum(axis=1)
    value = out + s * (pairs.constant + pairs.tilt * outer) + (pairs.beta * relu).sum(axis=1)
    return value, weights


def descend(work: Work, pairs: Pairs, choice: np.ndarray, rounds: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """The least true value (P,) found from the inputs (P, J), and its input: steps by the linearised network."""
    best, weights = margins(work, pairs, choice)
    where = choice.copy()
    open_ = np.arange(len(pairs))
    for _ in range(rounds):
        if not len(open_):
            break
        n, d = work.sums(choice)
        a = work.functional(weights)
        r = np.einsum("phm,pm->ph", n, weights) / d
        cost = ((work.e * (a - r[:, :, None, None])) / d[:, :, None, None]).sum(axis=1)
        _, choice = work.least(cost, pairs.cell[open_])
        value, weights = margins(work, pairs[open_], choice)
        better = value < best[open_] - 1e-12 * pairs.scale[open_]
        open_, choice, weights = open_[better], choice[better], weights[better]
        best[open_], where[open_] = value[better], choice
    return best, where


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

    gaps (P, variables): what each variable's relaxation cost, at the worst inputs, on average over the rounds.
    """

    bound: np.ndarray
    point: Point
    value: np.ndarray
    choice: np.ndarray
    gaps: np.ndarray


def first_tau(work: Work, pairs: Pairs, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, H) ratios of the heads at an input that is bad for the functional, and the input (P, J)."""
    weights, _ = _weights(work, pairs, slope, pairs.s.mean(axis=1))
    a = work.functional(weights)
    mean = 2.0 / pairs.heads.sum(axis=1)
    r = np.einsum("phjs,hjs->ph", a, work.e) / work.e.sum(axis=(1, 2))
    choice = np.zeros((len(pairs), work.e.shape[1]), dtype=np.int64)
    for _ in range(4):
        cost = ((work.e * (a - r[:, :, None, None])) * mean[:, :, None, None]).sum(axis=1)
        _, choice = work.least(cost, pairs.cell)
        n, d = work.sums(choice)
        r, mean = np.einsum("phm,pm->ph", n, weights) / d, 1.0 / d
    return r, choice


def relax(work: Work, pairs: Pairs, rounds: int, start: Point, hasty: bool) -> Relaxed:
    """Polyak steps from these multipliers, for the pairs that are neither proved nor refuted yet."""
    count, net = len(pairs), work.scene.net
    limits, size = pairs.limits()
    left = Relaxed(
        bound=np.full(count, -np.inf),
        point=start.copy(),
        value=np.full(count, np.inf),
        choice=np.zeros((count, work.e.shape[1]), dtype=np.int64),
        gaps=np.zeros((count, net.hidden + net.heads + (net.inner_eps is not None))),
    )
    side, corner = ends(work)
    open_, here = np.arange(count), start.copy()
    for step in range(rounds):
        some = pairs[open_]
        faces = evaluate(work, some, here)
        at, row = faces.value.argmin(axis=1), np.arange(len(some))
        value, choice = faces.value[row, at], faces.choice[row, at]
        true, _ = margins(work, some, choice)
        lower = true < left.value[open_]
        left.value[open_[lower]], left.choice[open_[lower]] = true[lower], choice[lower]
        better = value > left.bound[open_]
        left.bound[open_[better]] = value[better]
        left.point.put(open_[better], here[better])
        go = (left.bound[open_] <= CLEAR * some.scale) & (left.value[open_] > 0)
        if not go.any() or (hasty and (left.value < 0).any()):
            break
        some, open_, at, value, choice, here = some[go], open_[go], at[go], value[go], choice[go], here[go]
        row = np.arange(len(some))
        n, d = work.sums(choice)
        w = 1.0 / d
        if net.heads > 1:
            w = 1.0 / np.take_along_axis(some.heads[:, ::-1], corner[at][:, None], axis=1)[:, 0]
        left.gaps[open_] += _gaps(work, some, here, n, d, w, some.s[row, side[at]])
        if step == rounds - 1:
            break
        p = (w[:, :, None] * n[:, :, : net.hidden]).sum(axis=1) + work.own[: net.hidden] + net.shift.mid
        p = p + net.slope.mid * some.s[row, side[at]][:, None]
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
    work: Work, pairs: Pairs, point: Point, n: np.ndarray, d: np.ndarray, w: np.ndarray, s: np.ndarray
) -> np.ndarray:
    """(P, variables) what the relaxation of each costs at an input with these sums, whose face has these w and s."""
    net = work.scene.net
    f = work.own + (n / d[:, :, None]).sum(axis=1)
    weights, const = _weights(work, pairs, point.slope, s)
    p = f[:, : net.hidden] + net.shift.mid + net.slope.mid * s[:, None]
    p = np.clip(p, pairs.units[:, 0], pairs.units[:, 1])
    open_ = (pairs.units[:, 0] < 0) & (pairs.units[:, 1] > 0)
    of_units = (pairs.beta * np.maximum(p, 0.0) - point.slope * p - pairs.delta(point.slope)[0]) * open_
    term = np.einsum("phm,pm->ph", n, weights) - point.tau * d
    inside = np.clip(d, pairs.heads[:, 0], pairs.heads[:, 1])  # what lies outside is for multipliers, not for cuts
    parts = [of_units, np.abs(term * (w - 1.0 / inside)) * (net.heads > 1)]
    if net.inner_eps is not None:
        c = f[:, f.shape[1] - net.coordinates :]
        true = np.sqrt((c**2).sum(axis=1) / net.width + net.width**2 * float(net.inner_eps.mid))
        true = np.clip(true, pairs.s[:, 0], pairs.s[:, 1])
        more, more_const = _weights(work, pairs, point.slope, s + 1.0)
        slope = ((more - weights) * (f - work.own)).sum(axis=1) + more_const - const
        parts.append(np.abs(slope * (true - s))[:, None])
    return np.concatenate(parts, axis=1)
