"""Sums of s numbers: the set of residues that have occurred must be kept, as far as later numbers can ask about it.

Large moduli: with 0 at hand, two numbers w and -w - c of Bob's ask whether c has occurred among Alice's, which are
0 or in L .. 2L - 1. In a hit w and -w - c occur equally often, since s w and all that Alice can add stay below M; once
each leaves c as a sum of Alice's numbers, and two of them exceed it; twice each needs 2c, for which s <= 5 leaves room
for one number at most.

Small moduli: the sets of residues are gone through, and those that a last number tells apart are counted.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np

from separatrix.cannot.bound import STATE, Bound, log2_sum, need, of_kind, registry, state_violated
from separatrix.cannot.engine.boxes import boxes_certificate
from separatrix.cannot.engine.readings import low
from separatrix.cannot.engine.rows import rows_certificate
from separatrix.cannot.reduction import INDEX, Reduction, last_answer
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.match_sums import MatchSums

MOST_SETS = 2**15
MOST_MODULUS = 31  # whose sets are gone through, as bits of a word
MOST_N = 2**12
MOST_WORK = 2**31


def block(task: MatchSums, n: int) -> tuple[int, int, int]:
    """(Alice's positions, numbers of each besides 0, the least number L)."""
    s, modulus = task.order, task.modulus
    free = max(0, ((modulus - s - 1) // (s * s - 1) + 1) // 2) if 3 <= s <= 5 else 0
    u = min(n - 3, free)
    return (u, free // u, free) if u > 0 else (0, 0, free)


def bits(task: Task, n: int) -> float:
    """u log2(1 + floor(L/u)), u = min(N - 3, L)."""
    u, own, _ = block(of_kind(MatchSums, task), n)
    return log2_sum({own + 1: u}) if u else 0.0


def marker(task: MatchSums, least: int) -> int:
    """w: above all that the other numbers can add up to."""
    return (task.order - 1) * (2 * least - 1) + 1


def index_certificate(task: Task, n: int) -> Certificate:
    """Alice's numbers, zeros (one at least), then Bob's two."""
    sums = of_kind(MatchSums, task)
    u, own, least = block(sums, n)
    need(u > 0, "this bound says nothing here")
    words = u * own
    need((words * (own + 1)) * (u * (own + 1) + 2 * n) ** 2 <= MOST_WORK, f"a certificate for N = {n} is too large")
    numbers, w = least + np.arange(words).reshape(u, own), marker(sums, least)
    word = np.zeros((words, n), dtype=np.int64)
    word[:, n - 2], word[:, n - 1] = (-w - numbers.reshape(-1)) % sums.modulus, w
    sets = {t: [0, *numbers[t].tolist()] for t in range(u)}
    return boxes_certificate(task, n, n - 1, sets, word, n - 2, np.repeat(np.arange(u), own))


def ask(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX: position t holds L + t iff bit t is 1, else 0."""
    sums, k = of_kind(MatchSums, task), a.shape[1]
    least = block(sums, n)[2]
    w, tokens = marker(sums, least), np.zeros((len(a), n), dtype=np.int64)
    tokens[:, :k] = np.where(a == 1, least + np.arange(k), 0)
    tokens[:, n - 2], tokens[:, n - 1] = (-w - least - b.argmax(axis=1)) % sums.modulus, w
    return tokens, None


def most_of(task: MatchSums, n: int) -> int:
    """Residues in a set that is gone through: at most N - 1, and no more than 2^15 sets."""
    if task.modulus > MOST_MODULUS or n < 2:
        return 0
    size, count = 0, 0
    while size < min(n - 1, task.modulus) and (count := count + math.comb(task.modulus, size + 1)) <= MOST_SETS:
        size += 1
    return size


@lru_cache(maxsize=64)
def sets_told_apart(order: int, modulus: int, most: int) -> tuple[tuple[int, ...], ...]:
    """A set of at most so many residues for each row: which last numbers have s - 1 partners in it or in themselves."""
    sets = [s for size in range(1, most + 1) for s in itertools.combinations(range(modulus), size)]
    held = np.array([sum(1 << x for x in s) for s in sets], dtype=np.int64)
    rows, every = np.zeros_like(held), (1 << modulus) - 1
    for last in range(modulus):
        own = held | (1 << last)
        sums = own
        for _ in range(order - 2):
            more = np.zeros_like(own)
            for x in range(modulus):
                turned = ((sums << x) | (sums >> (modulus - x))) & every
                more |= np.where((own >> x) & 1, turned, 0)
            sums = more
        rows |= ((sums >> (-last % modulus)) & 1) << last
    _, first = np.unique(rows, return_index=True)
    return tuple(sets[i] for i in first)


def rows_bits(task: Task, n: int) -> float:
    """log2 of the rows of small sets."""
    sums = of_kind(MatchSums, task)
    most = most_of(sums, n)
    return low(len(sets_told_apart(sums.order, sums.modulus, most))) if most else 0.0


def sets_certificate(task: Task, n: int) -> Certificate:
    """A word for each set, its first number repeated, and every last number."""
    sums = of_kind(MatchSums, task)
    most = most_of(sums, n)
    need(most > 0 and n <= MOST_N, f"this bound says nothing here, or a certificate for N = {n} is too large")
    found = sets_told_apart(sums.order, sums.modulus, most)
    prefixes = np.array([(s[0],) * (n - 1 - len(s)) + s for s in found])
    return rows_certificate(task, n, n - 1, prefixes, np.arange(sums.modulus)[:, None])


for entry in (
    Bound(
        name="match-sums-recurrent",
        task="match-sums",
        arch="rnn",
        source="INDEX before the last two numbers, as for Match3 (Sanford, Hsu, Telgarsky 2023, Theorem 7)",
        expression="u log₂(1 + ⌊L/u⌋), u = min(N − 3, L), L ≈ M/(2 s² − 2) for 3 ≤ s ≤ 5",
        measure="state",
        merge=STATE,
        bits=bits,
        certificate=index_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None if bits(task, n) > 0 else "needs N >= 4, 3 <= s <= 5 and M >= s^2 + s",
        status="derived here",
        reduction=Reduction(INDEX, lambda task, n: block(of_kind(MatchSums, task), n)[0], ask, last_answer),
    ),
    Bound(
        name="match-sums-recurrent-rows",
        task="match-sums",
        arch="rnn",
        source="Myhill 1957, Nerode 1958: sets of residues that one more number tells apart, counted",
        expression="log₂ of the sets of residues that the last number tells apart",
        measure="state",
        merge=STATE,
        bits=rows_bits,
        certificate=sets_certificate,
        violated=state_violated,
        vacuous=lambda task, n: (
            None if rows_bits(task, n) > 0 else f"the sets are gone through for N >= 2 and M up to {MOST_MODULUS}"
        ),
        status="derived here",
    ),
):
    registry.register(entry.name)(entry)
