"""Trained models as dots: one row a task, length and model, with the budget that it had; a table that charts read.

The table is written from a run store (`separatrix runs export --dots`) and read without it. A model counts as learned
where more than half of the seeds reached the target of their recipe, at the learning rate with the best median.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically
from separatrix.core.recurrent import Recurrent
from separatrix.core.shapes import tensor_shapes
from separatrix.core.size import Precision
from separatrix.learn.run import Run
from separatrix.learn.store import Finished
from separatrix.models.model import Model


@dataclass(frozen=True, slots=True)
class TrainedDot:
    """What became of a model at one length.

    Attributes:
        task, parameters, n: the task, its parameters as canonical JSON, and the length.
        family: `transformer`, `recurrent` .. (the config's kind). bits: that cross the cut, of float32 numbers.
        label: the experiment's name of the model. distribution: of the inputs, in training and in tests.
        learned: see above. accuracy, worst: median and worst of the seeds, on fresh inputs.
        solved, seeds: how many reached the target, of how many. steps, batch: the budget; taken: the median of the
            steps that were taken. rate, rates: the learning rate that is shown, of how many that were tried.
        fano_bits: that the state must carry at this accuracy, where it was measured; else 0.
    """

    task: str
    parameters: str
    n: int
    family: str
    bits: int
    label: str
    distribution: str
    learned: bool
    accuracy: float
    worst: float
    solved: int
    seeds: int
    steps: int
    batch: int
    taken: int
    rate: float
    rates: int
    fano_bits: float = 0.0

    @property
    def budget(self) -> str:
        """How it was trained, for a tooltip.

        >>> dot = TrainedDot("t", "{}", 8, "rnn", 64, "x", "uniform", True, 1.0, 1.0, 3, 3, 2000, 64, 150, 0.01, 2)
        >>> dot.budget
        '3 of 3 seeds reached the target; at most 2,000 steps of 64 inputs, 150 taken; learning rate 0.01, best of 2'
        """
        rates = f", best of {self.rates}" if self.rates > 1 else ", the only one tried"
        reached = f"{self.solved} of {self.seeds} seeds reached the target" if self.seeds > 1 else "1 seed"
        steps = f"at most {self.steps:,} steps of {self.batch} inputs, {self.taken:,} taken"
        return f"{reached}; {steps}; learning rate {self.rate:g}{rates}"


def trained_dots(finished: Iterable[Finished]) -> list[TrainedDot]:
    """The dots of a store's runs, by task, length and model; of several recipes the one that did best, then longest.

    Runs with real answers and models without a cut measure (several attention layers, say) have none.
    """
    models: dict[tuple, dict[str, dict[float, list[Finished]]]] = {}
    for row in finished:
        run = row.run
        if "accuracy" not in row.metrics or _bits(run) is None:
            continue
        name = (run.task, _parameters(run), run.n, run.label, run.recipe.distribution)
        recipes = models.setdefault(name, {})
        recipes.setdefault(run.cohort, {}).setdefault(run.member.learning_rate, []).append(row)
    found = [
        max((_dot(rates) for rates in recipes.values()), key=lambda dot: (dot.accuracy, dot.steps))
        for recipes in models.values()
    ]
    return sorted(found, key=lambda dot: (dot.task, dot.parameters, dot.n, dot.family, dot.label))


def _dot(rates: dict[float, list[Finished]]) -> TrainedDot:
    """Of one recipe: the learning rate with the best median."""
    rate = max(rates, key=lambda r: statistics.median(row.metrics["accuracy"] for row in rates[r]))
    rows = rates[rate]
    run, values = rows[0].run, [row.metrics["accuracy"] for row in rows]
    solved, bits = sum(row.state == "solved" for row in rows), _bits(run)
    assert bits is not None
    return TrainedDot(
        task=run.task,
        parameters=_parameters(run),
        n=run.n,
        family="recurrent" if isinstance(run.arch, Recurrent) else run.arch.kind,
        bits=bits,
        label=run.label,
        distribution=run.recipe.distribution,
        learned=2 * solved > len(rows),
        accuracy=statistics.median(values),
        worst=min(values),
        solved=solved,
        seeds=len(rows),
        steps=run.recipe.steps,
        batch=run.recipe.batch,
        taken=round(statistics.median(row.steps for row in rows)),
        rate=rate,
        rates=len(rates),
        fano_bits=statistics.median(row.metrics.get("fano_bits", 0.0) for row in rows),
    )


def _parameters(run: Run) -> str:
    return json.dumps(dict(run.parameters), sort_keys=True, separators=(",", ":"))


def _bits(run: Run) -> int | None:
    """Bits across the cut of a float32 model, counted as for witnesses; its shapes are enough."""
    shapes, one = tensor_shapes(run.arch), np.ones((), np.float32)
    model = Model(run.arch, {name: np.broadcast_to(one, shape) for name, shape in shapes.items()})
    return model.size(run.make_task().domain(run.n).positions, Precision.parse("fp32")).bits("cut")


def write_dots(dots: Sequence[TrainedDot], path: Path) -> None:
    """As CSV; floats by their shortest decimal form, which is exact."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(TrainedDot)]
    writer.writerow(names)
    writer.writerows([getattr(dot, name) for name in names] for dot in dots)
    write_atomically(path, text.getvalue().encode())


def read_dots(path: Path) -> list[TrainedDot]:
    """Inverse of `write_dots`; InputError where the file is no such table."""
    kinds = {"int": int, "float": float, "str": str, "bool": lambda text: {"True": True, "False": False}[text]}
    names = {field.name: kinds[str(field.type)] for field in fields(TrainedDot)}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != list(names):
            raise InputError(f"{path} is no table of trained models; `separatrix runs export --dots` writes one")
        try:
            made: list[dict[str, Any]] = [{k: read(row[k]) for k, read in names.items()} for row in reader]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: line {reader.line_num}: a value cannot be read ({error})") from error
    return [TrainedDot(**values) for values in made]
