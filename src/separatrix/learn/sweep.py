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
from separatrix.learn.cohort import Cohort, Trained
from separatrix.learn.cost import family, free_bytes, member_bytes, work
from separatrix.learn.passes import BACKEND
from separatrix.learn.run import Run
from separatrix.learn.scoring import cpu_threads
from separatrix.learn.store import Store
from separatrix.models.model import Model

Measure = Callable[[Run, Model], dict[str, float]]
SAVE_EVERY = 60.0  # seconds between two checkpoints of a cohort
SHARE = 4e9  # bytes that one cohort may take where a single model takes less


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that are trained together in one process. `measure` is a function of a module, so that it pickles."""

    runs: tuple[Run, ...]
    measure: Measure
    device: str
    checkpoint: Path
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a group left.

    seconds: its share of the cohort's processor time (on a GPU of the clock), that before a kill included.
    """

    run: Run
    trained: Trained
    metrics: dict[str, float]
    seconds: float


def members(run: Run, memory: float = math.inf) -> int:
    """How many models to train at once on a CPU: what pays for overhead stops paying where arithmetic dominates.

    memory: bytes that they may take together, where one of them may.
    """
    width = run.arch.width
    most = 32 if width <= 8 else 16 if width <= 24 else 8 if width <= 32 else 2
    return max(1, min(most, int(min(memory / member_bytes(run), 64))))


def groups(
    runs: Sequence[Run],
    measure: Measure,
    folder: Path,
    device: str,
    size: int | None = None,
    compiled: bool = False,
) -> list[Group]:
    """Cohorts of the runs, in their order; at most `size` members (by width and memory where None)."""
    by_cohort: dict[str, list[Run]] = {}
    for run in runs:
        by_cohort.setdefault(run.cohort, []).append(run)
    found = []
    for same in by_cohort.values():
        most = size or (members(same[0], SHARE) if device == "cpu" else 64)
        for start in range(0, len(same), most):
            part = tuple(same[start : start + most])
            name = hashlib.sha256("".join(run.key for run in part).encode()).hexdigest()[:16]
            found.append(Group(part, measure, device, folder / "checkpoints" / f"{name}.safetensors", compiled))
    return found


def require_memory(planned: Sequence[Group], at_once: int = 1) -> int:
    """Bytes of the cohorts in training, the largest at_once of them; InputError where this machine has fewer."""
    largest = sorted(planned, key=lambda g: len(g.runs) * member_bytes(g.runs[0]))[-at_once:]
    needed, free = sum(len(g.runs) * member_bytes(g.runs[0]) for g in largest), free_bytes()
    if needed > free:
        worst = largest[-1].runs[0]
        raise InputError(
            f"{worst.label}, N = {worst.n}, needs about {needed / 1e9:.3g} GB in training and {free / 1e9:.3g} GB are "
            "free; take a part of the grid by --models or --across, or fewer workers"
        )
    return needed


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
    compiled: bool = False,
    progress: Callable[[Result], None] = lambda _: None,
) -> int:
    """Trains what the store does not have yet; the number of runs trained. Results depend on no worker or cohort."""
    if len({run.key for run in runs}) < len(runs):
        raise InputError(f"experiment {experiment} lists a run twice")
    known = store.has(run.key for run in runs)
    new = [run for run in runs if run.key not in known]
    todo = groups(new, measure, store.folder.resolve(), device, cohort, compiled)
    if todo and workers.startswith("local") and device == "cpu":
        require_memory(todo, jobs.processes(workers))
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
    clock = time.process_time if group.device == "cpu" else time.perf_counter
    start, first = clock(), group.runs[0]
    saved = [time.perf_counter()]

    def checkpoint(cohort: Cohort) -> None:
        if time.perf_counter() - saved[0] > SAVE_EVERY:
            cohort.spent = before + clock() - start
            write_atomically(group.checkpoint, cohort.to_bytes())
            saved[0] = time.perf_counter()

    with cpu_threads(1):
        task, members = first.make_task(), [run.member for run in group.runs]
        backend = BACKEND if group.compiled else ""
        cohort = Cohort(task, first.n, first.arch, members, first.recipe, group.device, backend=backend)
        with suppress(FileNotFoundError):  # gone by now where another worker has just finished the cohort
            cohort.restore(group.checkpoint.read_bytes())
        before = cohort.spent
        done = cohort.train(checkpoint)
        spent = (before + clock() - start) / len(group.runs)
        results = [
            Result(run, trained, group.measure(run, trained.model), spent)
            for run, trained in zip(group.runs, done, strict=True)
        ]
    for left in group.checkpoint.parent.glob(f"*{group.checkpoint.name}*"):  # and what a kill left half-written
        left.unlink(missing_ok=True)
    return results


def estimate(runs: Sequence[Run], patience: float = 10.0) -> dict[str, float]:
    """Runs, CPU-seconds if every budget is used, and bytes of the largest cohort; nothing is trained.

    Two steps of a cohort of every kind are timed, cheap ones first, until `patience` seconds are spent; one of every
    family at least. The time of the others follows from their arithmetic. Raises InputError where memory is lacking.
    """
    planned = groups(runs, lambda *_: {}, Path(), "cpu")
    memory = require_memory(planned)
    kinds: dict[str, Group] = {}
    for group in planned:
        kinds.setdefault(f"{group.runs[0].cohort} {len(group.runs)}", group)
    spent, rates, seconds = 0.0, dict[tuple[str, ...], float](), dict[str, float]()
    for name, group in sorted(kinds.items(), key=lambda pair: work(pair[1].runs[0]) * len(pair[1].runs)):
        first, count = group.runs[0], len(group.runs)
        if spent < patience or family(first) not in rates:
            start = time.perf_counter()
            rates[family(first)] = _step(group) / (work(first) * count)
            spent += time.perf_counter() - start
        seconds[name] = rates[family(first)] * work(first) * count
    total = sum(seconds[f"{g.runs[0].cohort} {len(g.runs)}"] * g.runs[0].recipe.steps for g in planned)
    return {"runs": len(runs), "seconds": total, "bytes": memory}


def _step(group: Group) -> float:
    """CPU-seconds of a step of a cohort."""
    first = group.runs[0]
    few = dataclasses.replace(first.recipe, steps=4, check_every=4, validation=1, samples=0)
    with cpu_threads(1):
        cohort = Cohort(first.make_task(), first.n, first.arch, [run.member for run in group.runs], few)
        cohort.advance(1)
        start = time.process_time()
        cohort.advance(2)
        return (time.process_time() - start) / 2
