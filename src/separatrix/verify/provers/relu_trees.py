"""Trees for the kernel's `relu` check: multipliers by linear programs, boxes cut where these fail.

The least value over inputs and faces is concave in the multipliers, so cutting planes find its greatest value: each
input and face met so far is one linear constraint. A box that is not proved is cut at the variable whose relaxation
costs most at the inputs that bind.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from separatrix.kernel.relu import ALONE, CORNERS, MULTIPLIERS, NAMES
from separatrix.kernel.relu_bounds import Box, Ranges, units
from separatrix.verify.provers.relu_dual import CLEAR, Pairs, _weights, descend, ends, evaluate, margins
from separatrix.verify.provers.relu_search import Work

CUTS = 8  # new constraints a round
KEPT = 150  # constraints that a new box starts with
PROGRAMS = 25  # linear programs a box
BOXES = 80  # a pair
NEAR = 1e-8  # in units of the scale: true margins below are left undecided


@dataclass(slots=True)
class Tree:
    """One pair's part of the certificate's arrays, in preorder."""

    node: list[int] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    slope: list[np.ndarray] = field(default_factory=list)
    tau: list[np.ndarray] = field(default_factory=list)
    plus: list[np.ndarray] = field(default_factory=list)
    minus: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def leaf(cls, kind: int, slope: np.ndarray, tau: np.ndarray) -> Tree:
        """A tree of one leaf without multipliers of the box."""
        return cls([kind], slope=[slope], tau=[tau])


def arrays(trees: Iterable[Tree], guesses: list[np.ndarray], work: Work) -> dict[str, np.ndarray]:
    """The certificate's arrays, from the trees of all pairs and the guesses of ranges of all groups, in order."""
    net, trees = work.scene.net, list(trees)
    heads = net.heads

    def rows(name: str, *shape: int) -> np.ndarray:
        return np.array([row for tree in trees for row in getattr(tree, name)], dtype=np.float64).reshape(-1, *shape)

    node = np.array([kind for tree in trees for kind in tree.node], dtype=np.int64)
    slope, tau = rows("slope", max(1, net.hidden))[:, : net.hidden], rows("tau", heads)
    if not net.hidden:
        slope = np.zeros((len(tau), 0))
    made = {
        "node": node,
        "split": rows("split").reshape(-1),
        "range": np.concatenate(guesses).astype(np.float32),
        "slope": slope.astype(np.float32),
        "tau": tau if heads > 1 else tau[:, :0],
        "lean": np.zeros((len(tau), net.width if net.inner_eps is not None else 0)),
        "plus": rows("plus", 2, heads),
        "minus": rows("minus", 2, heads),
    }
    return {name: made[name] for name in NAMES}


