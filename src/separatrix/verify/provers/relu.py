"""The relu prover: decides one attention layer followed by a ReLU layer, with or without layer norms, cell by cell."""

from __future__ import annotations

import time

import numpy as np

from separatrix.core.arch import Attention, FeedForward, LayerNorm
from separatrix.core.errors import SeparatrixError
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.model import Model
from separatrix.verify.provers.head_cells import Part, Piece
from separatrix.verify.provers.limits import time_left
from separatrix.verify.provers.outcome import Outcome, refute, registry, submit_arrays
from separatrix.verify.provers.relu_cells import ReluBench

TIME_LIMIT = 300.0  # seconds of search
BOXES = 6000  # a pair


@registry.register("relu")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves or refutes one unmasked attention layer with a ReLU layer or layer norms, on cells of every kind.

    Stops at the first input that errs.
    """
    if semantics.bits is not None:
        return Outcome("unknown", None, f"ReLU layers are proved for real numbers and floats, not {semantics}")
    if not suited(model):
        return Outcome("unknown", None, "the model has neither a ReLU layer nor a layer norm: see the other provers")
    try:
        bench = ReluBench(model, task, n, semantics)
        found = _search(bench, time.perf_counter() + time_left(TIME_LIMIT), progress)
    except SeparatrixError as error:
        return Outcome("unknown", None, str(error))
    if isinstance(found, Outcome):
        return found
    return submit_arrays("relu", model, task, n, semantics, found, progress)


def suited(model: Model) -> bool:
    """Whether the model is one attention layer with what other provers do not know: a ReLU layer, or a norm."""
    first = model.arch.layers[0]
    if not isinstance(first, Attention):
        return False
    return first.norm != "none" or any(isinstance(layer, FeedForward | LayerNorm) for layer in model.arch.layers[1:])


def _search(bench: ReluBench, deadline: float, progress: Progress) -> dict[str, np.ndarray] | Outcome:
    """The arrays of a certificate, or why there are none: first what is cheap, for all cells, then what is left."""
    parts: list[tuple[Piece, Part]] = []
    cells = undecided = lost = 0
    floats = bench.net.budget is not None  # then a pair that cannot be proved need not hold an input that errs
    for piece in bench.pieces():
        parts.append((piece, bench.search(piece, 0, deadline, hasty=not floats)))
        if (outcome := _refute(bench, *parts[-1])) is not None:
            return outcome
        cells += len(piece.group)
        progress(f"{cells:,} cells")
    if not parts:
        return Outcome("unknown", None, "the task has no cells at this length")
    if floats:
        lost = sum(int((part.state < 0).sum()) for _, part in parts)
    for at, (piece, before) in enumerate([] if lost else parts):
        part = bench.search(piece, BOXES, 0.0 if undecided else deadline, before, hasty=True)
        if (outcome := _refute(bench, piece, part)) is not None:
            return outcome
        parts[at] = piece, part
        undecided += int((part.state != 1).sum())
    if undecided or lost:
        hint = f" in {bench.semantics} arithmetic" if floats else ""
        return Outcome("unknown", None, f"at least {undecided + lost} pairs of a cell and a rival are undecided{hint}")
    return bench.packed([tree for _, part in parts for tree in part.trees], [part.spans for _, part in parts])


def _refute(bench: ReluBench, piece: Piece, part: Part) -> Outcome | None:
    """The kernel's word on the first input that errs, if there is one."""
    for pair in (part.state < 0).nonzero()[0].tolist():
        outcome = refute(bench.model, bench.task, bench.n, part.tokens[pair], piece.group.query)
        if outcome.verdict == "refuted":
            return outcome
    return None
