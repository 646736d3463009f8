"""Kind `relu` in Arb: ranges of the pre-activations on every cell, then the leaves of the trees (see `relu_bounds`).

Only the reading of the arrays is shared with the float64 engine, and the test of what models the kind is about.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.errors import RejectedError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs, at_some_precision, decide
from separatrix.kernel.arb_heads import denominators
from separatrix.kernel.arb_nets import number
from separatrix.kernel.arb_relu_net import Net, Scene
from separatrix.kernel.arb_words import NoWords
from separatrix.kernel.case import Case
from separatrix.kernel.labelled import groups
from separatrix.kernel.relu import read_model
from separatrix.kernel.relu_loss import two_layers
from separatrix.kernel.relu_trees import ALONE, MULTIPLIERS, Trees

Ends = tuple[Arbs, Arbs]


def check_relu(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    cells = at_some_precision(lambda: _check(case))
    return f"the model answers {case.where} right on every input ({cells} cells, {case.semantics} arithmetic, arb)"


def _check(case: Case) -> int:
    shapes = read_model(case.task, case.n, case.model(), case.tensors)
    if case.semantics.spec is not None:
        two_layers(case.model())
    trees = Trees.of(case.arrays, shapes, case.task.domain(case.n).vocabulary)
    net, cells = Net.of(case), 0
    for group in groups(case.task, case.n):
        scene = Scene.of(net, case, group)
        for cell, label in enumerate(scene.labels.tolist()):
            if cells == len(trees.arrays["range"]):
                raise RejectedError("the certificate ends before the cells do")
            view = View.of(scene, cell, trees.arrays["range"][cells])
            cells += 1
            low, high = view.root()
            for rival in (r for r in range(len(net.constant)) if r != label):
                at = f"query position {group.query}, token {group.token}: cell {cell} is not proved to beat {rival}"
                taken = view.taken(rival)
                held: Any = Held(scene.words.ids, scene.words.only(cell))
                for kind, leaf, several, a, b, only in trees.take(held, cell, low, high):
                    slope, tau = (trees.arrays[name][leaf] for name in ("slope", "tau"))
                    multipliers = None
                    if kind == MULTIPLIERS:
                        multipliers = trees.arrays["plus"][several], trees.arrays["minus"][several]
                    least = view.leaf(rival, kind == ALONE, a, b, slope, tau, multipliers, only, taken)
                    if not all(decide(value > 0, value <= 0, at) for value in least):
                        raise RejectedError(at)
        case.progress(f"{cells:,} cells, arb")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    trees.at[4] = cells
    trees.close()
    return cells


@dataclass(frozen=True, slots=True)
class Held:
    """What the slots of one cell may hold (J, S), as the trees ask for it; ids (S,): the symbols of the columns."""

    ids: np.ndarray
    mask: np.ndarray

    def only(self, _: np.ndarray) -> np.ndarray:
        """(1, J, S)."""
        return self.mask[None]


@dataclass(frozen=True, slots=True)
class View:
    """One cell, or the part of it that `only` (J, S) names: ends of D_h (H,), of features that are ranged (R,), of s
    and of S. shares (2, R, H): below every N_h / D_h, of the features and of minus the features.
    """

    scene: Scene
    cell: int
    only: np.ndarray | None
    heads: Ends
    shares: Arbs
    features: Ends
    s: tuple[Any, Any]
    outer: tuple[Any, Any]

    @classmethod
    def of(cls, scene: Scene, cell: int, guess: np.ndarray) -> View:
        """guess (2, R, H): the least and the greatest share of each head; any is sound."""
        heads, ranged = denominators(scene.words, scene.e, cell), scene.net.ranged.tolist()
        shares = np.full(guess.shape, None, dtype=object)
        for side, r, h in np.ndindex(*guess.shape):
            sign, tau = (1, -1)[side], number((1, -1)[side] * float(guess[side, r, h]))
            least = scene.words.least(scene.e[h] * (scene.values[h, ..., ranged[r]] * sign - tau), cell)
            shares[side, r, h] = (tau + _quotient(least, heads[0][h], heads[1][h])).lower()
        together = _together(scene, cell, None, heads, shares, np.full(len(ranged), len(scene.e) > 1))
        return _made(scene, cell, None, heads, shares, together)

    def narrowed(self, only: np.ndarray, box: Ends, wanted: np.ndarray) -> View:
        """The same of a part, where every D_h lies in the box; wanted (R,): features whose ranges are to shrink."""
        scene, cell = self.scene, self.cell
        low, high = denominators(scene.words, scene.e, cell, only)
        heads = ab.larger(low, box[0]), ab.smaller(high, box[1])
        shares, ranged = self.shares.copy(), scene.net.ranged.tolist()
        for side, r, h in np.ndindex(*shares.shape):
            known: Any = shares[side, r, h]
            if wanted[r] and known.is_finite():
                sign = (1, -1)[side]
                own = scene.values[h, ..., ranged[r]] * sign - known
                least = scene.words.least(scene.e[h] * own, cell, only)
                shares[side, r, h] = known.max(
                    known + _quotient(least.max(ab.zero()), heads[1][h], heads[1][h])
                ).lower()
        together = _together(scene, cell, only, heads, shares, wanted)
        made = _made(scene, cell, only, heads, shares, together)
        low, high = (self.features[end].copy() for end in (0, 1))
        low[wanted] = ab.larger(low[wanted], made.features[0][wanted])
        high[wanted] = ab.smaller(high[wanted], made.features[1][wanted])
        return _from_features(scene, cell, only, heads, shares, (low, high))

    def root(self) -> Ends:
        """The whole range of each variable of a tree; of pre-activations, all numbers."""
        free = np.full(self.scene.net.hidden, ab.infinity())
        s = self.s if self.scene.net.inner_eps is not None else None
        ends = []
        for end in (0, 1):
            more = np.array([] if s is None else [s[end]], dtype=object)
            ends.append(np.concatenate([free if end else -free, self.heads[end], more]))
        return ends[0], ends[1]

    def units(self, s: tuple[Any, Any]) -> Ends:
        """(F,) the ends of the pre-activations, for s in an interval."""
        net = self.scene.net
        more = net.shift + net.slope * ab.between(*s) if net.inner_eps is not None else net.shift + net.slope
        return (
            ab.low(self.features[0][: net.hidden] + ab.low(more)),
            ab.high(self.features[1][: net.hidden] + ab.high(more)),
        )

    def outer_coordinates(self, c: Ends) -> Ends:
        """(d,) the ends of what the last norm reads: c, and what the ReLU layer adds."""
        net = self.scene.net
        if not net.hidden:
            return c
        total = ab.between(*c) if net.outs else ab.zeros(len(net.middle_bias))
        low, high = (ab.relu(end) for end in self.units(self.s))
        if net.inner_eps is not None:  # these are s p
            low, high = ab.low(low / self.s[1]), ab.high(high / self.s[0])
        total = total + net.middle_bias + ab.dot(ab.between(low, high), net.middle)
        return ab.low(total), ab.high(total)

    def leaf(
        self,
        rival: int,
        alone: bool,
        a: Arbs,
        b: Arbs,
        slope: np.ndarray,
        tau: np.ndarray,
        multipliers: tuple[np.ndarray, np.ndarray] | None,
        only: np.ndarray | None,
        taken: Any,
    ) -> list[Any]:
        """Below s times the margin, less `taken`, over the box [a, b], one an end of s; none where the box is empty."""
        if only is not None:
            hidden = self.scene.net.hidden
            box = ab.arbs(a[hidden : hidden + len(self.scene.e)]), ab.arbs(b[hidden : hidden + len(self.scene.e)])
            try:
                part = self.narrowed(only, box, self._wanted(rival, slope))
            except NoWords:
                return []
            return part.leaf(rival, alone, a, b, slope, tau, multipliers, None, taken)
        net, hidden, heads = self.scene.net, self.scene.net.hidden, len(self.scene.e)
        a, b = ab.arbs(a), ab.arbs(b)
        s = self.s
        if net.inner_eps is not None:
            s = self.s[0].max(a[hidden + heads]), self.s[1].min(b[hidden + heads])
        low, high = self.units(s)
        low, high = _inside(low, a[:hidden], above=True), _inside(high, b[:hidden], above=False)
        box = (
            ab.larger(self.heads[0], a[hidden : hidden + heads]),
            ab.smaller(self.heads[1], b[hidden : hidden + heads]),
        )
        if any(bool(x > y) for x, y in [*zip(low, high, strict=True), *zip(*box, strict=True), s]):
            return []
        found, label = [], int(self.scene.labels[self.cell])
        for at in s[:1] if bool(s[0] == s[1]) else s:
            slopes = ab.arbs(slope)
            const = _delta(net.beta[:, label] - net.beta[:, rival], slopes, low, high)
            const = const + ab.total(slopes * (net.shift + net.slope * at))
            outer = (net.tilt[label] - net.tilt[rival]) * self.outer[0].union(self.outer[1])
            const = (const + at * (net.constant[label] - net.constant[rival] + outer) - taken).lower()
            weights = ab.zeros(net.mix.shape[2])
            weights[:hidden] = slopes
            if net.outs:
                weights[hidden + label], weights[hidden + rival] = at, -at
            values = ab.dot(self.scene.values, weights)
            const = const + ab.dot(self.scene.own[None], weights)[0]
            share = ab.arbs(tau)
            if heads == 1:  # then the sign of the sum with this tau is that of the bound
                share = np.array([-const.mid()], dtype=object)
            if alone:
                found.append(self.alone(values, share, *box) + const)
            else:
                found.append(self.corners(values, share, *box, multipliers) + const)
        return found

    def taken(self, rival: int) -> Any:
        """What a floating-point format may take from the margin, on the whole cell."""
        net, label, loss = self.scene.net, int(self.scene.labels[self.cell]), self.scene.loss
        if loss is None:
            return ab.zero()
        return loss.taken(net.beta[:, label] - net.beta[:, rival], label, rival, self.units(self.s)[1])

    def _wanted(self, rival: int, slope: np.ndarray) -> np.ndarray:
        """(R,) the features whose ranges matter: not of units of known sign, nor where delta = 0 for all p."""
        net, label = self.scene.net, int(self.scene.labels[self.cell])
        gap, (low, high) = net.beta[:, label] - net.beta[:, rival], self.units(self.s)
        wanted = np.ones(len(net.ranged), dtype=bool)
        for k in range(net.hidden):
            steady = bool(low[k] >= 0) or bool(high[k] <= 0)
            wanted[k] = not (steady or (slope[k] >= 0 and bool(gap[k] >= float(slope[k]))))
        return wanted

    def alone(self, a: Arbs, tau: Arbs, low: Arbs, high: Arbs) -> Any:
        """Below sum_h N_h / D_h for N_h = sum_j e_hj a_hj, every head by itself."""
        whole = ab.total(tau)
        for h, (e, own) in enumerate(zip(self.scene.e, a, strict=True)):
            least = self.scene.words.least(e * (own - tau[h]), self.cell, self.only)
            whole += _quotient(least, low[h], high[h])
        return whole

    def corners(
        self, a: Arbs, tau: Arbs, low: Arbs, high: Arbs, multipliers: tuple[np.ndarray, np.ndarray] | None
    ) -> Any:
        """Below sum_h N_h / D_h, by the corners of the box of all 1 / D_h."""
        if not all(bool(end > 0) for end in low):
            return -ab.infinity()
        heads = len(tau)
        terms = [e * (own - t) for e, own, t in zip(self.scene.e, a, tau, strict=True)]
        found = []
        for corner in itertools.product((0, 1), repeat=heads):
            whole, offset = ab.zero(), ab.zero()
            for h, end in enumerate(corner):
                whole = whole + terms[h] * (1 / (low[h] if end else high[h]))
                if multipliers is not None:
                    plus, minus = (number(m[end, h]) for m in multipliers)
                    whole = whole + self.scene.e[h] * (minus - plus)
                    offset = offset + plus * low[h] - minus * high[h]
            found.append(self.scene.words.least(whole, self.cell, self.only) + offset)
        return ab.least(np.array(found, dtype=object)) + ab.total(tau)


def _together(scene: Scene, cell: int, only: np.ndarray | None, heads: Ends, shares: Arbs, wanted: np.ndarray) -> Arbs:
    """(2, R) below the sums over heads of the shares, which are above `shares` (2, R, H)."""
    found = ab.total(shares)
    for side, r in np.ndindex(*found.shape):
        own = shares[side, r]
        if wanted[r] and ab.finite(own).all():
            sign, which = (1, -1)[side], int(scene.net.ranged[r])
            parts = [
                e * (v[..., which] * sign - t) / d
                for e, v, t, d in zip(scene.e, scene.values, own, heads[1], strict=True)
            ]
            least = scene.words.least(sum(parts, ab.zero()), cell, only)
            found[side, r] = found[side, r] + least.max(ab.zero())
    return found


def _made(scene: Scene, cell: int, only: np.ndarray | None, heads: Ends, shares: Arbs, together: Arbs) -> View:
    """From the bounds (2, R) of all heads together, without the residual's part."""
    own = scene.own[scene.net.ranged]
    features = ab.low(together[0] + own), -ab.low(together[1] - own)
    return _from_features(scene, cell, only, heads, shares, features)