@dataclass
class Cutter:
    """The search for the tree of one pair (a `Pairs` of length 1).

    failing: the columns (J,) of an input on which the model errs, once one was met.
    """

    work: Work
    ranges: Ranges
    pair: Pairs
    deadline: float
    failing: np.ndarray | None = None
    boxes: int = 0
    worst: float = np.inf

    def __post_init__(self) -> None:
        net = self.work.scene.net
        self.side, self.corner = ends(self.work)
        self.face = np.empty(0, dtype=np.int64)
        self.n, self.d = np.empty((0, net.heads, self.work.own.shape[0])), np.empty((0, net.heads))

    def tree(self, slope: np.ndarray, tau: np.ndarray) -> Tree | None:
        """The tree, or None when there is a failing input, or the time or the boxes are spent."""
        tree, net = Tree(), self.work.scene.net
        free = np.full(net.hidden, np.inf)
        low = np.concatenate([-free, self.pair.heads[0, 0], self.pair.s[0, :1] if net.inner_eps is not None else []])
        high = np.concatenate([free, self.pair.heads[0, 1], self.pair.s[0, 1:] if net.inner_eps is not None else []])
        push = np.zeros((2, 2, net.heads))
        return tree if self._cut(tree, low, high, (slope, tau, push), 0) else None

    def _cut(self, tree: Tree, low: np.ndarray, high: np.ndarray, guess: tuple[np.ndarray, ...], depth: int) -> bool:
        self.boxes += 1
        if self.boxes > BOXES or depth > 40 or time.perf_counter() > self.deadline:
            return False
        pair = self._boxed(low, high)
        slope, tau, push = guess
        if (pair.units[:, 0] > pair.units[:, 1]).any():  # no input is there
            tree.node.append(CORNERS)
            tree.slope.append(slope)
            tree.tau.append(tau)
            return True
        proved, (slope, tau, push), gap = self._box(pair, guess, whole=depth == 0)
        if self.failing is not None or self.worst < NEAR * float(self.pair.scale[0]):
            return False
        if proved:
            tree.slope.append(slope)
            tree.tau.append(tau)
            if push.any():
                tree.node.append(MULTIPLIERS)
                tree.plus.append(push[0])
                tree.minus.append(push[1])
            else:
                tree.node.append(ALONE if self.work.scene.net.heads == 1 else CORNERS)
            return True
        variable, cut = self._where(pair, low, high, gap)
        if not low[variable] < cut < high[variable]:
            return False
        tree.node.append(variable)
        tree.split.append(cut)
        upper, lower = low.copy(), high.copy()
        upper[variable] = lower[variable] = cut
        found = slope, tau, push
        return self._cut(tree, low, lower, found, depth + 1) and self._cut(tree, upper, high, found, depth + 1)

    def _boxed(self, low: np.ndarray, high: np.ndarray) -> Pairs:
        """The pair in a box of its variables."""
        net = self.work.scene.net
        f, h = net.hidden, net.hidden + net.heads
        s = np.stack([low[h:], high[h:]], axis=1) if net.inner_eps is not None else self.pair.s
        box = Box((low[None, :f], high[None, :f]), (low[None, f:h], high[None, f:h]), (s[:, 0], s[:, 1]))
        p = np.stack(units(self.work.scene, self.ranges, self.pair.cell, box), axis=1)
        return replace(self.pair, heads=np.stack([low[f:h], high[f:h]])[None], s=s, units=p)

    def _where(self, pair: Pairs, low: np.ndarray, high: np.ndarray, gap: np.ndarray) -> tuple[int, float]:
        """The variable whose relaxation costs most, and where to cut it: at 0, or in the middle."""
        f = self.work.scene.net.hidden
        variable = int(np.argmax(gap))
        if variable < f:
            return variable, 0.0
        return variable, float(np.sqrt(low[variable] * high[variable]))

    def _box(
        self, pair: Pairs, guess: tuple[np.ndarray, ...], whole: bool
    ) -> tuple[bool, tuple[np.ndarray, ...], np.ndarray]:
        """Whether some multipliers prove the box, the last ones tried, and what each variable costs."""
        slope, tau, push = guess
        slope = np.where(pair.units[0, 0] >= 0, pair.beta[0], np.where(pair.units[0, 1] <= 0, 0.0, slope))
        self._forget(pair, slope, tau, push)
        weight = np.zeros(0)
        for _ in range(PROGRAMS):
            faces = evaluate(self.work, pair, slope[None], tau[None], push[None] if push.any() else None)
            if faces.value.min() > CLEAR * pair.scale[0]:
                return True, (slope, tau, push), np.zeros(0)
            order = np.argsort(faces.value[0])[:CUTS]
            order = order[faces.value[0, order] < faces.value.min() + 0.5 * abs(faces.value.min()) + 1e-12]
            choice = faces.choice[0, order]
            same = self.pair[np.zeros(len(order), dtype=np.int64)]
            true, _ = margins(self.work, same, choice)
            if true.min() < 2 * max(self.worst, 0.0) or true.min() <= 0:
                best, where = descend(self.work, self.pair, choice[[true.argmin()]])
                if best[0] < true.min():
                    true, choice_of = best, where
                else:
                    choice_of = choice[[true.argmin()]]
                if true.min() <= 0:
                    self.failing = choice_of[0]
                    return False, (slope, tau, push), np.zeros(0)
            self.worst = min(self.worst, float(true.min()))
            n, d = self.work.sums(choice)
            self.face = np.concatenate([self.face, order])
            self.n, self.d = np.concatenate([self.n, n]), np.concatenate([self.d, d])
            best, (slope, tau, push), weight = self._program(pair, whole)
            if not best > 2 * CLEAR * pair.scale[0] or time.perf_counter() > self.deadline:
                break
        return False, (slope, tau, push), self._gaps(pair, slope, tau, weight)

    def _values(self, pair: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of every constraint: the pre-activations (K, F) and the rest (K,) at its face, and w (K, H)."""
        net = self.work.scene.net
        w = 1.0 / self.d
        if net.heads > 1:
            w = 1.0 / pair.heads[0, ::-1][self.corner[self.face], np.arange(net.heads)]
        f = (w[:, :, None] * self.n).sum(axis=1)
        s = pair.s[0][self.side[self.face]]
        many = pair[np.zeros(len(self.face), dtype=np.int64)]
        weights, const = _weights(self.work, many, np.zeros((len(s), net.hidden)), s)
        p = f[:, : net.hidden] + self.work.own[: net.hidden] + net.shift.mid + net.slope.mid * s[:, None]
        return p, (weights * f).sum(axis=1) + const, w

    def _forget(self, pair: Pairs, slope: np.ndarray, tau: np.ndarray, push: np.ndarray) -> None:
        """Keeps the constraints that bind most at these multipliers."""
        if len(self.face) <= KEPT:
            return
        p, rest, w = self._values(pair)
        value = p @ slope + rest - (w * self.d * tau).sum(axis=1) * (len(tau) > 1)
        if push.any():
            at = self.corner[self.face], np.arange(len(tau))
            value -= (push[0][at] * (self.d - pair.heads[0, 0])).sum(axis=1)
            value -= (push[1][at] * (pair.heads[0, 1] - self.d)).sum(axis=1)
        keep = np.sort(np.argsort(value)[:KEPT])
        self.face, self.n, self.d = self.face[keep], self.n[keep], self.d[keep]

    def _program(self, pair: Pairs, whole: bool) -> tuple[float, tuple[np.ndarray, ...], np.ndarray]:
        """Greatest t below the bound at all (input, face) met; its multipliers, and the constraints' own."""
        from scipy.optimize import linprog

        net = self.work.scene.net
        scale, heads, beta = float(pair.scale[0]), net.heads, pair.beta[0]
        low, high = pair.units[0]
        p, rest, w = self._values(pair)
        free = np.flatnonzero((low < 0) & (high > 0) & (beta != 0))
        fixed = np.where(low >= 0, beta, 0.0)
        fixed[free] = 0.0
        size = np.abs(beta[free])
        count, several, pushed = len(self.face), heads > 1, heads > 1 and not whole
        # variables: alpha (lambda = |beta| alpha), delta / scale, tau / scale, plus and minus, t / scale
        u, h = len(free), heads * several
        blocks = [-p[:, free] * size / scale, -np.ones((count, u)), (w * self.d - 1.0)[:, :h]]
        bounds: list[tuple[float | None, float | None]] = [(-1.0, 0.0) if b < 0 else (0.0, 1.0) for b in beta[free]]
        bounds += [(None, 0.0)] * u + [(-1e3, 1e3)] * h
        cost = [np.zeros(2 * u + h)]
        if pushed:
            at = (np.arange(count)[:, None], self.corner[self.face] * heads + np.arange(heads))
            for gap in (self.d - pair.heads[0, 0], pair.heads[0, 1] - self.d):
                spread = np.zeros((count, 2 * heads))
                spread[at] = gap * w
                blocks.append(spread)
            cost.append(np.full(4 * heads, 1e-7))
            bounds += [(0.0, 1e4)] * (4 * heads)
        rows = np.concatenate([*blocks, np.ones((count, 1))], axis=1)
        right = (rest + p @ fixed) / scale
        ends_ = []  # delta <= beta relu(p) - lambda p at both ends
        for end in (low[free], high[free]):
            part = np.zeros((u, rows.shape[1]))
            part[np.arange(u), np.arange(u)] = size * end / scale
            part[np.arange(u), u + np.arange(u)] = 1.0
            ends_.append((part, beta[free] * np.maximum(end, 0.0) / scale))
        left = np.concatenate([rows, *(part for part, _ in ends_)])
        right = np.concatenate([right, *(value for _, value in ends_)])
        none = np.zeros((2, 2, heads))
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            return -np.inf, (fixed, np.zeros(heads), none), np.zeros(0)
        cost.append(np.array([-1.0]))
        result = linprog(np.concatenate(cost), A_ub=left, b_ub=right, bounds=[*bounds, (-1e3, 1.0)], method="highs")
        if result.x is None:
            return -np.inf, (fixed, np.zeros(heads), none), np.zeros(0)
        slope = fixed.copy()
        slope[free] = result.x[:u] * size
        tau = result.x[2 * u : 2 * u + heads] * scale if several else np.zeros(heads)
        push = none
        if pushed:
            x = np.maximum(result.x[2 * u + h : 2 * u + h + 4 * heads], 0.0).reshape(2, 2, heads)
            push = x * scale / pair.heads[0, ::-1]
        weight = np.maximum(-result.ineqlin.marginals[:count], 0.0)
        return float(result.x[-1]) * scale, (slope, tau, push), weight

    def _gaps(self, pair: Pairs, slope: np.ndarray, tau: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """(variables,) the mean, over the inputs that bind, of what each variable's relaxation costs."""
        net = self.work.scene.net
        if len(weight) != len(self.face) or not weight.any():
            weight = np.ones(len(self.face))
        weight = weight / weight.sum()
        f = self.work.own + (self.n / self.d[:, :, None]).sum(axis=1)
        s = pair.s[0][self.side[self.face]]
        p = f[:, : net.hidden] + net.shift.mid + net.slope.mid * s[:, None]
        p = np.clip(p, *pair.units[0])
        delta = pair.delta(slope[None])[0][0]
        open_ = (pair.units[0, 0] < 0) & (pair.units[0, 1] > 0)
        of_units = weight @ (pair.beta[0] * np.maximum(p, 0.0) - slope * p - delta) * open_
        parts = [of_units, np.zeros(net.heads)]
        if net.heads > 1:
            w = self._values(pair)[2]
            weights, _ = _weights(
                self.work, pair[np.zeros(len(s), dtype=np.int64)], np.repeat(slope[None], len(s), axis=0), s
            )
            term = np.abs(np.einsum("khm,km->kh", self.n, weights) - tau * self.d)
            parts[1] = weight @ (term * np.abs(w - 1.0 / self.d))
        if net.inner_eps is not None:
            parts.append(np.array([np.abs(p @ slope).max() * (1.0 - pair.s[0, 0] / pair.s[0, 1])]))
        return np.concatenate(parts)
