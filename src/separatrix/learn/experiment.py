"""What an experiment is: runs of two sizes, what is measured on a trained model, and how its table is read."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from separatrix.core.registry import Registry
from separatrix.learn.run import Run
from separatrix.learn.store import Finished
from separatrix.learn.sweep import Measure

Size = Literal["quick", "paper"]


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment of a paper, one file each.

    Attributes:
        name: what `separatrix learn` is given. title: what it asks, in a line. source: paper and figure.
        runs: its runs at a size. measure: (run, trained model) -> metrics by name; a function of a module.
        x: (name on the axis, value of a run), what the figure has across.
        y: the metric that the figure shows; `score` is the validation score.
        theirs: the paper's setting and numbers, for the docs.
    """

    name: str
    title: str
    source: str
    runs: Callable[[Size], list[Run]]
    measure: Measure
    x: tuple[str, Callable[[Run], float]]
    y: str = "accuracy"
    theirs: str = ""


registry: Registry[Experiment] = Registry("experiment")


@dataclass(frozen=True, slots=True)
class Point:
    """All seeds of one label at one x: the best learning rate by median, as a paper would choose it."""

    label: str
    x: float
    median: float
    low: float
    high: float
    seeds: int
    learning_rate: float
    solved: int
    seconds: float


def points(experiment: Experiment, finished: Sequence[Finished]) -> list[Point]:
    """One point a label and x, the runs of the learning rate with the best median; ends are the worst and best seed."""
    cells: dict[tuple[str, float], dict[float, list[Finished]]] = {}
    for row in finished:
        rates = cells.setdefault((row.run.label, experiment.x[1](row.run)), {})
        rates.setdefault(row.run.member.learning_rate, []).append(row)
    found = []
    for (label, x), rates in cells.items():
        values = {rate: [_value(experiment, row) for row in rows] for rate, rows in rates.items()}
        rate = max(values, key=lambda r: statistics.median(values[r]))
        same, rows = values[rate], rates[rate]
        solved = sum(row.state == "solved" for row in rows)
        spent = sum(row.seconds for group in rates.values() for row in group)
        middle = statistics.median(same)
        found.append(Point(label, x, middle, min(same), max(same), len(same), rate, solved, spent))
    return sorted(found, key=lambda p: (p.label, p.x))


def _value(experiment: Experiment, row: Finished) -> float:
    return row.score if experiment.y == "score" else row.metrics.get(experiment.y, row.score)
