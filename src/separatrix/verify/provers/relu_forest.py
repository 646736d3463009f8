"""The search for trees: boxes that the relaxation method does not prove are cut in two, many at a time.

Cut is what promises to take most from the relaxations at the worst inputs met: a pre-activation at 0; a denominator,
or the size s that an inner norm divides by, in the (geometric) middle of its range; or what a slot may hold, in two
sets of symbols that add alike to the pre-activations, whose ranges then shrink.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from separatrix.verify.provers.relu_dual import CLEAR, Point, relax
from separatrix.verify.provers.relu_pairs import Pairs, descend
from separatrix.verify.provers.relu_ranges import Ranges, units
from separatrix.verify.provers.relu_trees import Tree
from separatrix.verify.provers.relu_view import View

BATCH = 64  # boxes at a time
ROUNDS = 10  # of the relaxation method, a box
NEAR = 1e-8  # in units of the scale: true margins below are left undecided
HALF = 0.5  # of what a denominator's relaxation costs is taken by a cut
SLOTS = 1.0  # how much what a slot's cut promises counts beside what a variable's does
MOST_UNITS, MOST_SLOTS = 12, 8  # that a slot's cut is looked for by


@dataclass(slots=True)
class Node:
    """A box of one pair: ends (variables,), what slots may hold (J, S), None for all that the cell allows, multipliers
    to begin with, ranges of the pre-activations (2, F), and what became of it.

    cut: a variable and where, or variables + slot and the columns (S,).
    """

    low: np.ndarray
    high: np.ndarray
    mask: np.ndarray | None
    slope: np.ndarray
    tau: np.ndarray
    push: np.ndarray
    units: np.ndarray
    cut: tuple[int, float | np.ndarray] | None = None
    children: tuple[Node, Node] | None = None


@dataclass
class Forest:
    """The search for the trees of some pairs of a group.

    trees: by the pair's number; failing: the columns (J,) of an input on which the model errs, by pair.
    """

    view: View
    ranges: Ranges
    pairs: Pairs
    trees: dict[int, Tree] = field(default_factory=dict)
    failing: dict[int, np.ndarray] = field(default_factory=dict)

    def grow(self, which: np.ndarray, start: Point, boxes: int, deadline: float, hasty: bool) -> None:
        """Until all of these pairs are decided, or their boxes or the time are spent."""
        net, cell = self.view.net, self.pairs.cell
        every = np.full((len(self.view.labels), net.hidden), np.inf)
        free = np.stack([-every[0], every[0]])
        s = [end[:, None][:, : net.inner is not None] for end in self.ranges.s]
        low, high = (
            np.concatenate([sign * every, end, size], axis=1)
            for sign, end, size in zip((-1, 1), self.ranges.heads, s, strict=True)
        )
        roots = {
            int(p): Node(low[cell[p]], high[cell[p]], None, slope, tau, np.zeros((2, 2, net.heads)), free)
            for p, slope, tau in zip(which, start.slope, start.tau, strict=True)
        }
        open_ = {p: [root] for p, root in roots.items()}
        spent = dict.fromkeys(roots, 0)
        while open_ and time.perf_counter() < deadline and not (hasty and self.failing):
            batch: list[tuple[int, Node]] = []
            for p in sorted(open_, key=lambda p: len(open_[p])):
                take = min(len(open_[p]), BATCH - len(batch))
                batch += [(p, open_[p].pop()) for _ in range(take)]
                spent[p] += take
                if len(batch) == BATCH:
                    break
            for p, node in zip([p for p, _ in batch], self._boxes(batch, deadline), strict=True):
                if p not in open_ or node is None:
                    continue
                if node.children is None or spent[p] > boxes or p in self.failing:
                    del open_[p]
                else:
                    open_[p] += node.children
            for p in [p for p, nodes in open_.items() if not nodes]:
                del open_[p]
                self.trees[p] = self._tree(roots[p])

    def _boxes(self, batch: list[tuple[int, Node]], deadline: float) -> list[Node | None]:
        """None for each box that is proved, and empty ones; the node, cut if it can be, for the others."""
        nodes: list[Node] = [node for _, node in batch]
        result: list[Node | None] = [None] * len(batch)
        whole = self.view.words.cells
        held = [whole[self.pairs.cell[p]] if node.mask is None else node.mask for p, node in batch]
        kept = [None if node.mask is None else self.view.words.narrowed(node.mask) for node in nodes]
        some = [i for i, node in enumerate(nodes) if node.mask is None or kept[i] is not None]
        if not some:
            return result
        masks = np.stack([held[i] if kept[i] is None else kept[i] for i in some])  # pyright: ignore
        pairs = self._pairs([batch[i] for i in some], masks)
        fine = (pairs.units[:, 0] <= pairs.units[:, 1]).all(axis=1) & (pairs.s[:, 0] <= pairs.s[:, 1])
        fine &= (pairs.heads[:, 0] <= pairs.heads[:, 1]).all(axis=1)
        full = np.flatnonzero(fine)
        if not len(full):
            return result
        pairs, at = pairs[full], np.array(some)[full]
        slope = np.clip(np.stack([nodes[i].slope for i in at]), *pairs.limits()[0])
        root = self.ranges.at(pairs.cell).heads
        push = None
        if self.view.net.heads > 1 and (pairs.heads != np.stack(root, axis=1)).any():
            push = np.stack([nodes[i].push for i in at])
        start = Point(slope, np.stack([nodes[i].tau for i in at]), push)
        found = relax(self.view, pairs, ROUNDS, start, hasty=False, deadline=deadline)
        rest = np.flatnonzero(~(found.bound > CLEAR * pairs.scale) & (found.value < np.inf))
        if len(rest):
            value, where = descend(self.view, pairs[rest], found.choice[rest])
            for i, v, x in zip(rest, value, where, strict=True):
                if v < 0:
                    self.failing.setdefault(batch[at[i]][0], x)
        for row, i in enumerate(at):
            node = nodes[i]
            node.slope, node.tau = found.point.slope[row], found.point.tau[row]
            node.units = pairs.units[row]
            node.push = node.push if found.point.push is None else found.point.push[row]
            if found.bound[row] > CLEAR * pairs.scale[row]:
                continue
            result[i] = node
            if found.value[row] > NEAR * pairs.scale[row]:
                self._cut(node, pairs, row, found.gaps[row] / ROUNDS)
        return result

    def _pairs(self, batch: list[tuple[int, Node]], masks: np.ndarray) -> Pairs:
        """The pairs in their boxes: ranges of what slots may hold, met with the ends of the variables."""
        net, pairs = self.view.net, self.pairs[np.array([p for p, _ in batch])]
        low, high = np.stack([node.low for _, node in batch]), np.stack([node.high for _, node in batch])
        f, h = net.hidden, net.hidden + net.heads
        here = self.ranges.at(pairs.cell)
        heads, s = (here.heads[0].copy(), here.heads[1].copy()), (here.s[0].copy(), here.s[1].copy())
        outer, features = pairs.outer.copy(), (here.features[0].copy(), here.features[1].copy())
        cut = np.array([i for i, (_, node) in enumerate(batch) if node.mask is not None], dtype=np.int64)
        if len(cut):
            known = np.stack([batch[i][1].units for i in cut])
            wanted = np.ones((len(cut), len(net.ranged)), dtype=bool)
            wanted[:, :f] = (known[:, 0] < 0) & (known[:, 1] > 0) & (pairs.beta[cut] < 0)
            part = here.at(cut).narrowed(self.view, masks[cut], (low[cut, f:h], high[cut, f:h]), wanted)
            for old, new in ((heads, part.heads), (s, part.s), (features, part.features)):
                old[0][cut], old[1][cut] = new
            outer[cut] = np.stack(part.outer, axis=1)
        heads = np.maximum(heads[0], low[:, f:h]), np.minimum(heads[1], high[:, f:h])
        if net.inner is not None:
            s = np.maximum(s[0], low[:, h]), np.minimum(s[1], high[:, h])
        p = units(self.view, features, s)
        p = np.maximum(p[0], low[:, :f]), np.minimum(p[1], high[:, :f])
        inherited = np.stack([node.units for _, node in batch])  # parts of parts have ranges no wider
        p = np.maximum(p[0], inherited[:, 0]), np.minimum(p[1], inherited[:, 1])
        return replace(
            pairs,
            masks=masks,
            row=np.arange(len(batch)),
            outer=outer,
            heads=np.stack(heads, axis=1),
            s=np.stack(s, axis=1),
            units=np.stack(p, axis=1),
        )

    def _cut(self, node: Node, pairs: Pairs, row: int, gaps: np.ndarray) -> None:
        net, mask = self.view.net, pairs.masks[pairs.row[row]]
        gaps = np.nan_to_num(gaps)
        gain = gaps.copy()
        gain[net.hidden :] *= HALF
        variable = int(np.argmax(gain))
        slot = self._slot(pairs, row, mask, gaps[: net.hidden])
        if slot is not None and SLOTS * slot[0] > gain[variable]:
            _, at, first = slot
            lower, upper = mask.copy(), mask.copy()
            lower[at] &= first
            upper[at] &= ~first
            node.cut = net.variables + at, first
            node.children = self._child(node, node.low, node.high, lower), self._child(node, node.low, node.high, upper)
            return
        cut = 0.0
        if variable >= net.hidden:
            cut = float(np.sqrt(node.low[variable] * node.high[variable]))
            h = variable - net.hidden
            ends = pairs.heads[row, :, h] if h < net.heads else pairs.s[row]
            cut = float(np.sqrt(ends[0] * ends[1]))
        if not (gain[variable] > 0 and node.low[variable] < cut < node.high[variable]):
            return
        high, low = node.high.copy(), node.low.copy()
        high[variable] = low[variable] = cut
        node.cut = variable, cut
        node.children = self._child(node, node.low, high, node.mask), self._child(node, low, node.high, node.mask)

    def _child(self, node: Node, low: np.ndarray, high: np.ndarray, mask: np.ndarray | None) -> Node:
        return Node(low, high, mask, node.slope, node.tau, node.push, node.units)

    def _slot(self, pairs: Pairs, row: int, mask: np.ndarray, gaps: np.ndarray) -> tuple[float, int, np.ndarray] | None:
        """The best cut of a slot: what it takes from the relaxations, nearly; the slot; and the columns of one side.

        What relaxing a unit costs is taken to shrink as its range does; the two sets of symbols lie around those two
        that differ most.
        """
        low, high = pairs.units[row]
        some = np.flatnonzero((gaps > 0) & (high > low))
        if not len(some):
            return None
        some = some[np.argsort(-gaps[some])[:MOST_UNITS]]
        weight = gaps[some] / (high[some] - low[some])
        d, table = pairs.heads[row].mean(axis=0), self.view.table(some)
        add = (self.view.e / d[:, None, None])[None] * table
        share = self.view.e / d[:, None, None]
        middle = (add * mask).sum(axis=(2, 3)) / (share * mask).sum(axis=(1, 2))
        add = (add.sum(axis=1) - np.tensordot(middle, share, 1)) * weight[:, None, None]
        best = None
        width = np.where(mask, add, -np.inf).max(axis=2) - np.where(mask, add, np.inf).min(axis=2)  # (units, J)
        order = np.argsort(-width.sum(axis=0))[:MOST_SLOTS]
        for j in order:
            columns = np.flatnonzero(mask[j])
            if len(columns) < 2:
                continue
            x = add[:, j, columns]
            one = np.abs(x - x.mean(axis=1, keepdims=True)).sum(axis=0).argmax()
            from_one = np.abs(x - x[:, [one]]).sum(axis=0)
            from_two = np.abs(x - x[:, [from_one.argmax()]]).sum(axis=0)
            side = from_one <= from_two
            if side.all() or not side.any():
                continue
            left = [np.ptp(x[:, part], axis=1).sum() for part in (side, ~side)]
            whole = width[:, j].sum()
            gain = float(whole - max(left) + 0.3 * (whole - min(left)))
            if best is None or gain > best[0]:
                first = np.zeros(mask.shape[1], dtype=bool)
                first[columns[side]] = True
                best = gain, int(j), first
        return best

    def _tree(self, root: Node) -> Tree:
        tree, stack, net, ids = Tree(), [root], self.view.net, self.view.words.ids
        while stack:
            node = stack.pop()
            if node.cut is None or node.children is None:
                tree.add(node.slope, node.tau, node.push)
                continue
            kind, where = node.cut
            tree.node.append(kind)
            if isinstance(where, np.ndarray):
                symbols = np.zeros(len(net.token), dtype=bool)
                symbols[ids[where]] = True
                tree.symbols.append(symbols)
            else:
                tree.split.append(where)
            stack += [node.children[1], node.children[0]]
        return tree
