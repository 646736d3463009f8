"""What `separatrix certify` does: the verdict on the model and, where cells are decided one by one, on each of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from separatrix.core.domain import Labels
from separatrix.core.errors import SeparatrixError
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers import relu
from separatrix.verify.provers.limits import within
from separatrix.verify.provers.outcome import Outcome, certify
from separatrix.verify.provers.survey import Cell, Survey, bench_of, outcome_of, survey

FEW_TERMS, MOST_TERMS = 2**26, 2**31  # of all cells of one head, which has been decided as a whole before: seconds


@dataclass(frozen=True)
class Examination:
    """outcome: on the model; survey: of its cells, None where they cannot be told apart, or are too many."""

    outcome: Outcome
    survey: Survey | None


def examine(
    model: Model,
    task: Task,
    n: int,
    semantics: Semantics = REAL,
    method: str = "auto",
    *,
    seconds: float | None = None,
    workers: int = 1,
    partial: Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> Examination:
    """As `certify`, and every cell of a one-layer model by verdict.

    Args:
        seconds: of search; what is known then is the verdict.
        workers: processes that decide cells.
        partial: folder for partial results of long surveys; resume: whether to begin with those that lie there.
    """
    start = time.perf_counter()
    by_cell = semantics.bits is None and _by_cell(model, task, n, semantics, method)
    alone = not relu.suited(model) and len(model.tensors.get("layers.0.query", ())) == 1
    if not by_cell or alone or method == "separable":
        with within(seconds):
            outcome = certify(model, task, n, semantics, method, progress)
        if not by_cell or not alone or _terms(model, task, n) > (FEW_TERMS if seconds is None else MOST_TERMS):
            return Examination(outcome, None)
    else:
        outcome = None
    left = None if seconds is None else max(0.0, seconds - (time.perf_counter() - start))
    made = survey(
        model, task, n, semantics, seconds=left, workers=workers, partial=partial, resume=resume, progress=progress
    )
    if outcome is None or outcome.verdict == "unknown":
        outcome = outcome_of(made, model, task, n, semantics, progress)
    outcome = replace(outcome, seconds=time.perf_counter() - start)
    told = outcome.verdict != "proved" or not made.undecided  # what is proved as a whole has no open cells
    return Examination(outcome, made if told else None)


def _by_cell(model: Model, task: Task, n: int, semantics: Semantics, method: str) -> bool:
    """Whether a survey of the model's cells is what decides it, or goes with what does."""
    if method not in ("auto", "relu" if relu.suited(model) else "heads", "separable"):
        return False
    try:
        bench_of(model, task, n, semantics)
    except SeparatrixError:
        return False
    return True


def _terms(model: Model, task: Task, n: int) -> int:
    """Numbers in the tables of all pairs of a cell and a rival, up to the limit."""
    domain, total = task.domain(n), 0
    widest = max(map(len, domain.alphabets))
    for query in task.queries(n):
        for group in task.cells(n, query) or ():
            total += len(group) * model.arch.readout.outputs * domain.positions * widest
            if total > MOST_TERMS:
                return total
    return total


def cell_in_words(task: Task, cell: Cell) -> str:
    """Which inputs a cell has, with the worst one as the task shows it."""
    held = [f"token {cell.token} at {cell.query}", *(f"{symbol} at {position}" for position, symbol in cell.holds)]
    match cell.constraint.kind:
        case "count":
            held.append(f"{cell.constraint.count} times {cell.constraint.symbol}")
        case "distinct":
            held.append("distinct symbols")
        case "regular":
            held.append("words of a regular language")
    text = f"{', '.join(held)}: answer {cell.label}"
    return f"{text}; worst input {task.show(cell.tokens)}" if (cell.tokens >= 0).all() else text


@np.errstate(all="ignore")
def answers(model: Model, task: Task, n: int, tokens: np.ndarray, query: int) -> dict[str, Any]:
    """The right answer to an input and the model's own: labels and logits, in float64; nothing for real answers."""
    if not isinstance(task.outputs(), Labels):
        return {}
    logits = evaluate(model, tokens[None], queries=[query])[0, 0]
    right = int(task.answer(tokens[None])[0, task.queries(n).index(query)])
    return {"right": right, "model": int(logits.argmax()), "logits": [float(x) for x in logits]}
