"""Trees for the kernel's `heads` check: tau and multipliers by linear programs, boxes of the D_h cut where these fail.

The least value over inputs and corners is concave in (tau, p, m), so cutting planes find its greatest value: each input
and corner met so far is one linear constraint.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from separatrix.kernel.head_trees import CORNERS, MULTIPLIERS
from separatrix.verify.provers.head_search import CLEAR, Pairs, corner_minima, corner_terms, ends

CUTS = 24  # new constraints a round
KEPT = 300  # constraints that a new box starts with
PROGRAMS = 40  # linear programs a box
BOXES = 300  # a pair
NEAR = 1e-8  # in units of the scale: margins below are left undecided


@dataclass(slots=True)
class Tree:
    """One pair's part of the certificate's arrays, in preorder."""

    node: list[int] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    tau: list[np.ndarray] = field(default_factory=list)
    plus: list[np.ndarray] = field(default_factory=list)
    minus: list[np.ndarray] = field(default_factory=list)
    prices: list[dict[int, np.ndarray]] = field(default_factory=list)  # one a leaf: by corner, or by head

    @classmethod
    def leaf(cls, kind: int, tau: np.ndarray, prices: dict[int, np.ndarray] | None = None) -> Tree:
        """A tree of one leaf without multipliers."""
        return cls([kind], tau=[tau], prices=[prices or {}])

    def scaled(self, scale: float) -> Tree:
        """The tree in units of logits, from units of `scale`."""
        tau, plus, minus = ([scale * row for row in rows] for rows in (self.tau, self.plus, self.minus))
        prices = [{row: scale * price for row, price in of_leaf.items()} for of_leaf in self.prices]
        return Tree(self.node, self.split, tau, plus, minus, prices)


def arrays(
    trees: list[Tree], heads: int, spans: list[tuple[int, np.ndarray | None]] | None = None
) -> dict[str, np.ndarray]:
    """The certificate's arrays, from the trees of all pairs in order.

    spans: of pieces in order, the number of the first cell, and prices (C, 2 H, classes) or None.
    """

    def rows(name: str, *shape: int) -> np.ndarray:
        return np.array([row for tree in trees for row in getattr(tree, name)], dtype=np.float64).reshape(-1, *shape)

    node = np.array([kind for tree in trees for kind in tree.node], dtype=np.int64)
    split, tau = rows("split").reshape(-1), rows("tau", heads)
    made = {"node": node, "split": split, "tau": tau, "plus": rows("plus", 2, heads), "minus": rows("minus", 2, heads)}
    leaves = [of_leaf for tree in trees for of_leaf in tree.prices]
    given = {leaf * 2**heads + row: price for leaf, own in enumerate(leaves) for row, price in sorted(own.items())}
    if given:
        width = max(map(len, given.values()))
        prices = np.array([np.pad(price, (0, width - len(price))) for price in given.values()])
        made |= {"priced": np.array(list(given)), "prices": prices}
    ranged = [(first, price) for first, price in spans or [] if price is not None]
    if ranged:
        width = max(price.shape[2] for _, price in ranged)
        made["ranged"] = np.concatenate([first + np.arange(len(price)) for first, price in ranged])
        made["spans"] = np.concatenate([np.pad(p, ((0, 0), (0, 0), (0, width - p.shape[2]))) for _, p in ranged])
    return made


def parted(made: Mapping[str, np.ndarray], heads: int) -> list[Tree]:
    """Inverse of `arrays`, for arrays that were written by it."""
    trees, at = [], [0, 0, 0]
    given = dict(zip(made["priced"].tolist(), made["prices"], strict=True)) if "priced" in made else {}
    by_leaf: dict[int, dict[int, np.ndarray]] = {}
    for number, price in given.items():
        by_leaf.setdefault(number // 2**heads, {})[number % 2**heads] = price
    open_ = 0
    for kind in made["node"].tolist():
        if not open_:
            trees.append(Tree())
            open_ = 1
        tree = trees[-1]
        tree.node.append(kind)
        if kind >= 0:
            tree.split.append(float(made["split"][at[0]]))
            at[0], open_ = at[0] + 1, open_ + 1
            continue
        tree.tau.append(made["tau"][at[1]])
        tree.prices.append(by_leaf.get(at[1], {}))
        at[1], open_ = at[1] + 1, open_ - 1
        if kind == MULTIPLIERS:
            tree.plus.append(made["plus"][at[2]])
            tree.minus.append(made["minus"][at[2]])
            at[2] += 1
    return trees


def prices_of(pair: Pairs, terms: np.ndarray, offset: np.ndarray | float = 0.0) -> dict[int, np.ndarray]:
    """Prices, for one pair, of the rows of terms (B, J, W) whose sum is not found positive without them."""
    words, cell = pair.words, int(pair.cell[0])
    if words is None or words.constraint.kind != "distinct":
        return {}
    rows = np.flatnonzero(~(words.relaxed(cell, terms) + offset > CLEAR))
    return dict(zip(rows.tolist(), words.prices(cell, terms[rows]), strict=True)) if len(rows) else {}


@dataclass
class Cutter:
    """The search for the tree of one pair (a `Pairs` of length 1).

    failing: the columns (J,) of an input with a margin that is not positive, once one was met.
    """

    pair: Pairs
    deadline: float
    most: int = BOXES
    failing: np.ndarray | None = None
    boxes: int = 0
    worst: float = np.inf

    def __post_init__(self) -> None:
        heads = self.pair.low.shape[1]
        self.corner = ends(heads)
        self.bits = np.empty((0, heads), dtype=np.int64)
        self.n, self.d = np.empty((0, heads)), np.empty((0, heads))

    def tree(self, tau_range: tuple[np.ndarray, np.ndarray], start: np.ndarray) -> Tree | None:
        """The tree, or None when there is a failing input, or the time or the boxes are spent."""
        self.tau_range = (tau_range[0] - 1e-9, tau_range[1] + 1e-9)
        tree, none = Tree(), np.zeros((2, len(start)))
        done = self._cut(tree, self.pair.low[0], self.pair.high[0], (start, none, none))
        return tree if done else None

    def _cut(self, tree: Tree, low: np.ndarray, high: np.ndarray, guess: tuple[np.ndarray, ...]) -> bool:
        self.boxes += 1
        if self.boxes > self.most or time.perf_counter() > self.deadline:
            return False
        root = self.boxes == 1
        proved, found = self._box(low, high, guess, root)
        if self.failing is not None or self.worst < NEAR:
            return False
        if proved:
            tau, plus, minus = found
            w, shift = np.stack([1.0 / high, 1.0 / low]), minus - plus
            terms = corner_terms(self.pair, tau[None], w[None], shift[None])[0]
            offset = (plus * low - minus * high)[self.corner, np.arange(len(low))].sum(axis=1)
            tree.tau.append(tau)
            tree.prices.append(prices_of(self.pair, terms, offset))
            if plus.any() or minus.any():
                tree.node.append(MULTIPLIERS)
                tree.plus.append(plus)
                tree.minus.append(minus)
            else:
                tree.node.append(CORNERS)
            return True
        head, cut = self._where(low, high, found[0])
        if not low[head] < cut < high[head]:
            return False
        tree.node.append(head)
        tree.split.append(cut)
        upper, lower = low.copy(), high.copy()
        upper[head] = lower[head] = cut
        return self._cut(tree, low, lower, found) and self._cut(tree, upper, high, found)

    def _where(self, low: np.ndarray, high: np.ndarray, tau: np.ndarray) -> tuple[int, float]:
        """The head whose D is spread widest, weighed by what that costs, and the middle of its range (geometric)."""
        recent = slice(-CUTS, None)
        cost = np.abs(self.n[recent] - tau * self.d[recent]).mean(axis=0) * (1.0 / low - 1.0 / high)
        head = int(np.argmax(cost))
        return head, float(np.sqrt(low[head] * high[head]))

    def _box(
        self, low: np.ndarray, high: np.ndarray, guess: tuple[np.ndarray, ...], root: bool
    ) -> tuple[bool, tuple[np.ndarray, ...]]:
        """Whether some multipliers prove the box, and the last ones tried."""
        w = np.stack([1.0 / high, 1.0 / low])
        tau, plus, minus = guess
        self._forget(low, high, guess)
        for _ in range(PROGRAMS):
            least, choice = corner_minima(self.pair, tau[None], w[None], (minus - plus)[None])
            offset = (plus * low - minus * high)[self.corner, np.arange(len(low))].sum(axis=1)
            value = least[0] + offset
            if value.min() > CLEAR:
                return True, (tau, plus, minus)
            order = np.argsort(value)[:CUTS]
            n, d = (part[0] for part in self.pair.sums(choice[:, order]))
            margin = (n / d).sum(axis=1) + self.pair.constant[0]
            self.worst = min(self.worst, float(margin.min()))
            if margin.min() <= 0.0:
                self.failing = choice[0, order[int(margin.argmin())]]
                return False, (tau, plus, minus)
            self.bits = np.concatenate([self.bits, self.corner[order]])
            self.n, self.d = np.concatenate([self.n, n]), np.concatenate([self.d, d])
            best, (tau, plus, minus) = self._program(low, high, w, root)
            if not best > 2 * CLEAR or time.perf_counter() > self.deadline:
                break
        return False, (tau, plus, minus)

    def _forget(self, low: np.ndarray, high: np.ndarray, guess: tuple[np.ndarray, ...]) -> None:
        """Keeps the constraints that bind most at these multipliers."""
        if len(self.bits) <= KEPT:
            return
        tau, plus, minus = guess
        w, columns = np.stack([1.0 / high, 1.0 / low]), np.arange(len(low))
        value = w[self.bits, columns] * (self.n - tau * self.d)
        value -= plus[self.bits, columns] * (self.d - low) + minus[self.bits, columns] * (high - self.d)
        keep = np.sort(np.argsort(value.sum(axis=1))[:KEPT])
        self.bits, self.n, self.d = self.bits[keep], self.n[keep], self.d[keep]

    def _program(self, low: np.ndarray, high: np.ndarray, w: np.ndarray, root: bool) -> tuple[float, tuple]:
        """Greatest t with sum_h w_h (N - tau D) - p (D - low) - m (high - D) >= t for all (input, corner) met."""
        from scipy.optimize import linprog

        heads, count = len(low), len(self.bits)
        columns = np.arange(heads)
        of_w = w[self.bits, columns]  # (K, H)
        matrix = [of_w * self.d, np.ones((count, 1))]
        cost = [np.zeros(heads), [-1.0]]
        bounds: list[tuple[float, float]] = [*zip(*self.tau_range, strict=True), (-1e3, 1.0)]
        if not root:  # at the root no input lies outside the box
            for gap in (of_w * (self.d - low), of_w * (high - self.d)):
                spread = np.zeros((count, 2 * heads))
                spread[np.arange(count)[:, None], self.bits * heads + columns] = gap
                matrix.append(spread)
                cost.append(np.full(2 * heads, 1e-7))
            bounds += [(0.0, 1e4)] * (4 * heads)
        size = sum(part.shape[1] for part in matrix)
        total, none = np.zeros((1, size)), np.zeros((2, heads))
        total[0, :heads] = 1.0
        left, right = np.concatenate(matrix, axis=1), (of_w * self.n).sum(axis=1)
        if not (np.isfinite(left).all() and np.isfinite(right).all() and np.isfinite(self.tau_range).all()):
            return -np.inf, (np.zeros(heads), none, none)
        result = linprog(
            np.concatenate(cost),
            A_ub=left,
            b_ub=right,
            A_eq=total,
            b_eq=[-float(self.pair.constant[0])],
            bounds=bounds,
            method="highs",
        )
        if result.x is None:
            return -np.inf, (np.zeros(heads), none, none)
        tau = lifted(result.x[:heads], float(self.pair.constant[0]))
        if root:
            return float(result.x[heads]), (tau, none, none)
        plus, minus = np.maximum(result.x[heads + 1 :], 0.0).reshape(2, 2, heads) * w
        return float(result.x[heads]), (tau, plus, minus)


def lifted(tau: np.ndarray, constant: np.ndarray | float) -> np.ndarray:
    """tau (.., H) moved so that its sum exceeds -constant by a hair."""
    lack = np.asarray(-constant + 1e-12) - tau.sum(axis=-1)
    return tau + np.asarray(lack / tau.shape[-1])[..., None]
