"""Index lookup by recurrent models: the state after the last symbol holds every symbol."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import (
    MOST_ENTRIES,
    MOST_POSITIONS,
    STATE,
    Bound,
    certificate,
    log2_sum,
    need,
    of_kind,
    registry,
    state_violated,
)
from separatrix.cannot.reduction import INDEX, Reduction, last_answer
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.index_lookup import IndexLookup


def recurrent_bits(task: Task, n: int) -> float:
    """N log2 |Sigma|, which is exact: the state that stores all symbols attains it up to rounding."""
    return log2_sum({of_kind(IndexLookup, task).symbols: n})


def recurrent_certificate(task: Task, n: int) -> Certificate:
    """Every position may hold every symbol; Bob's index i reads position i."""
    k = of_kind(IndexLookup, task).symbols
    need(n < MOST_POSITIONS and n * k <= MOST_ENTRIES, f"a certificate for N = {n} and {k} symbols is too large")
    return certificate(
        task,
        n,
        "coordinates",
        "rnn",
        "state",
        recurrent_bits(task, n),
        {"cut": n},
        positions=np.arange(n),
        offsets=np.arange(n + 1) * k,
        symbols=np.tile(np.arange(k), n),
        fillers=np.zeros(n, dtype=np.int64),
        suffixes=k + np.arange(n)[:, None],
        queries=np.full(n, n),
    )


def index(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """The bits as symbols 0 and 1, then the index."""
    return np.concatenate([a, of_kind(IndexLookup, task).symbols + b.argmax(axis=1)[:, None]], axis=1), None


registry.register("index-lookup-recurrent")(
    Bound(
        name="index-lookup-recurrent",
        task="index-lookup",
        arch="rnn",
        source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 3 (binary; any alphabet likewise)",
        expression="N log₂|Σ|",
        measure="state",
        merge=STATE,
        bits=recurrent_bits,
        certificate=recurrent_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None,
        reduction=Reduction(INDEX, lambda task, n: n, index, last_answer),
    )
)
