"""Trained models on the charts: the dots of the table beside this file, or of a run store of the reader's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from separatrix.core.errors import InputError, SeparatrixError
from separatrix.core.task import Task
from separatrix.draw import Dot
from separatrix.learn.dots import TrainedDot, read_dots, trained_dots

TABLE = Path(__file__).with_name("trained.csv")
UNIFORM = "uniform"  # inputs as a task draws them where nothing is asked; others are named


def known_dots(store: Path | None = None) -> list[TrainedDot]:
    """The models of a run store, or of the table that comes with the package."""
    if store is None:
        return read_dots(TABLE)
    from separatrix.learn.store import Store

    if not (store / "runs.db").exists():
        raise InputError(f"{store} holds no run store; `separatrix learn EXPERIMENT` makes one")
    kept = Store(store)
    try:
        return trained_dots(kept.finished())
    finally:
        kept.close()


def chart_dots(task: Task, trained: Sequence[TrainedDot]) -> tuple[Dot, ...]:
    """The dots of a task's chart; SeparatrixError for a model that answers better than its state can hold."""
    mine = json.dumps(task.parameters(), sort_keys=True, separators=(",", ":"))
    found = []
    for dot in trained:
        if (dot.task, dot.parameters) != (task.name, mine):
            continue
        if dot.bits < dot.fano_bits:
            raise SeparatrixError(
                f"{dot.label} on {dot.task}, N = {dot.n}: {dot.bits} bits at accuracy {dot.accuracy} are less than "
                f"the {dot.fano_bits:.0f} that Fano's inequality asks for; its table or its test is wrong"
            )
        drawn = "" if dot.distribution == UNIFORM else f" on {dot.distribution} inputs"
        text = f"*N* = {dot.n}, {dot.accuracy:.2%} right{drawn} (worst seed {dot.worst:.2%}). How it was trained: "
        found.append(Dot(dot.n, dot.bits, dot.family, dot.learned, dot.label, text + dot.budget))
    return tuple(found)
