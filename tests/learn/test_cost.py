"""Estimates: every experiment and size has one, memory is of the right order, and what cannot be is one clear line."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from separatrix.core.errors import InputError
from separatrix.learn import sweep as sweeping
from separatrix.learn.cohort import Member
from separatrix.learn.comparison import grid, recurrent
from separatrix.learn.cost import free_bytes, member_bytes, work
from separatrix.learn.experiment import Size
from separatrix.learn.experiments import registry
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep
from separatrix.learn.store import Store
from separatrix.learn.sweep import estimate, groups, sweep
from separatrix.tasks.index_lookup import IndexLookup

EVERY = [(name, size) for name, experiment in registry.items() for size in experiment.sizes]


@pytest.mark.parametrize(("name", "size"), EVERY)
def test_every_size_has_an_estimate(name: str, size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a step of 1 ns a multiplication in place of a timed one; see below for the clock."""
    monkeypatch.setattr(sweeping, "_step", lambda group: 1e-9 * work(group.runs[0]) * len(group.runs))
    runs = registry.get(name).runs(size)
    told = estimate(runs)
    assert told["runs"] == len(runs) and 1e5 < told["bytes"] < 2e10
    assert 0.1 < told["seconds"] < 1e9


def test_twice_the_steps_take_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "_step", lambda group: 1e-9 * work(group.runs[0]) * len(group.runs))
    runs = registry.get("k-hop").runs("quick")
    longer = [dataclasses.replace(r, recipe=dataclasses.replace(r.recipe, steps=2 * r.recipe.steps)) for r in runs]
    assert estimate(longer)["seconds"] == pytest.approx(2 * estimate(runs)["seconds"])


def test_a_step_is_timed_and_the_rest_follows() -> None:
    task, recipe = IndexLookup(4), Recipe(100, batch=16)
    runs = [run for n in (8, 16, 32) for run in grid(task, n, {"t": deep(task, n, 16, 1)}, recipe, (1e-2,), 1)]
    quick, full = estimate(runs, patience=0.0), estimate(runs)
    assert 0.1 < quick["seconds"] / full["seconds"] < 10.0


MEASURED = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from learn.test_cost import large
from separatrix.learn.cohort import Cohort
from separatrix.learn.cost import member_bytes
def most():
    line, = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])
small, run = large({kind!r}, 2), large({kind!r}, 256)
for at in (small, run):
    cohort = Cohort(at.make_task(), at.n, at.arch, [at.member], at.recipe)
    cohort.advance(2)
    if at is small:
        before = most()
print((most() - before) * 1024 / member_bytes(run))
"""


def large(kind: str, batch: int) -> Run:
    """A model of 100 positions."""
    task, n = IndexLookup(16), 99
    arch = deep(task, n, 64, 2, heads=4) if kind == "transformer" else recurrent(task, n, 64, _lstm())
    return Run.of("x", task, n, arch, Recipe(10, batch=batch, validation=4), Member(0, 1e-3))


def _lstm():
    from separatrix.core.recurrent import Lstm

    return Lstm(64)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of one process is read from /proc")
@pytest.mark.parametrize("kind", ["transformer", "lstm"])
def test_memory_is_of_the_right_order(kind: str) -> None:
    code = MEASURED.format(path=[str(Path(__file__).parents[1]), *sys.path], kind=kind)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.25 < float(told.stdout) < 2.0, told.stdout


def impossible() -> list[Run]:
    """Scores of 60,000 positions."""
    task, n = IndexLookup(4), 59_999
    return grid(task, n, {"wide": deep(task, n, 16, 1)}, Recipe(10), (1e-2,), 1)


def test_what_does_not_fit_is_one_line_before_anything_runs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for tried in (lambda: estimate(impossible()), lambda: sweep("x", impossible(), lambda *_: {}, store)):
        with pytest.raises(InputError, match=r"^wide, N = 59999, needs about .* GB in training and .* GB are free"):
            tried()
    assert not store.finished() and free_bytes() > 1e7


def test_cohorts_shrink_where_memory_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = IndexLookup(4)
    runs = grid(task, 8, {"t": deep(task, 8, 8, 1)}, Recipe(10), (1e-2,), 8)
    assert [len(g.runs) for g in groups(runs, lambda *_: {}, tmp_path, "cpu")] == [8]
    monkeypatch.setattr(sweeping, "SHARE", 3.5 * member_bytes(runs[0]))
    assert [len(g.runs) for g in groups(runs, lambda *_: {}, tmp_path, "cpu")] == [3, 3, 2]
