"""What the provers say of a trained model: accuracy is of some inputs, a verdict is of all of them."""

from __future__ import annotations

from separatrix.core.task import Task
from separatrix.models.model import Model

SECONDS = 20.0  # of search a model
MOST_TERMS = 2**27  # numbers in the tables of all pairs of a cell and a rival; the search's limit does not bound these


def verdict(model: Model, task: Task, n: int, seconds: float = SECONDS) -> dict[str, float]:
    """Metrics of a trained model: `proved` and `refuted`, 0 or 1 (both 0: undecided in the time).

    Where cells are decided one by one also `cells`, `cells_proved` and `cells_refuted`. Every verdict is the kernel's.
    Nothing for tasks without cells, or with more of them than can be looked at in about a minute.
    """
    if not 0 < terms(model, task, n) <= MOST_TERMS:
        return {}
    from separatrix.verify.provers import examine

    found = examine(model, task, n, seconds=seconds)
    told = {name: float(found.outcome.verdict == name) for name in ("proved", "refuted")}
    if found.survey is not None:
        told |= {"cells": float(found.survey.cells), "cells_proved": float(found.survey.proved)}
        told["cells_refuted"] = float(found.survey.refuted)
    return told


def terms(model: Model, task: Task, n: int) -> int:
    """Numbers that all pairs of a cell and a rival answer come to, counted up to MOST_TERMS; 0 without cells."""
    domain, total = task.domain(n), 0
    each = model.arch.readout.outputs * domain.positions * max(map(len, domain.alphabets))
    for query in task.queries(n):
        for group in task.cells(n, query) or ():
            total += len(group) * each
            if total > MOST_TERMS:
                return total
    return total
