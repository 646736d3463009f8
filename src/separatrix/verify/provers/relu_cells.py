"""Some cells of a group, decided by the relu prover: failing inputs and trees by the search, margins by the kernel.

A relaxation method for all pairs of a cell and a rival at once decides most of them; the others are cut into boxes.
The search is plain float64; what is proved, the kernel says, and so it does of failing inputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from separatrix.core.arch import FeedForward
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.relu import margins_low, read_model
from separatrix.kernel.relu_tables import Scene
from separatrix.kernel.relu_trees import Trees
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.head_cells import Bench, Finding, Part, Piece, joined, open_pairs, pieces
from separatrix.verify.provers.relu_dual import CLEAR, Point, Relaxed, first_tau, relax
from separatrix.verify.provers.relu_forest import Forest
from separatrix.verify.provers.relu_pairs import Pairs, descend
from separatrix.verify.provers.relu_ranges import Ranges, guess
from separatrix.verify.provers.relu_trees import Tree, arrays, parted
from separatrix.verify.provers.relu_view import View
from separatrix.verify.provers.relu_weights import Weights

STEPS = 40  # of the relaxation method


@np.errstate(all="ignore")  # overflow decides nothing
def decide(view: View, boxes: int, deadline: float, before: Part | None = None, hasty: bool = False) -> Part:
    """The relaxation method, a descent for failing inputs, then trees of so many boxes a pair, until the deadline.

    before: an earlier search of the same view; only what it left open is tried again. `hasty` stops at the first pair
    with an input that fails.
    """
    wanted = None if before is None else open_pairs(before)
    if before is not None and wanted is not None and not len(wanted):
        return before
    if time.perf_counter() > deadline:
        return _nothing(view) if before is None else before
    tau = guess(view) if before is None or before.spans is None else before.spans
    ranges = Ranges.of(view, tau)
    pairs = Pairs.of(view, ranges)
    if before is None or wanted is None:
        slope = pairs.slopes()
        first, choice = first_tau(view, pairs, slope)
        found = relax(view, pairs, STEPS, Point(slope, first), hasty, deadline)
        state, value = np.zeros(len(pairs), dtype=np.int64), found.value
        state[found.bound > CLEAR * pairs.scale] = 1
        _descend(view, pairs, found, choice, np.flatnonzero(state == 0))
        inputs, trees = found.choice, [Tree().add(*row) for row in zip(found.point.slope, found.point.tau, strict=True)]
        state[(state == 0) & (value < 0)] = -1
        fails = np.isin(pairs.cell, pairs.cell[state < 0])
        rest = np.flatnonzero((state == 0) & ~fails)
    else:
        pairs, state, value = pairs[wanted], before.state[wanted].copy(), before.value[wanted].copy()
        trees, inputs = [before.trees[p] for p in wanted], None
        rest = np.arange(len(pairs))
    forest = Forest(view, ranges, pairs)
    if boxes and len(rest) and not (hasty and (state < 0).any()):
        start = Point(*(np.stack(part) for part in zip(*(trees[p].start for p in rest), strict=True)))
        forest.grow(rest, start, boxes, deadline, hasty)
    tokens = _tokens(view, inputs) if inputs is not None else before.tokens[wanted].copy()  # pyright: ignore
    for pair, tree in forest.trees.items():
        trees[pair], state[pair] = tree, 1
    for pair, columns in forest.failing.items():
        if state[pair] == 0:
            tokens[pair], state[pair], value[pair] = _tokens(view, columns[None])[0], -1, -np.inf
    part = Part(pairs.cell, state, trees, tokens, value, tau)
    return part if before is None or wanted is None else joined(before, part, wanted)


def _descend(view: View, pairs: Pairs, found: Relaxed, choice: np.ndarray, rest: np.ndarray) -> None:
    """Lower true values for these pairs, from two inputs each."""
    if not len(rest):
        return
    for start in (choice, found.choice):
        value, where = descend(view, pairs[rest], start[rest])
        better = value < found.value[rest]
        found.value[rest[better]], found.choice[rest[better]] = value[better], where[better]


def _tokens(view: View, columns: np.ndarray) -> np.ndarray:
    """(P, T) the inputs of columns (P, J), without the blank."""
    tokens = view.words.ids[columns]
    return tokens[:, : tokens.shape[1] - int((tokens[:1] < 0).any())]


def _nothing(view: View) -> Part:
    """For cells that no time was left for."""
    net, cells = view.net, len(view.labels)
    cell = np.repeat(np.arange(cells), net.answers - 1)
    tree = Tree().add(np.zeros(net.hidden), np.zeros(net.heads))
    tokens = _tokens(view, view.words.cells.argmax(axis=2))[cell]
    tau = np.zeros((cells, 2, len(net.ranged), net.heads))
    return Part(cell, np.zeros(len(cell), dtype=np.int64), [tree] * len(cell), tokens, np.full(len(cell), np.inf), tau)


class ReluBench(Bench):
    """A model with a ReLU layer or layer norms on a task; SeparatrixError where the kernel's check is not about it."""

    kind = "relu"
    rounds = (0, 60, 400, 4000)

    @np.errstate(all="ignore")
    def __init__(self, model: Model, task: Task, n: int, semantics: Semantics) -> None:
        self.model, self.task, self.n, self.domain, self.semantics = model, task, n, task.domain(n), semantics
        self.net = read_model(task, n, model.transformer, model.tensors, semantics.spec)
        self.weights = Weights.of(model, self.domain.positions)

    def pieces(self) -> Iterator[Piece]:
        """All cells, in the task's order."""
        units = 1 + sum(layer.hidden for layer in self.model.arch.layers if isinstance(layer, FeedForward))
        slots = len(self.weights.slot)
        return pieces(self.model, self.task, self.n, self.weights.answers * units * slots)

    @np.errstate(all="ignore")
    def view(self, piece: Piece) -> View:
        """The prover's tables of a piece."""
        loss = None if self.net.budget is None else Scene.of(self.net, piece.group, self.domain).loss
        return View.of(self.weights, piece.group, self.domain, loss)

    @np.errstate(all="ignore")
    def search(
        self, piece: Piece, boxes: int, deadline: float, before: Part | None = None, hasty: bool = False
    ) -> Part:
        """See `decide`; margins of the inputs by the model itself."""
        part = decide(self.view(piece), boxes, deadline, before, hasty)
        logits = evaluate(self.model, part.tokens, queries=[piece.group.query])[:, 0]
        assert piece.group.labels is not None
        labels = piece.group.labels[part.cell]
        right = np.take_along_axis(logits, labels[:, None], axis=1)
        np.put_along_axis(logits, labels[:, None], -np.inf, axis=1)
        return replace(part, value=right[:, 0] - logits.max(axis=1))

    def arrays(self, findings: list[Finding]) -> dict[str, np.ndarray]:
        """A certificate's arrays, from findings in the task's order."""
        return self.packed([tree for finding in findings for tree in finding.trees], [f.spans for f in findings])

    def packed(self, trees: list[Any], spans: list[Any]) -> dict[str, np.ndarray]:
        """A certificate's arrays, from the trees of all pairs and the guesses of all pieces, in the task's order."""
        return arrays(trees, spans, self.weights.hidden, self.domain.vocabulary)

    def parted(self, made: Mapping[str, np.ndarray]) -> tuple[list[Any], np.ndarray | None]:
        """The trees and guesses of ranges of one finding, from its arrays."""
        trees = parted(made, self.weights.variables, self.domain.vocabulary)
        return trees, made["range"].astype(np.float64)

    @np.errstate(all="ignore")
    def margins(self, piece: Piece, trees: list[Any], spans: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """(C, k - 1) floats below the margins, times what norms divide by, by the kernel from these trees."""
        made = self.packed(trees, [spans])
        scene = Scene.of(self.net, piece.group, self.domain)
        return margins_low(scene, Trees.of(made, self.net, self.domain.vocabulary)), spans
