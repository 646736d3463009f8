"""The heads prover: decides one layer of several softmax heads on cells of every kind, one cell after the other."""

from __future__ import annotations

import time

import numpy as np

from separatrix.core.arch import Attention, Table
from separatrix.core.domain import Labels
from separatrix.core.errors import SeparatrixError
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.kernel.head_tables import MOST_HEADS
from separatrix.models.model import Model
from separatrix.verify.provers.head_cells import Bench, Part, Piece, decide, pieces
from separatrix.verify.provers.head_trees import BOXES, Tree, arrays
from separatrix.verify.provers.limits import time_left
from separatrix.verify.provers.outcome import Outcome, refute, registry, submit_arrays

TIME_LIMIT = 300.0  # seconds of search
Spans = list[tuple[int, np.ndarray | None]]  # see `head_trees.arrays`


@registry.register("heads")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves or refutes one unmasked attention layer of 2 to 10 heads, linear read-out, on cells of every kind.

    Stops at the first input that errs in exact arithmetic.
    """
    layer = model.arch.layers[0]
    why = unsuited(model, task, n)
    if not why and isinstance(layer, Attention) and layer.heads == 1:
        why = "the model has one head, which the separable prover decides"
    if why:
        return Outcome("unknown", None, why)
    try:
        found = _search(model, task, n, semantics, time.perf_counter() + time_left(TIME_LIMIT), progress)
    except SeparatrixError as error:
        return Outcome("unknown", None, str(error))
    if isinstance(found, Outcome):
        return found
    trees, spans = found
    numbers = arrays(trees, len(model.tensors["layers.0.query"]), spans)
    return submit_arrays("heads", model, task, n, semantics, numbers, progress)


def _search(
    model: Model, task: Task, n: int, semantics: Semantics, deadline: float, progress: Progress
) -> tuple[list[Tree], Spans] | Outcome:
    """The trees of all pairs, or why there are none: first what is cheap, for all cells, then what is left."""
    bench, trees, spans = Bench(model, task, n, semantics), [], []
    left: list[tuple[int, Piece, Part]] = []
    undecided = cells = 0
    for piece in pieces(model, task, n):
        board = bench.board(piece)
        part = decide(board, 0, 0.0, hasty=True)
        if (outcome := _refute(bench, piece, part)) is not None:
            return outcome
        if (part.state != 1).any():
            left.append((piece.number, piece, part))
        trees.append(part.trees)
        spans.append((piece.first, board.span_prices()))
        cells += len(piece.group)
        progress(f"{cells:,} cells")
    for done, (at, piece, before) in enumerate(left):
        part = decide(bench.board(piece), BOXES, 0.0 if undecided else deadline, before, hasty=True)
        if (outcome := _refute(bench, piece, part)) is not None:
            return outcome
        undecided += int((part.state != 1).sum())
        trees[at] = part.trees
        progress(f"{done + 1} of {len(left)} hard parts")
    if undecided:
        hint = "" if semantics.spec is None else f" in {semantics} arithmetic"
        return Outcome("unknown", None, f"at least {undecided} pairs of a cell and a rival are undecided{hint}")
    return [tree for some in trees for tree in some], spans


def _refute(bench: Bench, piece: Piece, part: Part) -> Outcome | None:
    """The kernel's word on the first input that errs, if there is one."""
    for pair in (part.state < 0).nonzero()[0].tolist():
        outcome = refute(bench.model, bench.task, bench.n, part.tokens[pair], piece.group.query)
        if outcome.verdict == "refuted":
            return outcome
    return None


def unsuited(model: Model, task: Task, n: int) -> str:
    """Why cells of this model are not decided one by one; empty when they are."""
    layer, domain = model.arch.layers[0], task.domain(n)
    if len(model.arch.layers) != 1 or not isinstance(layer, Attention) or layer.mask != "none":
        return "the model is not one unmasked attention layer"
    if (layer.norm, layer.weights) != ("none", "softmax"):
        return "the layer has a norm, or weights that are no softmax"
    if layer.heads > MOST_HEADS:
        return f"the model has {layer.heads} heads; this prover is for at most {MOST_HEADS}"
    if not isinstance(model.arch.first, Table) or not isinstance(task.outputs(), Labels):
        return "the model reads no token table or the task has no labels"
    if model.arch.readout.decision != "argmax" or model.arch.readout.outputs != task.outputs().k:  # pyright: ignore
        return "the model's read-out does not fit the task"
    if model.arch.first.vocabulary != domain.vocabulary or model.arch.first.positions not in (0, domain.positions):
        return f"the model's tables do not fit the task at n = {n}"
    if domain.reals is not None or domain.lengths or task.cells(n, task.queries(n)[0]) is None:
        return f"no cells of symbols are known for {task.name}"
    return ""
