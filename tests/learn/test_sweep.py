"""Sweeps and the run store: keys, resuming, killed drivers, exports."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from learn.killed import table
from separatrix.core import jobs
from separatrix.core.errors import InputError, SeparatrixError
from separatrix.learn.cohort import Cohort, Member
from separatrix.learn.experiment import Experiment, points
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import one_layer
from separatrix.learn.store import Finished, Store
from separatrix.learn.sweep import estimate, groups, sweep, train_group
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup


def measure(run: Run, model: Model) -> dict[str, float]:
    return {"sum": float(sum(np.abs(tensor).sum() for tensor in model.tensors.values()))}


def some_runs(count: int = 6, steps: int = 20) -> list[Run]:
    task, recipe = IndexLookup(3), Recipe(steps, batch=8, check_every=10, validation=16)
    return [
        Run.of(f"width {width}", task, 4, one_layer(task, 4, width), recipe, Member(seed, 1e-2))
        for width in (4, 6)
        for seed in range(count // 2)
    ]


def test_keys_name_what_a_run_is() -> None:
    runs = some_runs()
    assert len({run.key for run in runs}) == 6 and len({run.cohort for run in runs}) == 2
    again = [Run.from_json(run.label, run.text) for run in runs]
    assert again == runs and [run.key for run in again] == [run.key for run in runs]


def test_results_depend_on_no_cohort_and_no_worker(tmp_path: Path) -> None:
    stores = []
    for name, cohort, workers in (("a", 1, "local:1"), ("b", 3, "local:1"), ("c", 2, "local:2")):
        store = Store(tmp_path / name)
        assert sweep("x", some_runs(), measure, store, cohort=cohort, workers=workers) == 6
        assert sweep("x", some_runs(), measure, store) == 0  # finished runs are not repeated
        stores.append(table(store))
    assert stores[0] == stores[1] == stores[2]


def test_time_before_a_kill_counts(tmp_path: Path) -> None:
    (group,) = groups(some_runs(2)[:1], measure, tmp_path, "cpu")
    first = group.runs[0]
    cohort = Cohort(first.make_task(), first.n, first.arch, [first.member], first.recipe)
    cohort.advance(10)
    cohort.spent = 1000.0
    group.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    group.checkpoint.write_bytes(cohort.to_bytes())
    (result,) = train_group(group)
    assert result.trained.steps == 20 and 1000.0 < result.seconds < 1100.0


def test_the_store_names_its_errors(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "runs.db").write_bytes(b"no database at all, but long enough to look like one" * 40)
    with pytest.raises(InputError, match="move the file away"):
        Store(tmp_path / "bad")
    with pytest.raises(InputError, match="twice"):
        sweep("x", some_runs(2) * 2, measure, store)


def test_points_take_the_best_learning_rate() -> None:
    experiment = Experiment("x", "", "", lambda size: [], measure, ("N", lambda run: run.n), "accuracy")
    task = IndexLookup(3)

    def row(seed: int, rate: float, value: float) -> Finished:
        run = Run.of("m", task, 4, one_layer(task, 4, 4), Recipe(5), Member(seed, rate))
        return Finished(run, "x", "solved", 5, 0.0, 1.0, {"accuracy": value})

    (point,) = points(experiment, [row(s, r, v) for r, vs in ((1e-2, (0.2, 0.9, 0.8)), (1e-3, (0.7, 0.5, 1.0)))
                                   for s, v in enumerate(vs)])  # fmt: skip
    assert (point.median, point.worst, point.best, point.learning_rate, point.seeds) == (0.8, 0.2, 0.9, 1e-2, 3)


def test_an_estimate_trains_nothing(tmp_path: Path) -> None:
    told = estimate(some_runs(4, 1000))
    assert told["runs"] == 4 and 0.1 < told["seconds"] < 100 and told["bytes"] > 1000
    assert [len(g.runs) for g in groups(some_runs(8), measure, tmp_path, "cpu", 3)] == [3, 1, 3, 1]
    assert estimate([]) == {"runs": 0, "seconds": 0.0, "bytes": 0}


# ------------------------------------------------------------------------------------------------ the executor


def dies_once(path: str) -> int:
    """Kills its process the first time."""
    if not Path(path).exists():
        Path(path).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


def always_dies(_: str) -> int:
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    assert list(jobs.unordered(dies_once, [str(tmp_path / "a"), str(tmp_path / "b")], "local:2")) == [7, 7]
    with pytest.raises(SeparatrixError, match="died 3 times"):
        list(jobs.unordered(always_dies, ["", ""], "local:2"))
    for bad in ("local:0", "local:x", "remote"):
        with pytest.raises(InputError, match="local:K"):
            list(jobs.unordered(len, ["ab"], bad))
