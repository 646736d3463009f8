"""Match2 by recurrent models: the state before the last number holds which residues have occurred."""

from __future__ import annotations

import math

import numpy as np

from separatrix.cannot.bound import (
    MOST_ENTRIES,
    MOST_POSITIONS,
    STATE,
    Bound,
    certificate,
    need,
    of_kind,
    registry,
    state_violated,
)
from separatrix.cannot.reduction import INDEX, Reduction, last_answer
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.match2 import Match2


def residues(task: Match2) -> np.ndarray:
    """Residues whose presence can be asked for by the last number, one left over as filler.

    With j = i allowed, a residue with 2a = 0 mod M always matches itself: M - gcd(2, M) are left, and 0 is the filler.
    With distinct indices all M can be asked for, and 0 becomes the filler: M - 1.
    """
    a = np.arange(1, task.modulus)
    return a if task.distinct_indices else a[2 * a % task.modulus != 0]


def recurrent_bits(task: Task, n: int) -> float:
    """min(N - 1, residues): position t holds its residue a_t or the filler, the last number -a_t asks which."""
    match2 = of_kind(Match2, task)
    usable = match2.modulus - (1 if match2.distinct_indices else math.gcd(2, match2.modulus))
    return float(min(n - 1, usable))


def recurrent_certificate(task: Task, n: int) -> Certificate:
    """Alice holds all numbers but the last; position t of the first u may hold 0 or its own residue a_t."""
    match2 = of_kind(Match2, task)
    u = int(recurrent_bits(task, n))
    need(u > 0, "this bound says nothing here")
    work = match2.modulus * (n + 1) * 2
    need(n <= MOST_POSITIONS and work <= MOST_ENTRIES * 16, f"a certificate for N = {n} is too large")
    asked = residues(match2)[:u]
    return certificate(
        task,
        n,
        "coordinates",
        "rnn",
        "state",
        float(u),
        {"cut": n - 1},
        positions=np.arange(u),
        offsets=np.arange(u + 1) * 2,
        symbols=np.stack([np.zeros(u, dtype=np.int64), asked], axis=1).reshape(-1),
        fillers=np.zeros(n - 1, dtype=np.int64),
        suffixes=(match2.modulus - asked)[:, None],
        queries=np.full(u, n - 1),
    )


def ask(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """Position t holds its residue a_t iff bit t is 1, else 0; the last number asks for one residue."""
    match2, k = of_kind(Match2, task), a.shape[1]
    tokens = np.zeros((len(a), n), dtype=np.int64)
    tokens[:, :k] = np.where(a == 1, residues(match2)[:k], 0)
    tokens[:, n - 1] = match2.modulus - residues(match2)[b.argmax(axis=1)]
    return tokens, None


def vacuous(task: Task, n: int) -> str | None:
    """A sentence for one number, or for M = 2, where every number is its own partner."""
    if recurrent_bits(task, n) > 0:
        return None
    return f"with N = {n} and these residues the last answer does not depend on the numbers before"


registry.register("match2-recurrent")(
    Bound(
        name="match2-recurrent",
        task="match2",
        arch="rnn",
        source="INDEX at the last number (one-way argument as in Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 3)",
        expression="min(N − 1, r), r = #{a : 2a ≠ 0 mod M}, or M − 1 with distinct indices",
        measure="state",
        merge=STATE,
        bits=recurrent_bits,
        certificate=recurrent_certificate,
        violated=state_violated,
        vacuous=vacuous,
        reduction=Reduction(INDEX, lambda task, n: int(recurrent_bits(task, n)), ask, last_answer),
    )
)
