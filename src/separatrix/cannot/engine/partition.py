"""Search over partitions of the positions for the one that is hardest for one attention layer.

For a task with a read-once automaton a partition is worth the words with a given answer, if they are a fooling set
there; otherwise the distinct rows of the enumerated matrix, the token at the query being fixed. All partitions are
tried where they are few, else periodic patterns and cuts. A search that finds little says nothing about the task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from separatrix.cannot.bound import need
from separatrix.cannot.engine.matrix import Matrix
from separatrix.cannot.engine.readings import low, reading_certificate, reading_of
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.reading_steps import Game, fooling

MOST_PARTITIONS = 2**12


@dataclass(frozen=True, slots=True)
class Found:
    """The hardest partition: Alice's positions, the count (fooling words, or rows) and its certificate."""

    alice: tuple[int, ...]
    count: int
    certificate: Certificate
    tried: int


def worst_by_reading(task: Task, n: int, value: int, known: dict[int, int] | None = None) -> Found:
    """The partition with the most fooling words of the answer `value`; UnknownError where none fool."""
    domain, query = task.domain(n), task.queries(n)[-1]
    reading = reading_of(task, n, query)
    fixed = known or {}
    sets = [[fixed[p]] if p in fixed else np.asarray(a).tolist() for p, a in enumerate(domain.alphabets)]
    free = [p for p, symbols in enumerate(sets) if len(symbols) > 1]
    accepts = [label == value for label in reading.labels.tolist()]
    numbers = {tuple(s): i for i, s in enumerate(dict.fromkeys(map(tuple, sets)))}
    best, tried = (0, ()), 0
    for alice in _partitions(free):
        steps = [(p in alice, numbers[tuple(sets[p])]) for p in reading.order]
        game = Game(reading.transitions.tolist(), reading.labels.tolist(), steps, [list(s) for s in numbers])
        tried += 1
        try:
            best = max(best, (fooling(game, value, game.table, accepts), tuple(sorted(alice))))
        except RejectedError:
            continue
    count, alice = best
    need(count > 1, "no partition that was tried makes these words fool; that says nothing about the task")
    allowed = {p: [s] for p, s in fixed.items()}
    made = reading_certificate(task, n, "transformer", "exchange", "fooling", alice, count, allowed, value)
    return Found(alice, count, made, tried)


def worst_by_matrix(task: Task, n: int, token: int | None = None) -> Found:
    """The partition with the most rows, the token at the (last) query fixed to `token` or to each of its symbols."""
    domain, query = task.domain(n), task.queries(n)[-1]
    need(isinstance(task.outputs(), Labels) and len(task.queries(n)) == 1, "one position must be scored with labels")
    need(not any(isinstance(a, PointerSets) for a in domain.alphabets), "one symbol a token is needed")
    symbols = np.asarray(domain.alphabets[query]).tolist() if token is None else [token]
    free = [p for p in range(domain.positions) if p != query and len(domain.alphabets[p]) > 1]
    best: Matrix | None = None
    tried = 0
    for symbol, alice in product(symbols, list(_partitions(free))):
        for side in (alice, [p for p in free if p not in alice]):
            if not side:
                continue
            tried += 1
            matrix = Matrix.of(task, n, alice=side, known={query: symbol})
            if best is None or len(matrix.labels) > len(best.labels):
                best = matrix
    if best is None or best.alice is None:
        raise UnknownError("there is no partition to try")
    return Found(best.alice, len(best.labels), best.rows(), tried)


def _partitions(free: list[int]) -> Iterator[list[int]]:
    """Alice's positions: all subsets with the first position, or patterns of short period and cuts."""
    if not free:
        return
    first, rest = free[0], free[1:]
    if 2 ** len(rest) <= MOST_PARTITIONS:
        for size in range(len(rest) + 1):
            for chosen in combinations(rest, size):
                yield [first, *chosen]
        return
    seen: set[tuple[int, ...]] = set()
    patterns = [p for period in range(2, 7) for p in product((0, 1), repeat=period) if p[0] == 1]
    held = [tuple(p for i, p in enumerate(free) if pattern[i % len(pattern)]) for pattern in patterns]
    held += [tuple(free[:cut]) for cut in range(1, len(free))]
    for alice in held:
        if alice not in seen:
            seen.add(alice)
            yield list(alice)


def bits(found: Found) -> float:
    """log2 of the count, from below."""
    return low(found.count)
