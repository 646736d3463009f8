"""Equality, disjointness, inner product, greater-than: half of the input must be known to answer about both halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from separatrix.cannot.bound import STATE, Bound, exchange_violated, log2_sum, need, registry, state_violated
from separatrix.cannot.engine.readings import reading_certificate
from separatrix.cannot.messages import EXCHANGE
from separatrix.cannot.reduction import DISJ, EQ, GT, IP, Problem, Reduction, last_answer
from separatrix.core.certificate import Certificate
from separatrix.core.errors import InputError
from separatrix.core.reading import Reading
from separatrix.core.task import Task
from separatrix.tasks.disjointness import Halves
from separatrix.tasks.equality import Equality

MOST_N = 2**14  # for which certificates are made
BHATTAMISHRA = "Bhattamishra, Hahn, Blunsom, Kanade 2024"
Arrays = dict[str, Any]


def symbols_of(task: Task) -> int:
    """The alphabet of one of these tasks; InputError for others."""
    if isinstance(task, Equality):
        return task.symbols
    if not isinstance(task, Halves):
        raise InputError(f"this bound is about two halves, not {task.name}")
    return 2


def half_bits(task: Task, n: int) -> float:
    """(N/2) log2 |Sigma|."""
    return log2_sum({symbols_of(task): n // 2})


def recurrent(task: Task, n: int) -> Certificate:
    """All first halves have different rows."""
    need(n <= MOST_N, f"a certificate for N = {n} is too large")
    count = symbols_of(task) ** (n // 2)
    return reading_certificate(task, n, "rnn", "state", "rows", range(n // 2), count)


def one_layer(measure: str, arrays: Callable[[Task, int], Arrays]) -> Callable[[Task, int], Certificate]:
    """By a fooling set, or by the rank of the matrix; the halves are the two parties'."""

    def make(task: Task, n: int) -> Certificate:
        need(n <= MOST_N, f"a certificate for N = {n} is too large")
        count = symbols_of(task) ** (n // 2)
        return reading_certificate(task, n, "transformer", "exchange", measure, range(n // 2), count, **arrays(task, n))

    return make


def partners(n: int, kept: list[list[int]]) -> Arrays:
    """A guard that accepts the words in which each pair (x_i, x_{i + N/2}) = (a, b) has kept[a][b]."""
    moves = np.stack([1 - np.array(kept), np.ones((2, 2), dtype=np.int64)])
    reading = Reading.of_pairs(n, moves, np.array([1, 0]))
    return {"guard": reading.transitions, "accepts": reading.labels}


def halves(problem: Problem) -> Reduction:
    """The two inputs side by side, in bits."""
    return Reduction(
        problem,
        lambda task, n: n // 2,
        lambda task, n, a, b: (np.concatenate([a, b], axis=1), None),
        last_answer,
    )


PROBLEMS: list[tuple[str, str, str, Problem, str, Callable[[Task, int], Arrays]]] = [
    (
        "equality",
        f"{BHATTAMISHRA}, Theorem 11",
        f"{BHATTAMISHRA}, Theorem 12",
        EQ,
        "fooling",
        lambda t, n: {"value": 1},
    ),
    (
        "disjointness",
        f"{BHATTAMISHRA}, Section 4",
        f"{BHATTAMISHRA}, Section 4",
        DISJ,
        "fooling",
        lambda t, n: {"value": 0, **partners(n, [[0, 1], [1, 0]])},
    ),
    (
        "inner-product",
        "Chor and Goldreich 1988, by the split of a recurrent model",
        "Chor and Goldreich 1988 (rank over the rationals)",
        IP,
        "rank",
        lambda t, n: {"values": np.array([1, -1])},
    ),
    (
        "greater-than",
        "Yao 1979, by the split of a recurrent model",
        "Yao 1979 (fooling set of the equal pairs)",
        GT,
        "fooling",
        lambda t, n: {"value": 0, **partners(n, [[1, 0], [0, 1]])},
    ),
]


for name, state_source, layer_source, problem, measure, arrays in PROBLEMS:
    expression = "(N/2) log₂|Σ|" if name == "equality" else "N/2"
    registry.register(f"{name}-recurrent")(
        Bound(
            name=f"{name}-recurrent",
            task=name,
            arch="rnn",
            source=state_source,
            expression=expression,
            measure="state",
            merge=STATE,
            bits=half_bits,
            certificate=recurrent,
            violated=state_violated,
            vacuous=lambda task, n: None,
            reduction=halves(problem),
        )
    )
    registry.register(f"{name}-one-layer")(
        Bound(
            name=f"{name}-one-layer",
            task=name,
            arch="transformer",
            source=layer_source,
            expression=expression,
            measure="exchange",
            merge=EXCHANGE,
            bits=half_bits,
            certificate=one_layer(measure, arrays),
            violated=exchange_violated,
            vacuous=lambda task, n: None,
            reduction=halves(problem),
        )
    )
