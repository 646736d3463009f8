"""A survey: every cell of a one-layer model by verdict, its margin from below, and the worst input found in it.

Rounds of growing effort over the cells that are still open, in parallel, until they are decided or the time is spent.
What a file of partial results holds is evidence, never a verdict: it goes to the kernel again when it is resumed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from separatrix.core import jobs
from separatrix.core.domain import Constraint
from separatrix.core.errors import SeparatrixError, UnknownError
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.model import Model
from separatrix.verify.provers import relu
from separatrix.verify.provers.head_cells import Bench, Finding, Part, Piece
from separatrix.verify.provers.heads import TIME_LIMIT, unsuited
from separatrix.verify.provers.limits import GRACE
from separatrix.verify.provers.outcome import Outcome, refute, submit_arrays
from separatrix.verify.provers.partial import Partial
from separatrix.verify.provers.relu_cells import ReluBench

PER_WORKER = 4  # jobs of the first round, so that workers end together
SAVE_SECONDS = 5.0  # between two writes of the partial results


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. low: a float below its least margin, by the kernel, -inf for none; found: nearly the margin of
    `tokens`, the worst input found in it, +inf for none.
    """

    number: int
    query: int
    token: int
    holds: tuple[tuple[int, int], ...]
    constraint: Constraint
    label: int
    verdict: Literal["proved", "refuted", "undecided"]
    low: float
    found: float
    tokens: np.ndarray


@dataclass(frozen=True)
class Survey:
    """The findings of all pieces, in the task's order; `seconds` of search and check."""

    findings: tuple[Finding, ...]
    seconds: float

    @cached_property
    def cells(self) -> int:
        """How many there are."""
        return sum(len(finding.low) for finding in self.findings)

    @cached_property
    def proved(self) -> int:
        """Cells on which the kernel accepts that the label beats every other answer."""
        return sum(int(finding.proved.sum()) for finding in self.findings)

    @cached_property
    def refuted(self) -> int:
        """Cells with an input on which the model errs, evaluated by the kernel."""
        return sum(int(finding.refuted.sum()) for finding in self.findings)

    @property
    def undecided(self) -> int:
        """All others."""
        return self.cells - self.proved - self.refuted

    def each(self) -> Iterator[Cell]:
        """Every cell, in the task's order."""
        for finding in self.findings:
            group = finding.piece.group
            assert group.labels is not None and isinstance(group.token, int)
            for c, label in enumerate(group.labels.tolist()):
                holds = tuple(zip(group.positions[c].tolist(), group.symbols[c].tolist(), strict=True))
                verdict = "refuted" if finding.refuted[c] else "proved" if finding.proved[c] else "undecided"
                low, found = float(finding.low[c]), float(finding.found[c])
                number = finding.piece.first + c
                fixed = number, group.query, group.token, holds, group.constraint, label
                yield Cell(*fixed, verdict, low, found, finding.tokens[c])

    def worst(self, count: int = 5) -> list[Cell]:
        """The worst cells: refuted ones by the margin found, then undecided ones, then proved ones by their bound."""
        order = {"refuted": 0, "undecided": 1, "proved": 2}

        def rank(cell: Cell) -> tuple[int, float]:
            return order[cell.verdict], cell.low if cell.verdict == "proved" else cell.found

        return sorted(self.each(), key=rank)[:count]

    def refutations(self) -> list[Cell]:
        """The refuted cells, the least margin first."""
        return sorted((c for c in self.each() if c.verdict == "refuted"), key=lambda cell: cell.found)


@dataclass(frozen=True)
class _Job:
    """Some pieces, by number, with what was found of them before; goes to another process."""

    model: Model
    task: Task
    n: int
    semantics: Semantics
    before: dict[int, Finding | None]
    boxes: int
    deadline: float  # of `time.time`, which all processes share


def _work(job: _Job) -> list[Finding]:
    """Decides the pieces of a job; those that the time does not suffice for are given back as they were, or not."""
    bench, done = bench_of(job.model, job.task, job.n, job.semantics), []
    for piece in bench.pieces():
        if piece.number not in job.before:
            continue
        left, old = job.deadline - time.time(), job.before[piece.number]
        if left <= 0:
            done += [] if old is None else [old]
            continue
        until = time.perf_counter() + left
        part = bench.search(piece, job.boxes, until, None if old is None else _part(old))
        done.append(bench.finding(piece, part))
    return done


