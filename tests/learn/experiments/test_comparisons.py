"""Every experiment: runs of both sizes that can be told apart, whose models read their task, and that train."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from separatrix.learn.experiment import points
from separatrix.learn.experiments import registry
from separatrix.learn.figure import picture
from separatrix.learn.run import Run
from separatrix.learn.standard import require_fit
from separatrix.learn.store import Store
from separatrix.learn.sweep import sweep

NAMES = (
    "boolean-formula", "bounded-dyck", "equality", "k-hop", "match2", "match3", "nearest-neighbour", "recall",
    "sparse-averaging", "sparse-averaging-width", "word-problems",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_runs_are_distinct_and_read_their_task(name: str) -> None:
    for size in registry.get(name).sizes:
        made = registry.get(name).runs(size)
        assert len({run.key for run in made}) == len(made) > 3
        assert made[-1] == Run.from_json(made[-1].label, made[-1].text)
        for run in made[:: 1 if size == "quick" else 40]:
            require_fit(run.make_task(), run.n, run.arch)


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_of_every_model_end_in_a_figure(name: str, tmp_path: Path) -> None:
    experiment, store = registry.get(name), Store(tmp_path)
    every = experiment.runs("quick")
    same = [run for run in every if (run.n, run.parameters) == (every[0].n, every[0].parameters)]
    few = [
        dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, steps=2, batch=4, validation=8)) for run in same
    ]
    sweep(name, few, experiment.measure, store, keep_models=False)
    found = points(experiment, store.finished(name))
    assert len(found) == len(same) >= 2 and all(0.0 <= point.median <= 1.0 for point in found)
    assert "learning rate" in picture(experiment, "quick", found)
