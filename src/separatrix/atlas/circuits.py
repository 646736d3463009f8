"""How deep each witness is: its circuit at a few lengths, or the plain reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from separatrix import can
from separatrix.atlas.words import TASKS
from separatrix.core import jobs
from separatrix.core.errors import InputError, SeparatrixError
from separatrix.core.files import write_atomically
from separatrix.core.task import Task
from separatrix.tasks import make_task

LENGTHS = {"quick": (4, 8), "full": (4, 8, 16)}
MOST_GATES = {"quick": 300_000, "full": 2_000_000}  # by the estimate, which is 3 to 20 times the truth
SMALLER: dict[str, dict[str, Any]] = {"match2": {"modulus": 17}, "associative-recall": {"keys": 16}}
"""Parameters of tasks whose usual ones need numbers of more than 12 bits, which are not compiled."""


@dataclass(frozen=True, slots=True)
class CircuitJob:
    """One witness at several lengths; its answer is kept in `folder`."""

    witness: str
    lengths: tuple[int, ...]
    most_gates: int
    folder: str


@dataclass(frozen=True, slots=True)
class CircuitRow:
    """A witness at one length, and its circuit; or `reason`, why there is none (the counts are then 0).

    Attributes:
        parameters: of the task, where they are not the atlas's.
        numbers: how the model was made one of few bits, in words.
        tried, every: inputs that the circuit's emulator was seen to answer right, and whether these are all.
        compared: inputs on which circuit and emulator agreed bit for bit.
    """

    witness: str
    task: str
    n: int
    parameters: str
    numbers: str
    reason: str
    inputs: int = 0
    depth: int = 0
    gates: int = 0
    edges: int = 0
    weight_bits: int = 0
    tried: int = 0
    every: bool = False
    compared: int = 0
    seconds: float = 0.0


def circuit_jobs(preset: str, folder: Path) -> list[CircuitJob]:
    """One job a witness of a task of the atlas."""
    if preset not in LENGTHS:
        raise InputError(f"preset {preset!r} is not known; there are {', '.join(LENGTHS)}")
    names = [name for name, witness in can.registry.items() if witness.task in TASKS]
    return [CircuitJob(name, LENGTHS[preset], MOST_GATES[preset], str(folder / "circuits")) for name in names]


def run_circuits(
    planned: Sequence[CircuitJob], workers: int, progress: Callable[[CircuitRow], None] = lambda _: None
) -> list[CircuitRow]:
    """All rows, in the order of the registry and of lengths."""
    rows = []
    for some in jobs.run(run_circuit, planned, workers):
        for row in some:
            progress(row)
            rows.append(row)
    return rows


def run_circuit(job: CircuitJob) -> list[CircuitRow]:
    """The rows of one witness, from its file where that answers the same question."""
    path = Path(job.folder) / f"{job.witness}.json"
    asked = {"lengths": list(job.lengths), "most_gates": job.most_gates, "task": _task(job).source_sha256()}
    if path.exists():
        kept = json.loads(path.read_text())
        if kept.get("asked") == asked:
            return [CircuitRow(**row) for row in kept["rows"]]
    rows = list(_rows(job))
    kept = {"asked": asked, "rows": [asdict(row) for row in rows]}
    write_atomically(path, (json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())
    return rows


def _task(job: CircuitJob) -> Task:
    name = can.registry.get(job.witness).task
    return make_task(name, dict(TASKS[name].parameters) | SMALLER.get(name, {}))


def _rows(job: CircuitJob) -> Iterator[CircuitRow]:
    from separatrix.depth.witness import deep

    witness, task = can.registry.get(job.witness), _task(job)
    other = SMALLER.get(witness.task, {})
    words, least = ", ".join(f"{name} = {value}" for name, value in other.items()), 0
    for n in job.lengths:
        try:
            found = deep(witness.build(task, n), task, n, job.most_gates, least)
        except SeparatrixError as error:
            yield CircuitRow(job.witness, witness.task, n, words, "", str(error).removeprefix(f"{job.witness}: "))
            continue
        least, counts = found.bits, found.counts
        yield CircuitRow(
            job.witness, witness.task, n, words, found.numbers, "", counts.inputs, counts.depth, counts.gates,
            counts.edges, counts.weight_bits, found.tried, found.every, found.compared, round(found.seconds, 3),
        )  # fmt: skip
