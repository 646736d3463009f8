"""Trees for the kernel's `relu` check: boxes that the relaxation method does not prove are cut in two, many at a time.

The variable that is cut is the one whose relaxation costs most at the worst inputs met: a pre-activation at 0, a
denominator or the size s that an inner norm divides by in the (geometric) middle of its range.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from separatrix.kernel.relu import ALONE, CORNERS, MULTIPLIERS, NAMES, root_box, split_box
from separatrix.kernel.relu_bounds import Ranges, units
from separatrix.verify.provers.relu_dual import CLEAR, Guess, Pairs, Point, descend, relax
from separatrix.verify.provers.relu_search import Work

BATCH = 96  # boxes at a time
ROUNDS = 14  # of the relaxation method, a box
BOXES = 6000  # a pair
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

    def add(self, heads: int, slope: np.ndarray, tau: np.ndarray, push: np.ndarray | None = None) -> Tree:
        """Appends a leaf."""
        pushed = push is not None and push.any()
        self.node.append(ALONE if heads == 1 else MULTIPLIERS if pushed else CORNERS)
        self.slope.append(slope)
        self.tau.append(tau)
        if push is not None and pushed:
            self.plus.append(push[0])
            self.minus.append(push[1])
        return self


def arrays(trees: Iterable[Tree], guesses: list[Guess], work: Work) -> dict[str, np.ndarray]:
    """The certificate's arrays, from the trees of all pairs and the guesses of ranges of all groups, in order."""
    net, trees = work.scene.net, list(trees)

    def rows(name: str, *shape: int) -> np.ndarray:
        found = [row for tree in trees for row in getattr(tree, name)]
        return np.array(found, dtype=np.float64).reshape(len(found), *shape)

    tau = rows("tau", net.heads)
    made = {
        "node": np.array([kind for tree in trees for kind in tree.node], dtype=np.int64),
        "split": rows("split"),
        "range": np.concatenate([guess.tau for guess in guesses]).astype(np.float32),
        "joint": np.concatenate([guess.joint for guess in guesses]).astype(np.int64),
        "slope": rows("slope", net.hidden).astype(np.float32),
        "tau": tau if net.heads > 1 else tau[:, :0],
        "plus": rows("plus", 2, net.heads),
        "minus": rows("minus", 2, net.heads),
    }
    return {name: made[name] for name in NAMES}


@dataclass(slots=True)
class Node:
    """A box of one pair: ends (variables,) of each variable, multipliers to begin with, and what became of it."""

    low: np.ndarray
    high: np.ndarray
    slope: np.ndarray
    tau: np.ndarray
    push: np.ndarray
    cut: tuple[int, float] | None = None
    children: tuple[Node, Node] | None = None


@dataclass
class Forest:
    """The search for the trees of some pairs of a group.

    trees: by the pair's number; failing: the columns (J,) of an input on which the model errs, by pair.
    """

    work: Work
    ranges: Ranges
    pairs: Pairs
    trees: dict[int, Tree] = field(default_factory=dict)
    failing: dict[int, np.ndarray] = field(default_factory=dict)

    def grow(self, which: np.ndarray, start: Point, deadline: float, hasty: bool) -> None:
        """Until all of these pairs are decided, or their boxes or the time are spent."""
        low, high = root_box(self.work.scene, self.ranges)
        cell, heads = self.pairs.cell, self.work.scene.net.heads
        roots = {
            int(p): Node(low[cell[p]], high[cell[p]], slope, tau, np.zeros((2, 2, heads)))
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
            for p, node in zip([p for p, _ in batch], self._boxes(batch), strict=True):
                if p not in open_ or node is None:
                    continue
                if node.children is None or spent[p] > BOXES or p in self.failing:
                    del open_[p]
                else:
                    open_[p] += node.children
            for p in [p for p, nodes in open_.items() if not nodes]:
                del open_[p]
                self.trees[p] = self._tree(roots[p])

    def _boxes(self, batch: list[tuple[int, Node]]) -> list[Node | None]:
        """None for each box that is proved, and empty ones; the node, cut if it can be, for the others."""
        net = self.work.scene.net
        nodes = [node for _, node in batch]
        at = np.array([p for p, _ in batch])
        low, high = np.stack([node.low for node in nodes]), np.stack([node.high for node in nodes])
        pairs, box = self.pairs[at], split_box(net, low, high)
        p = np.stack(units(self.work.scene, self.ranges, pairs.cell, box), axis=1)
        pairs = replace(pairs, heads=np.stack(box.heads, axis=1), s=np.stack(box.s, axis=1), units=p)
        result: list[Node | None] = [None] * len(nodes)
        full = np.flatnonzero((p[:, 0] <= p[:, 1]).all(axis=1))
        if not len(full):
            return result
        pairs, limits = pairs[full], pairs[full].limits()[0]
        slope = np.clip(np.stack([nodes[i].slope for i in full]), *limits)
        whole = self.pairs.heads[at[full]]
        push = np.stack([nodes[i].push for i in full]) if (pairs.heads != whole).any() else None
        start = Point(slope, np.stack([nodes[i].tau for i in full]), push)
        found = relax(self.work, pairs, ROUNDS, start, hasty=False)
        rest = np.flatnonzero(~(found.bound > CLEAR * pairs.scale))
        if len(rest):
            value, where = descend(self.work, pairs[rest], found.choice[rest])
            for i, v, x in zip(rest, value, where, strict=True):
                if v < 0:
                    self.failing.setdefault(int(at[full[i]]), x)
        for row, i in enumerate(full):
            node = nodes[i]
            node.slope, node.tau = found.point.slope[row], found.point.tau[row]
            node.push = node.push if found.point.push is None else found.point.push[row]
            if found.bound[row] > CLEAR * pairs.scale[row]:
                continue
            result[i] = node
            if found.value[row] > NEAR * pairs.scale[row]:
                self._cut(node, found.gaps[row])
        return result

    def _cut(self, node: Node, gaps: np.ndarray) -> None:
        variable = int(np.argmax(np.nan_to_num(gaps)))
        cut = 0.0
        if variable >= self.work.scene.net.hidden:
            cut = float(np.sqrt(node.low[variable] * node.high[variable]))
        if not (gaps[variable] > 0 and node.low[variable] < cut < node.high[variable]):
            return
        lower, upper = node.high.copy(), node.low.copy()
        lower[variable] = upper[variable] = cut
        node.cut = variable, cut
        node.children = (
            Node(node.low, lower, node.slope, node.tau, node.push),
            Node(upper, node.high, node.slope, node.tau, node.push),
        )

    def _tree(self, root: Node) -> Tree:
        tree, stack = Tree(), [root]
        while stack:
            node = stack.pop()
            if node.cut is None or node.children is None:
                tree.add(self.work.scene.net.heads, node.slope, node.tau, node.push)
                continue
            tree.node.append(node.cut[0])
            tree.split.append(node.cut[1])
            stack += [node.children[1], node.children[0]]
        return tree
