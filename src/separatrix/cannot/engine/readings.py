"""Certificates of kind `reading`: fooling sets, rows and ranks of tasks with a read-once automaton, at any length."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from separatrix.cannot.bound import certificate, need
from separatrix.core.certificate import Certificate
from separatrix.core.reading import Reading
from separatrix.core.task import Task
from separatrix.kernel.needs import log2_low


def low(count: int) -> float:
    """A float at most log2(count), exact for powers of two."""
    bits = log2_low(count)
    value = float(bits)
    return value if value <= bits else float(np.nextafter(value, 0.0))


def reading_of(task: Task, n: int, query: int) -> Reading:
    """The task's automaton; UnknownError where it has none."""
    reading = task.reading(n, query)
    need(reading is not None, f"task {task.name} has no read-once automaton here")
    assert reading is not None
    return reading


def reading_certificate(
    task: Task,
    n: int,
    arch: str,
    claim: str,
    measure: str,
    alice: Iterable[int],
    count: int,
    allowed: dict[int, list[int]] | None = None,
    value: int | None = None,
    **arrays: np.ndarray,
) -> Certificate:
    """The claim that `arch` needs log2(count) of `claim` (state, one-way, exchange).

    alice: her positions. allowed: the symbols that a position may hold, where not all. value: of a fooling set.
    arrays: `guard` and `accepts` of a fooling set (default: all words with the answer `value`), `values` of a rank.
    """
    domain, query = task.domain(n), task.queries(n)[-1]
    held = np.zeros(domain.positions, dtype=np.int64)
    held[list(alice)] = 1
    sets = [np.asarray(a) for a in domain.alphabets]
    for position, symbols in (allowed or {}).items():
        sets[position] = np.array(symbols)
    evidence: dict[str, object] = {"query": query, "measure": measure}
    if measure == "fooling":
        assert value is not None
        evidence["value"] = value
        if not arrays:
            reading = reading_of(task, n, query)
            arrays = {"guard": reading.transitions, "accepts": (reading.labels == value).astype(np.int64)}
    offsets = np.cumsum([0, *map(len, sets)])
    return certificate(
        task,
        n,
        "reading",
        arch,
        claim,
        low(count),
        evidence,
        alice=held,
        offsets=offsets,
        symbols=np.concatenate(sets).astype(np.int64),
        **arrays,
    )
