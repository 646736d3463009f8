"""Function composition: the second table can be asked for entry by entry, so it must be kept, or sent."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, log2_sum, need, of_kind, one_way_violated, registry, state_violated
from separatrix.cannot.engine.boxes import boxes_certificate
from separatrix.cannot.messages import ONE_WAY
from separatrix.cannot.reduction import INDEX, Reduction, last_answer
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.function_composition import FunctionComposition

MOST_WORK = 2**26


def bits(task: Task, n: int) -> float:
    """N log2 labels."""
    return log2_sum({of_kind(FunctionComposition, task).labels: n})


def words(n: int, state: bool) -> np.ndarray:
    """(N, positions) word k makes h(k) the answer: by x = k where g is the identity, or by g(0) = k where x = 0."""
    made = np.zeros((n, 2 * n + 1), dtype=np.int64)
    if state:
        made[:, :n], made[:, 2 * n] = np.arange(n), np.arange(n)
    else:
        made[:, 0] = np.arange(n)
    return made


def certificate_at(task: Task, n: int, state: bool) -> Certificate:
    """Alice's are the entries of h, each with all of its labels."""
    labels = of_kind(FunctionComposition, task).labels
    need(n * n * labels * (2 * n + 1) <= MOST_WORK, f"a certificate for N = {n} is too large")
    sets = {n + k: list(range(labels)) for k in range(n)}
    return boxes_certificate(task, n, 2 * n, sets, words(n, state), 2 * n if state else None)


def inputs(state: bool) -> Reduction:
    """INDEX: bit k is h(k)."""

    def tokens(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
        made = words(n, state)[b.argmax(axis=1)]
        made[:, n : 2 * n] = a
        return made, None

    return Reduction(INDEX, lambda task, n: n, tokens, last_answer)


for entry in (
    Bound(
        name="function-composition-recurrent",
        task="function-composition",
        arch="rnn",
        source="INDEX in the second table; compare Peng, Narayanan, Papadimitriou 2024 (function composition)",
        expression="N log₂ labels",
        measure="state",
        merge=STATE,
        bits=bits,
        certificate=lambda task, n: certificate_at(task, n, True),
        violated=state_violated,
        vacuous=lambda task, n: None,
        status="derived here",
        reduction=inputs(True),
    ),
    Bound(
        name="function-composition-one-layer",
        task="function-composition",
        arch="transformer",
        source="Peng, Narayanan, Papadimitriou 2024 (function composition), one-way and with its constant",
        expression="N log₂ labels",
        measure="one-way",
        merge=ONE_WAY,
        bits=bits,
        certificate=lambda task, n: certificate_at(task, n, False),
        violated=one_way_violated,
        vacuous=lambda task, n: None,
        status="derived here",
        reduction=inputs(False),
    ),
):
    registry.register(entry.name)(entry)
