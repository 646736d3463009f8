"""Match3 among neighbours, and nearby.

Neighbours, recurrent: Alice's numbers stand between zeros, so that each is two of the sums, and -v asks for v. One
layer: Alice's and Bob's numbers alternate, and a 1 asks for M - 1; Bob's number M - 1 - v beside one of Alice's asks
whether it is v, her numbers left and right of his being from different halves, and a 0 of his asks nothing.

Nearby: the last number x before the cut is seen by Bob's first one, a, with a number r behind it. Of two numbers x, x'
with r = -a - x, the second makes no sum 0 but for at most eight a: a = -2 x', 2a = -x', 3a = 0, a = x, a = -2x.
"""

from __future__ import annotations

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
from separatrix.cannot.engine.readings import low
from separatrix.cannot.engine.rows import rows_certificate
from separatrix.cannot.messages import ONE_WAY
from separatrix.cannot.reduction import EQ, INDEX, Reduction, last_answer, numbers
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.match3_bigram import Match3Bigram
from separatrix.tasks.match3_local import Match3Local

MOST_WORK = 2**31
MOST_MODULUS, MOST_N = 2**8, 2**12  # for which rows are written down
ASKED = 16  # values of a, of which at most eight fail


def free(task: Match3Bigram) -> np.ndarray:
    """Numbers v that -v asks for and that no number asks for of itself: not 0, and not M/2."""
    every = np.arange(1, task.modulus)
    return every[2 * every != task.modulus]


