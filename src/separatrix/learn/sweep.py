"""Many runs: grouped into cohorts, given to workers, written as they finish, and never done twice."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from separatrix.core import jobs
from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically
from separatrix.core.shapes import tensor_shapes
from separatrix.learn.cohort import Cohort, Trained
from separatrix.learn.run import Run
from separatrix.learn.scoring import cpu_threads
from separatrix.learn.store import Store
from separatrix.models.model import Model

Measure = Callable[[Run, Model], dict[str, float]]
SAVE_EVERY = 60.0  # seconds between two checkpoints of a cohort


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that are trained together in one process. `measure` is a function of a module, so that it pickles."""

    runs: tuple[Run, ...]
    measure: Measure
    device: str
    checkpoint: Path


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a group left."""

    run: Run
    trained: Trained
    metrics: dict[str, float]
    seconds: float


def members(width: int) -> int:
    """How many models to train at once on a CPU: what pays for overhead stops paying where arithmetic dominates."""
    return 32 if width <= 8 else 16 if width <= 24 else 8 if width <= 32 else 2


def groups(runs: Sequence[Run], measure: Measure, folder: Path, device: str, size: int | None = None) -> list[Group]:
    """Cohorts of the runs, in their order; at most `size` members (by width where None)."""
    by_cohort: dict[str, list[Run]] = {}
    for run in runs:
        by_cohort.setdefault(run.cohort, []).append(run)
    found = []
    for same in by_cohort.values():
        most = size or (members(same[0].arch.width) if device == "cpu" else 64)
        for start in range(0, len(same), most):
            part = tuple(same[start : start + most])
            name = hashlib.sha256("".join(run.key for run in part).encode()).hexdigest()[:16]
            found.append(Group(part, measure, device, folder / "checkpoints" / f"{name}.safetensors"))
    return found


def sweep(
    experiment: str,
    runs: Sequence[Run],
    measure: Measure,
    store: Store,
    *,
    workers: str = "local:1",
    device: str = "cpu",
    keep_models: bool = True,
    cohort: int | None = None,
    progress: Callable[[Result], None] = lambda _: None,
) -> int:
    """Trains what the store does not have yet; the number of runs trained. Results depend on no worker or cohort."""
    if len({run.key for run in runs}) < len(runs):
        raise InputError(f"experiment {experiment} lists a run twice")
    known = store.has(run.key for run in runs)
    todo = groups([run for run in runs if run.key not in known], measure, store.folder.resolve(), device, cohort)
    count = 0
    for results in jobs.unordered(train_group, todo, workers, gpus=float(device != "cpu")):
        for result in results:
            trained = result.trained
            model = trained.model if keep_models else None
            store.add(
                experiment,
                result.run,
                trained.state,
                trained.steps,
                trained.score,
                result.seconds,
                trained.curve,
                result.metrics,
                model,
            )
            progress(result)
            count += 1
    return count


def train_group(group: Group) -> list[Result]:
    """Trains a cohort (from its checkpoint, if there is one) and measures every model."""
    start, first = time.perf_counter(), group.runs[0]
    saved = [start]

    def checkpoint(cohort: Cohort) -> None:
        if time.perf_counter() - saved[0] > SAVE_EVERY:
            write_atomically(group.checkpoint, cohort.to_bytes())
            saved[0] = time.perf_counter()

    with cpu_threads(1):
        task, members = first.make_task(), [run.member for run in group.runs]
        cohort = Cohort(task, first.n, first.arch, members, first.recipe, group.device)
        with suppress(FileNotFoundError):  # gone by now where another worker has just finished the cohort
            cohort.restore(group.checkpoint.read_bytes())
        done = cohort.train(checkpoint)
        spent = (time.perf_counter() - start) / len(group.runs)
        results = [
            Result(run, trained, group.measure(run, trained.model), spent)
            for run, trained in zip(group.runs, done, strict=True)
        ]
    for left in group.checkpoint.parent.glob(f"*{group.checkpoint.name}*"):  # and what a kill left half-written
        left.unlink(missing_ok=True)
    return results


def estimate(runs: Sequence[Run]) -> dict[str, float]:
    """Runs, CPU-seconds if every budget is used, and bytes of the largest cohort; nothing is trained.

    Steps are timed: a few of one cohort of every kind.
    """
    seconds, memory = 0.0, 0
    timed: dict[str, float] = {}
    for group in groups(runs, lambda *_: {}, Path(), "cpu"):
        first, count = group.runs[0], len(group.runs)
        name = f"{first.cohort} {count}"
        if name not in timed:
            few = dataclasses.replace(first.recipe, steps=4, check_every=4, validation=1, samples=0)
            with cpu_threads(1):
                cohort = Cohort(first.make_task(), first.n, first.arch, [run.member for run in group.runs], few)
                cohort.advance(1)
                start = time.process_time()
                cohort.advance(2)
                timed[name] = (time.process_time() - start) / 2
        seconds += timed[name] * first.recipe.steps
        weights = sum(math.prod(shape) for shape in tensor_shapes(first.arch).values())
        memory = max(memory, 4 * count * (4 * weights + 12 * first.recipe.batch * first.n * first.arch.width))
    return {"runs": len(runs), "seconds": seconds, "bytes": memory}
