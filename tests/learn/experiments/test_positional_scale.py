"""The scale experiment: the authors' shapes and sampling rule, and curves read from a store."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from separatrix.core.shapes import tensor_shapes
from separatrix.learn.cohort import Member
from separatrix.learn.experiment import points
from separatrix.learn.experiments import registry
from separatrix.learn.experiments.positional_scale import SCALES, TASKS, N, measure, positional, runs, sample, standard
from separatrix.learn.figure import picture
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import initialise
from separatrix.learn.store import Store
from separatrix.learn.sweep import sweep


def test_shapes_are_the_authors() -> None:
    arch = positional(8)
    assert (len(arch.layers), arch.nodes, arch.position_width, arch.width) == (4, 9, 9, 64)
    # 84,577 parameters of theirs: biases of queries, keys, values and outputs, which this one lacks, 4 * 200 of them
    assert sum(math.prod(s) for n, s in tensor_shapes(arch).items() if n != "positions") == 84577 - 4 * (36 + 64 + 64)
    # 150,273 of theirs, with biases of queries, keys, values and outputs; a head's keys are as wide as the stream there
    found = sum(math.prod(s) for n, s in tensor_shapes(standard(8)).items() if n != "positions")
    assert found == 150273 - 4 * (256 + 64 + 64)
    model = initialise(arch, np.random.default_rng(0))
    assert np.array_equal(model.tensors["positions"], np.eye(9))


def test_tests_leave_the_training_range() -> None:
    rng = np.random.default_rng(0)
    for scale in (1, 2, 10):
        x = sample(8, 4000, scale, rng)
        assert x.shape == (4000, 8, 1) and np.abs(x).max() <= 2 * scale
        within = (np.abs(x) <= 2).all(axis=(1, 2)).mean()
        assert within == 1.0 if scale == 1 else within < (0.15 if scale == 2 else 0.01)  # 10.5 % and 0.4 % of theirs
    wanted = {2: 86.0, 10: 1877.0}  # mean squared cumulative sums of the authors' generator
    for scale, square in wanted.items():
        mean = (np.cumsum(sample(8, 40000, scale, rng), axis=1) ** 2).mean()
        assert abs(mean / square - 1) < 0.1


def test_a_model_that_is_right_has_no_error() -> None:
    """The last scale of a zero model is the mean square of the answers: the metric is not relative."""
    run = Run.of("zero", TASKS["sum"], N, positional(N), Recipe(1), Member(0, 1e-3))
    model = initialise(positional(N), np.random.default_rng(0))
    zero = dataclasses.replace(model, tensors={name: np.zeros_like(t) for name, t in model.tensors.items()})
    found = measure(run, zero)
    assert list(found) == [f"mse_c{c}" for c in SCALES]
    assert abs(found["mse_c1"] / 17 - 1) < 0.2 and abs(found["mse_c10"] / 1877 - 1) < 0.2


def test_every_run_can_be_trained_and_no_run_is_listed_twice() -> None:
    for name in TASKS:
        for size, count in (("quick", 15), ("paper", 180)):
            made = runs(name, size)
            assert len(made) == len({run.key for run in made}) == count
            assert made == [Run.from_json(run.label, run.text) for run in made]


def test_the_figure_comes_from_the_store_alone(tmp_path: Path) -> None:
    experiment, store = registry.get("positional-sort"), Store(tmp_path)
    few = {"steps": 4, "batch": 8, "samples": 16, "validation": 8, "check_every": 4}
    tiny = [dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, **few))
            for run in experiment.runs("quick") if run.label == "positional"]  # fmt: skip
    sweep(experiment.name, tiny, measure, store)
    found = points(experiment, Store(tmp_path).finished(experiment.name))
    assert [p.x for p in found] == list(SCALES) and all(p.best <= p.median <= p.worst for p in found)
    assert all(p.seeds == 3 and p.learning_rate == 2e-3 for p in found)
    assert experiment.report is not None
    told = experiment.report(store, store.finished(experiment.name))
    assert len(told) == 4 and told[-1].split()[0] == "positional" and float(told[-1].split()[2]) == 0.0
    assert told[-1].endswith("vacuous")
    text = picture(experiment, "quick", found)
    assert "3 seeds, learning rate 0.002" in text and f"positional at 10: {found[-1].median:.3g}" in text