def between(task: Match3Bigram, n: int) -> tuple[int, int]:
    """(Alice's positions, numbers of each besides 0)."""
    u = min((n - 1) // 2, len(free(task)))
    return (u, len(free(task)) // u) if u > 0 else (0, 0)


def recurrent_bits(task: Task, n: int) -> float:
    """u log2(1 + floor(F/u)), u = min(floor((N - 1)/2), F)."""
    u, own = between(of_kind(Match3Bigram, task), n)
    return log2_sum({own + 1: u}) if u else 0.0


def recurrent_certificate(task: Task, n: int) -> Certificate:
    """Her numbers end two before the query, zeros between them; Bob's one number asks."""
    bigram = of_kind(Match3Bigram, task)
    u, own = between(bigram, n)
    need(u > 0, "this bound says nothing here")
    words = u * own
    need((words * (own + 1)) * (u * (own + 1) + n) ** 2 <= MOST_WORK, f"a certificate for N = {n} is too large")
    values = free(bigram)[:words].reshape(u, own)
    word = np.zeros((words, n), dtype=np.int64)
    word[:, n - 1] = bigram.modulus - values.reshape(-1)
    sets = {n - 1 - 2 * (u - t): [0, *values[t].tolist()] for t in range(u)}
    return boxes_certificate(task, n, n - 1, sets, word, n - 1, np.repeat(np.arange(u), own))


def recurrent_index(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX: her t-th number is v_t iff bit t is 1, else 0."""
    bigram, u = of_kind(Match3Bigram, task), a.shape[1]
    tokens = np.zeros((len(a), n), dtype=np.int64)
    tokens[:, n - 1 - 2 * u : n - 1 : 2] = a * free(bigram)[:u]
    tokens[:, n - 1] = bigram.modulus - free(bigram)[b.argmax(axis=1)]
    return tokens, None


def apart(task: Match3Bigram, n: int) -> tuple[int, int]:
    """(Alice's positions, numbers of each) where she holds every other position."""
    return max(0, n // 2 - 1), (task.modulus - 2) // 2


def one_layer_bits(task: Task, n: int) -> float:
    """(floor(N/2) - 1) log2 floor((M - 2)/2)."""
    u, h = apart(of_kind(Match3Bigram, task), n)
    return log2_sum({h: u}) if u and h >= 2 else 0.0


def one_layer_certificate(task: Task, n: int) -> Certificate:
    """Her numbers are 1 .. h and h + 1 .. 2h by turns; Bob asks for all values of one of them but the last."""
    bigram = of_kind(Match3Bigram, task)
    u, h = apart(bigram, n)
    need(one_layer_bits(task, n) > 0, "this bound says nothing here")
    need(u * h * h * (u * h + n) ** 2 <= MOST_WORK, f"a certificate for N = {n} is too large")
    owners, values = np.divmod(np.arange(u * (h - 1)), h - 1)
    words = np.zeros((len(owners), n), dtype=np.int64)
    words[:, n - 1] = 1
    words[np.arange(len(owners)), 2 * owners + 1] = bigram.modulus - 2 - values - h * (owners % 2)
    sets = {2 * t: [1 + h * (t % 2) + v for v in range(h)] for t in range(u)}
    return boxes_certificate(task, n, n - 1, sets, words, None, owners)


def one_layer_index(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX: her t-th number is the first or second of its half; he asks for the second."""
    bigram, u = of_kind(Match3Bigram, task), a.shape[1]
    first = 1 + apart(bigram, n)[1] * (np.arange(u) % 2)
    tokens = np.zeros((len(a), n), dtype=np.int64)
    tokens[:, : 2 * u : 2], tokens[:, n - 1] = first + a, 1
    tokens[:, 1 : 2 * u : 2] = b * (bigram.modulus - 2 - first)
    return tokens, None


def local_bits(task: Task, n: int) -> float:
    """log2 M for M >= 9: the last number."""
    local = of_kind(Match3Local, task)
    return low(local.modulus) if n >= 3 and local.modulus >= 9 else 0.0


def local_certificate(task: Task, n: int) -> Certificate:
    """One number, repeated, before the cut; Bob's two are any (a, r) with a below 16."""
    local = of_kind(Match3Local, task)
    need(local_bits(task, n) > 0, "this bound says nothing here")
    need(local.modulus <= MOST_MODULUS and n <= MOST_N, f"a certificate for N = {n} is too large")
    every, asked = np.arange(local.modulus), np.arange(min(local.modulus, ASKED))
    suffixes = np.stack(np.meshgrid(asked, every, indexing="ij"), axis=-1).reshape(-1, 2)
    return rows_certificate(task, n, n - 2, np.repeat(every[:, None], n - 2, axis=1), suffixes)


def local_equality(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """EQ, at the last number but one: she holds 2 + a, he 1 and M - 3 - b."""
    local = of_kind(Match3Local, task)
    tokens = np.repeat(2 + np.array(numbers(a))[:, None], n, axis=1)
    tokens[:, n - 2], tokens[:, n - 1] = 1, local.modulus - 3 - np.array(numbers(b))
    return tokens, None


def local_equality_bits(task: Task, n: int) -> int:
    """Whole bits of numbers 2 .. floor(M/4)."""
    return max(1, of_kind(Match3Local, task).modulus // 4 - 1).bit_length() - 1 if n >= 3 else 0


for entry in (
    Bound(
        name="match3-bigram-recurrent",
        task="match3-bigram",
        arch="rnn",
        source="INDEX before the last number; the argument of Sanford, Hsu, Telgarsky 2023, Theorem 7",
        expression="u log₂(1 + ⌊F/u⌋), u = min(⌊(N − 1)/2⌋, F), F = M − 1 (M − 2 for even M)",
        measure="state",
        merge=STATE,
        bits=recurrent_bits,
        certificate=recurrent_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None if recurrent_bits(task, n) > 0 else "the argument needs N >= 3 and M >= 3",
        status="derived here",
        reduction=Reduction(
            INDEX, lambda task, n: between(of_kind(Match3Bigram, task), n)[0], recurrent_index, last_answer
        ),
    ),
    Bound(
        name="match3-bigram-one-layer",
        task="match3-bigram",
        arch="transformer",
        source="one-way INDEX from a known query; the argument of Sanford, Hsu, Telgarsky 2023, Theorem 7",
        expression="(⌊N/2⌋ − 1) log₂ ⌊M/2 − 1⌋",
        measure="one-way",
        merge=ONE_WAY,
        bits=one_layer_bits,
        certificate=one_layer_certificate,
        violated=one_way_violated,
        vacuous=lambda task, n: None if one_layer_bits(task, n) > 0 else "the argument needs N >= 4 and M >= 6",
        status="derived here",
        reduction=Reduction(
            INDEX,
            lambda task, n: apart(of_kind(Match3Bigram, task), n)[0] if one_layer_bits(task, n) > 0 else 0,
            one_layer_index,
            last_answer,
        ),
    ),
    Bound(
        name="match3-local-recurrent",
        task="match3-local",
        arch="rnn",
        source="the last number has a row of its own, whatever it is",
        expression="log₂ M, for M ≥ 9",
        measure="state",
        merge=STATE,
        bits=local_bits,
        certificate=local_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None if local_bits(task, n) > 0 else "the argument needs N >= 3 and M >= 9",
        status="derived here",
        reduction=Reduction(EQ, local_equality_bits, local_equality, lambda task, answers: answers[:, -2]),
    ),
):
    registry.register(entry.name)(entry)
