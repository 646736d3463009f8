"""What an experiment is: runs of two sizes, what is measured on a trained model, and how its table is read."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from separatrix.core.errors import InputError
from separatrix.core.registry import Registry
from separatrix.learn.run import Run
from separatrix.learn.store import Finished, Store
from separatrix.learn.sweep import Measure

Size = Literal["quick", "middle", "paper"]


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment of a paper, one file each.

    Attributes:
        name: what `separatrix learn` is given. title: what it asks, in a line. source: paper and figure.
        runs: its runs at one of its `sizes`: minutes, hours or days on two cores. measure: (run, trained model) ->
            metrics by name; a function of a module.
        x: (name on the axis, value of a run), what the figure has across.
        y: the metric that the figure shows; `score` is the validation score.
        theirs: the paper's setting and numbers, for the docs.
        curve: (x, metric) pairs where one run gives many points; `x` then only names the axis, and the learning rate
            is chosen by the validation score, never by what is shown.
        by_score: the learning rate is chosen by the validation score for points too, where `y` is measured outside of
            the training distribution.
        y_title: the words on the figure's axis. less: smaller values are better. log: (across, up).
        report: lines under the table, from the trained models that the store keeps.
    """

    name: str
    title: str
    source: str
    runs: Callable[[Size], list[Run]]
    measure: Measure
    x: tuple[str, Callable[[Run], float]]
    y: str = "accuracy"
    theirs: str = ""
    curve: tuple[tuple[float, str], ...] = ()
    by_score: bool = False
    y_title: str = "share of right answers"
    less: bool = False
    log: tuple[bool, bool] = (True, False)
    sizes: tuple[Size, ...] = ("quick", "paper")
    report: Callable[[Store, Sequence[Finished]], list[str]] | None = None

    def size(self, name: str) -> Size:
        """The size of this name; InputError where there is none."""
        for known in self.sizes:
            if known == name:
                return known
        raise InputError(f"{self.name} has no size {name!r}; take {' or '.join(self.sizes)}")


registry: Registry[Experiment] = Registry("experiment")


@dataclass(frozen=True, slots=True)
class Point:
    """All seeds of one label at one x, with the best learning rate by median, as a paper would choose it.

    worst, best: of the seeds. solved: runs that reached their target. seconds: of all learning rates.
    """

    label: str
    x: float
    median: float
    worst: float
    best: float
    seeds: int
    learning_rate: float
    solved: int
    seconds: float


def points(experiment: Experiment, finished: Sequence[Finished]) -> list[Point]:
    """The figure's points, by label and x."""
    cells: dict[tuple[str, float], dict[float, list[Finished]]] = {}
    for row in finished:
        at = 0.0 if experiment.curve else experiment.x[1](row.run)
        cells.setdefault((row.run.label, at), {}).setdefault(row.run.member.learning_rate, []).append(row)
    found = []
    for (label, at), rates in cells.items():
        scored = bool(experiment.curve) or experiment.by_score
        better = min if experiment.less and not scored else max
        chosen = "score" if scored else experiment.y
        rate = better(rates, key=lambda r: statistics.median(_value(row, chosen) for row in rates[r]))
        spent = sum(row.seconds for rows in rates.values() for row in rows)
        for x, metric in experiment.curve or ((at, experiment.y),):
            found.append(_point(experiment, label, x, metric, rates[rate], spent))
    return sorted(found, key=lambda p: (p.label, p.x))


def _point(
    experiment: Experiment, label: str, x: float, metric: str, rows: Sequence[Finished], seconds: float
) -> Point:
    """The seeds of one learning rate."""
    values = [_value(row, metric) for row in rows]
    worst, best = (max(values), min(values)) if experiment.less else (min(values), max(values))
    solved = sum(row.state == "solved" for row in rows)
    rate = rows[0].run.member.learning_rate
    return Point(label, x, statistics.median(values), worst, best, len(rows), rate, solved, seconds)


def _value(row: Finished, metric: str) -> float:
    return row.score if metric == "score" else row.metrics.get(metric, row.score)