def _from_features(scene: Scene, cell: int, only: np.ndarray | None, heads: Ends, shares: Arbs, features: Ends) -> View:
    net, one = scene.net, number(1)
    s, outer, d = (one, one), (one, one), net.token.shape[1]
    c = features[0][net.hidden :], features[1][net.hidden :]
    if net.inner_eps is not None:
        s = _size(c, net.inner_eps, d)
    view = View(scene, cell, only, heads, shares, features, s, outer)
    if net.outer_eps is None:
        return view
    return View(scene, cell, only, heads, shares, features, s, _size(view.outer_coordinates(c), net.outer_eps, d))


def _quotient(least: Any, low: Any, high: Any) -> Any:
    """Below x / D for every x >= `least` and D in [low, high]."""
    if not low > 0:
        return -ab.infinity()
    down = least.lower()
    return (down / high if down >= 0 else down / low).lower()


def _inside(ends: Arbs, box: Arbs, *, above: bool) -> Arbs:
    """The larger, or smaller, of two ends, where that of the box is a number at all."""
    return np.array(
        [x if not y.is_finite() else x.max(y) if above else x.min(y) for x, y in zip(ends, box, strict=True)],
        dtype=object,
    ).reshape(len(ends))


def _delta(beta: Arbs, slope: Arbs, low: Arbs, high: Arbs) -> Any:
    """Below sum_k min over p in [low_k, high_k] of beta_k relu(p) - slope_k p."""
    whole = ab.zero()
    for b, line, down, up in zip(beta, slope, low, high, strict=True):
        ends = [b * p.max(ab.zero()) - line * p for p in (down, up)]
        if not (down > 0 or up < 0):
            ends.append(ab.zero())
        whole += ab.least(np.array(ends, dtype=object))
    return whole


def _size(c: Ends, eps: Any, d: int) -> tuple[Any, Any]:
    """The ends of sqrt(|c|^2 / d + d^2 eps), from those of the coordinates."""
    sizes = [ab.size(end) for end in c]
    most = ab.larger(*sizes)
    least = [ab.zero() if not (a > 0 or b < 0) else x.min(y) for a, b, x, y in zip(*c, *sizes, strict=True)]
    ends = []
    for size in (np.array(least, dtype=object), most):
        ends.append((ab.total(size * size) / d + eps * (d * d)).sqrt())
    return ends[0].lower().max(ab.zero()), ends[1].upper()
