"""Match3: which numbers have occurred must be kept, or sent, since a known number and one of Bob's ask for any of them.

With a 1 at the query, Bob's number M - 1 - c asks whether c occurs among Alice's numbers, for c in 2 .. floor(M/4); no
other triple comes near 0 modulo M. Each of her positions has numbers of its own besides the filler 1.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.cannot.bound import (
    STATE,
    Bound,
    log2_sum,
    need,
    of_kind,
    one_way_violated,
    registry,
    state_violated,
)
from separatrix.cannot.engine.boxes import boxes_certificate
from separatrix.cannot.messages import ONE_WAY
from separatrix.cannot.reduction import DISJ, INDEX, Reduction, last_answer
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.match3 import Match3

MOST_WORK = 2**31


def block(task: Match3, n: int) -> tuple[int, int]:
    """(Alice's positions, numbers of each besides the filler)."""
    free = max(0, task.modulus // 4 - 1)
    u = min(n - 2, free)
    return (u, free // u) if u > 0 else (0, 0)


def bits(task: Task, n: int) -> float:
    """u log2(1 + floor(F/u)), u = min(N - 2, F), F = floor(M/4) - 1."""
    u, own = block(of_kind(Match3, task), n)
    return log2_sum({own + 1: u}) if u else 0.0


def rows(task: Match3, n: int) -> float:
    """log2 of all the sets that N - 2 numbers can hold: sum_k C(F, k), k = 1 .. N - 2; a formula, not certified."""
    free = max(0, task.modulus // 4 - 1)
    return math.log2(max(1, sum(math.comb(free, k) for k in range(1, n - 1))))


def certificate_at(task: Task, n: int, cut: int | None) -> Certificate:
    """Alice's numbers stand first, then fillers, Bob's number and the query."""
    match3 = of_kind(Match3, task)
    u, own = block(match3, n)
    need(u > 0, "this bound says nothing here")
    words = u * own
    need((words * (own + 1)) * (u * (own + 1) + 2 * n) ** 2 <= MOST_WORK, f"a certificate for N = {n} is too large")
    numbers = 2 + np.arange(words).reshape(u, own)
    word = np.ones((words, n), dtype=np.int64)
    word[:, n - 2] = match3.modulus - 1 - numbers.reshape(-1)
    sets = {t: [1, *numbers[t].tolist()] for t in range(u)}
    return boxes_certificate(task, n, n - 1, sets, word, cut, np.repeat(np.arange(u), own))


def vacuous(task: Task, n: int) -> str | None:
    """A sentence for fewer than three numbers, or M < 8."""
    return None if bits(task, n) > 0 else "the argument needs N >= 3 and M >= 8"


def disjointness_bits(task: Task, n: int) -> int:
    """k elements with N >= 2k + 1 and M >= 2k + 2."""
    return min((n - 1) // 2, of_kind(Match3, task).modulus // 2 - 1)


def disjointness(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """x_1 = 1; element i of a is A_i, of b is M - 1 - A_i, absent ones are 1, with A = 0, 2, 3, .., k."""
    match3, k = of_kind(Match3, task), a.shape[1]
    elements = np.array([0, *range(2, k + 1)])[:k]
    tokens = np.ones((len(a), n), dtype=np.int64)
    tokens[:, 1 : 1 + k] = np.where(a == 1, elements, 1)
    tokens[:, 1 + k : 1 + 2 * k] = np.where(b == 1, match3.modulus - 1 - elements, 1)
    return tokens, None


def ask(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX: position t holds its own number c_t = 2 + t iff bit t is 1, else 1; Bob's number asks for one c_t."""
    match3, k = of_kind(Match3, task), a.shape[1]
    tokens = np.ones((len(a), n), dtype=np.int64)
    tokens[:, :k] = np.where(a == 1, 2 + np.arange(k), 1)
    tokens[:, n - 2] = match3.modulus - 1 - (2 + b.argmax(axis=1))
    return tokens, None


SOURCE = "Sanford, Hsu, Telgarsky 2023, Theorem 7, sharpened: one-way, with numbers of every position's own"
INDEX_INSIDE = Reduction(INDEX, lambda task, n: block(of_kind(Match3, task), n)[0], ask, last_answer)
for entry in (
    Bound(
        name="match3-recurrent",
        task="match3",
        arch="rnn",
        source="INDEX before the last two numbers; the argument of Sanford, Hsu, Telgarsky 2023, Theorem 7",
        expression="u log₂(1 + ⌊F/u⌋), u = min(N − 2, F), F = ⌊M/4⌋ − 1",
        measure="state",
        merge=STATE,
        bits=bits,
        certificate=lambda task, n: certificate_at(task, n, n - 2),
        violated=state_violated,
        vacuous=vacuous,
        status="derived here",
        reduction=INDEX_INSIDE,
    ),
    Bound(
        name="match3-one-layer",
        task="match3",
        arch="transformer",
        source=SOURCE,
        expression="u log₂(1 + ⌊F/u⌋), u = min(N − 2, F), F = ⌊M/4⌋ − 1",
        measure="one-way",
        merge=ONE_WAY,
        bits=bits,
        certificate=lambda task, n: certificate_at(task, n, None),
        violated=one_way_violated,
        vacuous=vacuous,
        status="derived here",
        reduction=Reduction(DISJ, disjointness_bits, disjointness, lambda task, answers: answers[:, 0]),
    ),
):
    registry.register(entry.name)(entry)
