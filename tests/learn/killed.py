"""A sweep that is killed: what runs in the driver's process and in its workers, and the table to compare."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from separatrix.learn import sweep as sweeping
from separatrix.learn.cohort import Member
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import one_layer
from separatrix.learn.store import Store
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

READY = "ready"
DRIVER = """
import sys
sys.path[:0] = {path!r}
from learn.killed import drive
drive({folder!r}, {workers!r}, {cohorts})
"""


def runs(cohorts: int, steps: int = 240) -> list[Run]:
    """Two members a cohort."""
    task, recipe = IndexLookup(3), Recipe(steps, batch=8, check_every=10, validation=16)
    return [Run.of("model", task, 4, one_layer(task, 4, 4), recipe, Member(seed, 1e-2)) for seed in range(2 * cohorts)]


def measure(run: Run, model: Model) -> dict[str, float]:
    """A number that depends on every weight. (Workers import this module for it: they save at every check.)"""
    return {"sum": float(sum(np.abs(tensor).sum() for tensor in model.tensors.values()))}


def drive(folder: str, workers: str, cohorts: int) -> None:
    """The driver: says that it begins, then trains."""
    importlib.import_module("separatrix.models.nets")  # loads torch, which takes seconds
    print(READY, flush=True)
    sweeping.sweep("x", runs(cohorts), measure, Store(Path(folder)), cohort=2, workers=workers)


sweeping.SAVE_EVERY = 0.0  # in every process that trains: a kill then nearly always finds a checkpoint


def table(store: Store) -> list[tuple]:
    """All that a run leaves but its time, and its model's bytes."""
    return sorted(
        (row.run.key, row.run.label, row.state, row.steps, row.score, tuple(row.metrics.items()),
         store.curve(row.run.key).tobytes(), (store.model_folder(row.run.key) / "model.safetensors").read_bytes())
        for row in store.finished()
    )  # fmt: skip


def kill_and_resume(
    folder: Path, workers: str, kills: int, cohorts: int, environment: dict[str, str] | None = None
) -> tuple[int, int]:
    """Kills the driver so often (it alone, not its workers), then lets it end.

    Every third kill comes within a second of its start, the others after 1 to 39 checkpoints. Returns after how many
    kills there were unfinished checkpoints, and the runs that were finished before the last kill.
    """
    here = [str(Path(__file__).parents[1]), *sys.path]
    code = DRIVER.format(path=here, folder=str(folder), workers=workers, cohorts=cohorts)
    rng, halfway, finished = np.random.default_rng(0), 0, 0
    for kill in range(kills + 1):
        before = saved(folder)
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | (environment or {})
        ) as process:
            assert process.stdout is not None and process.stdout.readline().strip() == READY
            if kill == kills:
                assert process.wait() == 0
                break
            changes = int(rng.integers(1, 40)) if kill % 3 else 0
            while changes and process.poll() is None:
                if (now := saved(folder)) != before:
                    before, changes = now, changes - 1
                time.sleep(0.002)
            time.sleep(float(rng.uniform(0.0, 0.1 if kill % 3 else 1.0)))
            process.kill()
        assert process.returncode == -signal.SIGKILL, "the sweep ended before it could be killed"
        halfway += any((folder / "checkpoints").glob("[!.]*"))
        finished = len(Store(folder).finished()) if (folder / "runs.db").exists() else 0
    return halfway, finished


def saved(folder: Path) -> dict[str, int]:
    """When which checkpoint was written; they come and go."""
    found = {}
    for path in (folder / "checkpoints").glob("[!.]*"):
        with suppress(FileNotFoundError):
            found[path.name] = path.stat().st_mtime_ns
    return found
