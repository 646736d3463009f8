"""Relation composition: the last row of A asks for any entry of B above it, so these entries must be kept, or sent.

The row of A that a token reads is the one it stands in, so once the last row begins, only that row of A counts; Bob,
who holds it, puts a single one at column k, and the answers of his row are row k of B.
"""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, need, of_kind, one_way_violated, registry, state_violated
from separatrix.cannot.engine.boxes import boxes_certificate
from separatrix.cannot.engine.coordinates import coordinates_certificate
from separatrix.cannot.messages import ONE_WAY
from separatrix.cannot.reduction import INDEX, Reduction, last_answer
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.relation_composition import RelationComposition

MOST_SIDE = 48  # for which certificates are made


def recurrent_bits(task: Task, n: int) -> float:
    """n (n - 1): the entries of B above the last row; N = n^2 tokens."""
    of_kind(RelationComposition, task)
    return float(n * (n - 1))


def recurrent_certificate(task: Task, n: int) -> Certificate:
    """Entry (k, j) of B is the answer at (n - 1, j) where the last row of A is a one at k."""
    of_kind(RelationComposition, task)
    need(2 <= n <= MOST_SIDE, f"this bound says nothing here, or a certificate for n = {n} is too large")
    cut = n * (n - 1)
    k, j = np.divmod(np.arange(cut), n)
    return coordinates_certificate(
        task, n, cut, {p: [0, 1] for p in range(cut)}, np.zeros(cut), 2 * np.eye(n, dtype=np.int64)[k], cut + j
    )


def one_layer_bits(task: Task, n: int) -> float:
    """n - 1: a column of B."""
    of_kind(RelationComposition, task)
    return float(n - 1)


def one_layer_certificate(task: Task, n: int) -> Certificate:
    """The last token asks; Alice holds the column of B above it, Bob the row of A before it."""
    of_kind(RelationComposition, task)
    need(2 <= n <= MOST_SIDE, f"this bound says nothing here, or a certificate for n = {n} is too large")
    words = np.zeros((n - 1, n * n), dtype=np.int64)
    words[np.arange(n - 1), n * (n - 1) + np.arange(n - 1)] = 2
    return boxes_certificate(task, n, n * n - 1, {k * n + n - 1: [0, 1] for k in range(n - 1)}, words)


def column(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX of n - 1 bits: her bits are the last column of B, his index is the one in the last row of A."""
    tokens = np.zeros((len(a), n, n), dtype=np.int64)
    tokens[:, : n - 1, n - 1], tokens[:, n - 1, : n - 1] = a, 2 * b
    return tokens.reshape(len(a), n * n), None


COLUMN = Reduction(INDEX, lambda task, n: n - 1, column, last_answer)
for entry in (
    Bound(
        name="relation-composition-recurrent",
        task="relation-composition",
        arch="rnn",
        source="INDEX in the second relation; compare Kozachinskiy et al. 2025 (binary relation composition)",
        expression="n (n − 1), for n things in n² tokens",
        measure="state",
        merge=STATE,
        bits=recurrent_bits,
        certificate=recurrent_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None if n >= 2 else "with one thing there is one token",
        status="derived here",
        reduction=COLUMN,
    ),
    Bound(
        name="relation-composition-one-layer",
        task="relation-composition",
        arch="transformer",
        source="one-way INDEX in a column of the second relation; compare Kozachinskiy et al. 2025",
        expression="n − 1, for n things in n² tokens",
        measure="one-way",
        merge=ONE_WAY,
        bits=one_layer_bits,
        certificate=one_layer_certificate,
        violated=one_way_violated,
        vacuous=lambda task, n: None if n >= 2 else "with one thing there is one token",
        status="derived here",
        reduction=COLUMN,
    ),
):
    registry.register(entry.name)(entry)
