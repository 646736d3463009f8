"""Some cells of a group, decided: failing inputs and trees by the prover, margins by the kernel.

Exact minima of single heads decide most pairs of a cell and a rival; the denominator-vertex bound (`kernel.vertices`)
the others, in boxes where one is not enough. The search is plain float64; what is proved, the kernel says, and so it
does of failing inputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from separatrix.core.domain import CellGroup
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.forward import forward
from separatrix.kernel.head_tables import View
from separatrix.kernel.head_trees import ALONE, CORNERS, Trees
from separatrix.kernel.heads import margins_low, read_model
from separatrix.models.model import Model
from separatrix.verify.provers.head_search import CLEAR, Pairs, corner_minima, corner_terms, descend, single_minima
from separatrix.verify.provers.head_tables import Board, Weights
from separatrix.verify.provers.head_trees import NEAR, Cutter, Tree, arrays, lifted, parted, prices_of

MOST_TAU = 1e290  # greater numbers, or none at all, are no evidence
NUMBERS = 2**22  # in the tables of the pairs that are decided together


@dataclass(frozen=True, slots=True)
class Piece:
    """Cells of one group that are decided together; `number` counts pieces, `first` the cells before."""

    number: int
    first: int
    group: CellGroup


def pieces(model: Model, task: Task, n: int, size: int | None = None) -> Iterator[Piece]:
    """All cells of all queries in the task's order, as many of a group at a time as fit into memory.

    size: numbers in the tables of a cell; those of several heads unless it is given.
    """
    domain, number, first = task.domain(n), 0, 0
    heads, slots = len(model.tensors["layers.0.query"]), domain.positions + model.arch.blank
    for query in task.queries(n):
        groups = task.cells(n, query)
        if groups is None:
            raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
        for group in groups:
            where = {id(a): len(a) for a in group.background or domain.alphabets}
            if group.labels is None:
                raise RejectedError("a cell of this task has no label")
            step = max(1, NUMBERS // (size or model.arch.readout.outputs * heads * slots * max(where.values())))
            for start in range(0, len(group), step):
                cut = slice(start, start + step)
                labels = group.labels[cut]
                own = replace(group, positions=group.positions[cut], symbols=group.symbols[cut], labels=labels)
                yield Piece(number, first + start, own)
                number += 1
            first += len(group)


@dataclass(frozen=True, slots=True)
class Part:
    """The pairs (cell, rival) of a piece after a search, cells first.

    state (P,): 1 proved, -1 the worst input found has no positive margin, 0 neither. tokens (P, T): that input;
    value (P,): its margin. spans: as in `Finding`, where the search depends on them.
    """

    cell: np.ndarray
    state: np.ndarray
    trees: list[Any]
    tokens: np.ndarray
    value: np.ndarray
    spans: np.ndarray | None = None


@np.errstate(all="ignore")  # overflow decides nothing
def decide(board: Board, boxes: int, deadline: float, before: Part | None = None, hasty: bool = False) -> Part:
    """Per-head minima, descent, the corners of one box, then trees of so many boxes a pair, until the deadline.

    before: an earlier search of the same board; only what it left open is tried again. `hasty` stops at the first pair
    with a margin that is not positive.
    """
    wanted = None if before is None else open_pairs(before)
    if before is not None and wanted is not None and not len(wanted):
        return before
    pairs = Pairs.of(board, wanted)
    count, heads = pairs.low.shape
    state = np.zeros(count, dtype=np.int64)
    least, choice = single_minima(pairs)
    slack = least.sum(axis=1) + pairs.constant
    state[slack > CLEAR] = 1
    hair = np.minimum(slack / 2, np.maximum(1e-6 * slack, CLEAR / 2))  # all else goes into the sum of tau
    tau = least - (hair / heads)[:, None]
    inputs, value = choice[:, 0].copy(), pairs.values(choice).min(axis=1) if count else np.zeros(0)
    trees = [Tree.leaf(ALONE, row) for row in tau]
    rest = np.flatnonzero(state == 0)
    if len(rest):
        margin, inputs[rest] = descend(pairs[rest], choice[rest])
        value[rest] = margin
        state[rest[margin < 0]] = -1
        rest = rest[margin > NEAR]
    if len(rest) and not (hasty and (state < 0).any()):
        some = pairs[rest]
        n, d = some.sums(inputs[rest][:, None])
        first = lifted((n / d)[:, 0], some.constant)
        box = np.stack([1.0 / some.high, 1.0 / some.low], axis=1)
        found, _ = corner_minima(some, first, box)
        good = found.min(axis=1) > CLEAR
        state[rest[good]] = 1
        for at, (pair, row) in enumerate(zip(rest, first, strict=True)):
            trees[pair] = Tree.leaf(CORNERS, row)
            if good[at]:
                one = some[np.array([at])]
                trees[pair].prices[0] = prices_of(one, corner_terms(one, row[None], box[[at]])[0])
        most = single_minima(some.negative())[0] if boxes else least
        for at in np.flatnonzero(~good):
            if not boxes or time.perf_counter() > deadline or (hasty and (state < 0).any()):
                break
            cutter = Cutter(some[np.array([at])], deadline, boxes)
            tree = cutter.tree((least[rest[at]], -most[at]), first[at])
            if tree is not None:
                trees[rest[at]], state[rest[at]] = tree, 1
            elif cutter.failing is not None:
                inputs[rest[at]], state[rest[at]] = cutter.failing, -1
                value[rest[at]] = pairs[rest[[at]]].values(cutter.failing[None, None])[0, 0]
    lone = np.array([board.words is not None and tree.node == [ALONE] for tree in trees], dtype=bool)
    for pair in np.flatnonzero((state == 1) & lone):
        one = pairs[np.array([pair])]
        trees[pair].prices[0] = prices_of(one, (one.m - tau[[pair], :, None, None] * one.e)[0], -CLEAR)
    scaled = [tree.scaled(float(scale)) for tree, scale in zip(trees, pairs.scale, strict=True)]
    for pair, tree in enumerate(scaled):
        if not all((np.abs(row) < MOST_TAU).all() for rows in (tree.tau, tree.plus, tree.minus) for row in rows):
            scaled[pair], state[pair] = Tree.leaf(ALONE, np.zeros(heads)), min(int(state[pair]), 0)
    columns = board.at[pairs.cell[:, None], np.arange(board.at.shape[1]), inputs]
    tokens = board.ids[columns][:, : board.at.shape[1] - int((board.ids[columns] < 0).any())]  # without the blank
    part = Part(pairs.cell, state, scaled, tokens, value * pairs.scale)
    return part if before is None or wanted is None else joined(before, part, wanted)


def open_pairs(part: Part) -> np.ndarray:
    """The pairs that are not proved, in cells where none fails."""
    fails = np.isin(part.cell, part.cell[part.state < 0])
    return np.flatnonzero((part.state == 0) & ~fails)


def joined(old: Part, new: Part, at: np.ndarray) -> Part:
    """What the new search found, in the place of what the old one left open."""
    state, tokens, value, trees = old.state.copy(), old.tokens.copy(), old.value.copy(), list(old.trees)
    worse = new.value <= value[at]
    state[at], tokens[at[worse]], value[at[worse]] = new.state, new.tokens[worse], new.value[worse]
    for pair, tree in zip(at.tolist(), new.trees, strict=True):
        trees[pair] = tree
    return Part(old.cell, state, trees, tokens, value, old.spans)


@dataclass(frozen=True)
class Finding:
    """What is known of a piece, in the kernel's words but for `found`.

    trees: one a pair. spans: what ranges are derived from, `Board.span_prices` for several heads. margins (C, k - 1):
    floats below the least margin against each rival, by the kernel; -inf for none. tokens (C, T): the worst input found
    of each cell; found (C,): its margin, nearly (+inf where the input is not one of the task's). refuted (C,): whether
    the kernel evaluated that input, and the model errs there.
    """

    piece: Piece
    trees: list[Any]
    spans: np.ndarray | None
    margins: np.ndarray
    tokens: np.ndarray
    found: np.ndarray
    refuted: np.ndarray

    @property
    def low(self) -> np.ndarray:
        """(C,) floats below the least margin on each cell."""
        return self.margins.min(axis=1, initial=np.inf)

    @property
    def proved(self) -> np.ndarray:
        """(C,) whether the label beats every other answer."""
        return self.low > 0

    @property
    def decided(self) -> bool:
        """Whether no cell is open."""
        return bool((self.proved | self.refuted).all())


class Bench:
    """A model on a task, opened once for many pieces; SeparatrixError where the kernel's check is not about it."""

    kind = "heads"  # of certificate
    rounds = (0, 10, 300, 3000)  # boxes a pair, of a survey

    @np.errstate(all="ignore")
    def __init__(self, model: Model, task: Task, n: int, semantics: Semantics) -> None:
        self.model, self.task, self.n, self.domain = model, task, n, task.domain(n)
        self.heads = read_model(task, n, model.transformer, model.tensors, semantics.spec)
        self.weights = Weights.of(model, self.domain.positions, semantics.spec)

    @np.errstate(all="ignore")
    def board(self, piece: Piece) -> Board:
        """The prover's tables of a piece."""
        return Board.of(self.weights, piece.group, self.domain)

    def pieces(self) -> Iterator[Piece]:
        """All cells, in the task's order."""
        return pieces(self.model, self.task, self.n)

    def search(
        self, piece: Piece, boxes: int, deadline: float, before: Part | None = None, hasty: bool = False
    ) -> Part:
        """See `decide`."""
        return decide(self.board(piece), boxes, deadline, before, hasty)

    def arrays(self, findings: list[Finding]) -> dict[str, np.ndarray]:
        """A certificate's arrays, from findings in the task's order."""
        trees = [tree for finding in findings for tree in finding.trees]
        return arrays(trees, len(self.weights.query), [(f.piece.first, f.spans) for f in findings])

    def parted(self, made: Mapping[str, np.ndarray]) -> tuple[list[Any], np.ndarray | None]:
        """The trees and spans of one finding, from its arrays; spans are computed again."""
        return parted(made, len(self.weights.query)), None

    @np.errstate(all="ignore")
    def margins(self, piece: Piece, trees: list[Any], spans: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """(C, k - 1) floats below the margins, by the kernel from these trees; and the spans that it was given."""
        view, spans = View.of(self.heads, piece.group, self.domain), self.board(piece).span_prices()
        heads = len(view.low)
        return margins_low(view, Trees.of(arrays(trees, heads, [(0, spans)]), heads, 1)), spans

    @np.errstate(all="ignore")
    def judged(
        self, piece: Piece, trees: list[Any], inputs: np.ndarray, values: np.ndarray, spans: np.ndarray | None = None
    ) -> Finding:
        """The kernel's word on trees (one a pair) and on one input a cell (C, T), whose margin is `values`, nearly."""
        margins, spans = self.margins(piece, trees, spans)
        refuted, found = np.zeros(len(margins), dtype=bool), values.copy()
        sure: np.ndarray = np.all(margins > 0, axis=1)
        for cell, tokens in enumerate(inputs):
            if not self.domain.contains(tokens) or not _holds(piece.group, cell, tokens):
                found[cell] = np.inf  # of a cell that is wider than the domain, say
            elif values[cell] <= NEAR and not sure[cell]:
                found[cell], refuted[cell] = self.margin(tokens, piece.group.query)
        return Finding(piece, trees, spans, margins, inputs, found, refuted)

    def margin(self, tokens: np.ndarray, query: int) -> tuple[float, bool]:
        """The least margin on an input, and whether the kernel is sure that the model errs there."""
        label = int(self.task.answer(tokens[None])[0, self.task.queries(self.n).index(query)])
        logits = forward(self.model.transformer, self.model.tensors, tokens, query)
        rivals = np.delete(np.arange(len(logits.mid)), label)
        gap = logits[[label]] - logits[rivals]
        return float(gap.mid.min()), bool((gap.high <= 0).any())

    def untried(self, piece: Piece) -> Finding:
        """Of a piece that no time was left for: nothing is known."""
        cells, rivals = len(piece.group), self.model.arch.readout.outputs - 1
        none = np.full((cells, self.domain.positions), -1)
        margins, found = np.full((cells, rivals), -np.inf), np.full(cells, np.inf)
        return Finding(piece, [], None, margins, none, found, np.zeros(cells, dtype=bool))

    def finding(self, piece: Piece, part: Part) -> Finding:
        """A search in the kernel's words."""
        order = np.lexsort((part.value, part.cell))
        cells, first = np.unique(part.cell[order], return_index=True)
        values, inputs = np.full(len(piece.group), np.inf), np.full((len(piece.group), self.domain.positions), -1)
        values[cells], inputs[cells] = part.value[order[first]], part.tokens[order[first]]
        return self.judged(piece, part.trees, inputs, values, part.spans)


def _holds(group: CellGroup, cell: int, tokens: np.ndarray) -> bool:
    """Whether an input of the task lies in a cell."""
    forced = np.array_equal(tokens[group.positions[cell]], group.symbols[cell])
    free = [j for j in range(len(tokens)) if j != group.query and j not in group.positions[cell]]
    if group.background is not None and not all(np.isin(tokens[j], group.background[j]) for j in free):
        return False
    return forced and int(tokens[group.query]) == group.token and bool(np.all(group.constraint.holds(tokens[None])))