def _part(old: Finding) -> Part:
    """What the kernel took of an earlier search, as if it had just been found."""
    cells, rivals = old.margins.shape
    cell = np.repeat(np.arange(cells), rivals)
    state = np.where(old.margins.reshape(-1) > 0, 1, np.where(old.refuted[cell], -1, 0))
    return Part(cell, state, old.trees, old.tokens[cell], old.found[cell], old.spans)


def bench_of(model: Model, task: Task, n: int, semantics: Semantics) -> Bench:
    """The prover that decides the model's cells; UnknownError where there is none."""
    if relu.suited(model):
        if semantics.bits is not None:
            raise UnknownError(f"ReLU layers are proved for real numbers and floats, not {semantics}")
        return ReluBench(model, task, n, semantics)
    if why := unsuited(model, task, n):
        raise UnknownError(why)
    return Bench(model, task, n, semantics)


def survey(
    model: Model,
    task: Task,
    n: int,
    semantics: Semantics = REAL,
    *,
    seconds: float | None = None,
    workers: int = 1,
    partial: Path | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> Survey:
    """Decides every cell; UnknownError where the model or task is not suited.

    Args:
        seconds: of search, after which cells are left undecided; the first round may take GRACE more.
        workers: processes.
        partial: folder for partial results, written every few seconds; removed when nothing is left to do.
        resume: begin with the partial results there, if there are any.
    """
    start = time.perf_counter()
    bench = bench_of(model, task, n, semantics)
    deadline = time.time() + (TIME_LIMIT if seconds is None else seconds)
    everything = {piece.number: piece for piece in bench.pieces()}
    file = None if partial is None else Partial(partial, bench, semantics)
    found: dict[int, Finding] = {}
    if file is not None and resume:
        for number, (trees, spans, inputs, values) in file.read().items():
            with suppress(SeparatrixError, ValueError):  # what does not fit is searched anew
                if number in everything and len(inputs) == len(values) == len(everything[number].group):
                    found[number] = bench.judged(everything[number], trees, inputs, values, spans)
    saved = time.monotonic()
    try:
        for turn, boxes in enumerate(bench.rounds):
            todo = [k for k in everything if k not in found] if not turn else [k for k in found if not found[k].decided]
            if not todo or (turn and time.time() > deadline):
                continue
            size = max(1, len(todo) // (PER_WORKER * workers)) if not turn else 1
            parts = [todo[i : i + size] for i in range(0, len(todo), size)]
            until = deadline if turn else deadline + GRACE
            work = (_Job(model, task, n, semantics, {k: found.get(k) for k in p}, boxes, until) for p in parts)
            for findings in jobs.run(_work, work, min(workers, len(parts))):
                found |= {finding.piece.number: finding for finding in findings}
                done = sum(int((f.proved | f.refuted).sum()) for f in found.values())
                progress(f"{done:,} of {_count(everything):,} cells decided")
                if file is not None and time.monotonic() - saved > SAVE_SECONDS:
                    file.write(found)
                    saved = time.monotonic()
    finally:
        if file is not None:
            if all(number in found and found[number].decided for number in everything):
                file.remove()
            elif found:
                file.write(found)
    findings = (found[number] if number in found else bench.untried(piece) for number, piece in everything.items())
    return Survey(tuple(findings), time.perf_counter() - start)


def _count(everything: dict[int, Piece]) -> int:
    return sum(len(piece.group) for piece in everything.values())


def outcome_of(made: Survey, model: Model, task: Task, n: int, semantics: Semantics, progress: Progress) -> Outcome:
    """The judge's verdict on the whole model, from a survey."""
    if made.refuted:
        worst = made.refutations()[0]
        outcome = refute(model, task, n, worst.tokens, worst.query)
        if outcome.verdict == "refuted":
            return outcome
    if made.proved == made.cells:
        bench = bench_of(model, task, n, semantics)
        return submit_arrays(bench.kind, model, task, n, semantics, bench.arrays(list(made.findings)), progress)
    return Outcome("unknown", None, f"{made.undecided} of {made.cells} cells are undecided")
