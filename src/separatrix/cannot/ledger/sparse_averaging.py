"""Sparse averaging: recurrent state, first layer of feed-forward nets, and what one attention layer must send."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import numpy as np

from separatrix.cannot.bound import (
    EMBEDDING,
    MESSAGE,
    MOST_ENTRIES,
    MOST_POSITIONS,
    STATE,
    WIDTH,
    Bound,
    certificate,
    embedding_violated,
    log2_sum,
    message_violated,
    need,
    of_kind,
    registry,
    state_violated,
    width_violated,
)
from separatrix.cannot.ledger.averaging_inputs import COMMON, MARGIN, SIGNS, blurred
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.sparse_averaging import SparseAveraging

MOST_LEVELS = 2**53
MOST_SETS = 2**14  # pointer sets in one certificate
SANFORD = "Sanford, Hsu, Telgarsky 2023"


def levels(task: SparseAveraging) -> int:
    """The most equally spaced values of [-1, 1] that one pointer of q tells apart: (K - 1) eps < 1/q."""
    room = (Fraction(1, task.q) - MARGIN) / Fraction(task.eps)
    return max(1, min(math.ceil(room), MOST_LEVELS))


def coordinates(task: SparseAveraging, n: int) -> int:
    """Numbers that the state before the last token must hold: N - 1, or 1 where every token points everywhere."""
    return n - 1 if n > task.q else min(1, n - 1)


def recurrent_bits(task: Task, n: int, most: int = 2) -> float:
    """(N - 1) log2 K with K = min(levels, most) values a number."""
    averaging = of_kind(SparseAveraging, task)
    k = min(levels(averaging), most)
    return log2_sum({k: coordinates(averaging, n)}) if n > 1 else 0.0


def recurrent_certificate(task: Task, n: int, most: int = 2) -> Certificate:
    """By the swap identity where that is quick; else N - max(1, q - 1) numbers, each read by a query of its own."""
    averaging = of_kind(SparseAveraging, task)
    q, k = averaging.q, min(levels(averaging), most)
    need(k >= 2 and n >= 2, "this bound says nothing here")
    if n > q and n * n * (2 * q - 1) <= 2**31:
        return certificate(task, n, "swap-rows", "rnn", "state", recurrent_bits(task, n, most), {"levels": k})
    u = n - max(1, q - 1)
    need(n * q <= MOST_ENTRIES and n <= MOST_POSITIONS and n * u <= 2**33, f"a certificate for N = {n} is too large")
    first = np.tile(np.arange(q), (n, 1))
    reads = np.concatenate([np.arange(u)[:, None], np.tile(np.arange(u, u + q - 1), (u, 1))], axis=1)
    return certificate(
        task,
        n,
        "coordinates",
        "rnn",
        "state",
        log2_sum({k: u}),
        {"cut": u, "levels": k},
        positions=np.arange(u),
        fillers=first[:u],
        suffix=first[u:],
        queries=np.full(u, n - 1),
        pointers=reads,
    )


def recurrent_vacuous(task: Task, n: int) -> str | None:
    """A sentence for one token, or when two signs cannot be told apart within eps."""
    averaging = of_kind(SparseAveraging, task)
    if n < 2:
        return "with one token there is nothing to carry"
    if levels(averaging) < 2:
        return f"eps = {averaging.eps} is not below 1/q = 1/{averaging.q}: a sign need not be read"
    return None


def feedforward_units(task: Task, n: int) -> float:
    """N d' units of the first layer; 0 where the argument does not hold."""
    averaging = of_kind(SparseAveraging, task)
    return float(n * averaging.dim) if feedforward_vacuous(task, n) is None else 0.0


def feedforward_certificate(task: Task, n: int) -> Certificate:
    """The claim is the certificate: the kernel evaluates the swap identity itself."""
    averaging = of_kind(SparseAveraging, task)
    need(feedforward_vacuous(task, n) is None, "this bound says nothing here")
    need(n * n * (2 * averaging.q - 1) <= 2**31, f"a certificate for N = {n} is too large")
    return certificate(task, n, "first-layer-rank", "mlp", "width", feedforward_units(task, n), {})


def feedforward_vacuous(task: Task, n: int) -> str | None:
    """A sentence unless N >= q + 1 and eps < 1/(2q - 1)."""
    averaging = of_kind(SparseAveraging, task)
    if n <= averaging.q:
        return f"the argument swaps a pointer and needs N >= q + 1 = {averaging.q + 1}"
    if not (Fraction(averaging.eps) + MARGIN) * (2 * averaging.q - 1) < 1:
        return f"eps = {averaging.eps} is not below 1/(2q - 1) = 1/{2 * averaging.q - 1}"
    return None


def rows_bits(task: Task, n: int) -> float:
    """log2 C(N - 1, q): every pointer set that avoids the query token has its own row."""
    averaging = of_kind(SparseAveraging, task)
    return log2_sum({math.comb(n - 1, averaging.q): 1}) if rows_vacuous(task, n) is None else 0.0


def rows_certificate(task: Task, n: int) -> Certificate:
    """All pointer sets, where there are at most 2^14 of them."""
    averaging = of_kind(SparseAveraging, task)
    need(rows_vacuous(task, n) is None, "this bound says nothing here")
    count = math.comb(n - 1, averaging.q) if n <= 2**14 else MOST_SETS + 1
    need(count <= MOST_SETS and count * n <= MOST_ENTRIES, f"more than {MOST_SETS} pointer sets are not enumerated")
    sets = np.array(list(combinations(range(n - 1), averaging.q)))
    return _rows(task, n, rows_bits(task, n), sets)


def rows_vacuous(task: Task, n: int) -> str | None:
    """A sentence unless there are two pointer sets and eps < 1/q."""
    averaging = of_kind(SparseAveraging, task)
    if n < averaging.q + 2:
        return "all pointers but the query's own position are taken: there is one pointer set"
    return blurred(averaging)


def embedding_certificate(task: Task, n: int) -> Certificate:
    """The same pointer sets: their vectors must differ."""
    rows = rows_certificate(task, n)
    return replace(rows, claim=replace(rows.claim, measure="embedding"))


def disjointness_bits(task: Task, n: int) -> float:
    """q: token N points at one of each of q pairs."""
    return float(of_kind(SparseAveraging, task).q) if disjointness_vacuous(task, n) is None else 0.0


def disjointness_certificate(task: Task, n: int) -> Certificate:
    """The 2^q pointer sets {2i + b_i}, for q <= 14."""
    averaging = of_kind(SparseAveraging, task)
    need(disjointness_vacuous(task, n) is None, "this bound says nothing here")
    need(averaging.q <= 14 and n << averaging.q <= MOST_ENTRIES, "more than 2^14 pointer sets are not enumerated")
    sets = 2 * np.arange(averaging.q) + np.array(list(product((0, 1), repeat=averaging.q)))
    return _rows(task, n, float(averaging.q), sets)


def disjointness_vacuous(task: Task, n: int) -> str | None:
    """A sentence unless N >= 2q + 1 and eps < 1/q."""
    averaging = of_kind(SparseAveraging, task)
    if n < 2 * averaging.q + 1:
        return f"the reduction needs N >= 2q + 1 = {2 * averaging.q + 1}"
    return blurred(averaging)


def _rows(task: Task, n: int, bits: float, sets: np.ndarray) -> Certificate:
    return certificate(
        task, n, "pointer-rows", "transformer", "message", bits, {"query": n - 1}, pointers=sets.astype(np.int64)
    )


for entry in (
    Bound(
        name="sparse-averaging-recurrent",
        task="sparse-averaging",
        arch="rnn",
        source=f"{SANFORD}, Theorem 11, sharpened from (N − 1)/2 (signs at every position but the last, swap argument)",
        expression="N − 1 (for eps < 1/q, N > q)",
        measure="state",
        merge=STATE,
        bits=recurrent_bits,
        certificate=recurrent_certificate,
        violated=state_violated,
        vacuous=recurrent_vacuous,
        reduction=SIGNS,
    ),
    Bound(
        name="sparse-averaging-recurrent-levels",
        task="sparse-averaging",
        arch="rnn",
        source=f"{SANFORD}, Theorem 11, extended: a number carries K values that are told apart within eps",
        expression="(N − 1) log₂ K, K = ⌈1/(q eps)⌉",
        measure="state",
        merge=STATE,
        bits=lambda task, n: recurrent_bits(task, n, MOST_LEVELS),
        certificate=lambda task, n: recurrent_certificate(task, n, MOST_LEVELS),
        violated=state_violated,
        vacuous=recurrent_vacuous,
        reduction=SIGNS,
    ),
    Bound(
        name="sparse-averaging-feed-forward",
        task="sparse-averaging",
        arch="mlp",
        source=f"{SANFORD}, Theorem 10, sharpened from N d′/2",
        expression="N d′ (for eps < 1/(2q − 1), N > q)",
        measure="width",
        merge=WIDTH,
        bits=feedforward_units,
        certificate=feedforward_certificate,
        violated=width_violated,
        vacuous=feedforward_vacuous,
    ),
    Bound(
        name="sparse-averaging-one-layer",
        task="sparse-averaging",
        arch="transformer",
        source=f"{SANFORD}, Theorem 4, sharpened by counting all pointer sets",
        expression="log₂ C(N − 1, q)",
        measure="message",
        merge=MESSAGE,
        bits=rows_bits,
        certificate=rows_certificate,
        violated=message_violated,
        vacuous=rows_vacuous,
        reduction=COMMON,
    ),
    Bound(
        name="sparse-averaging-any-depth",
        task="sparse-averaging",
        arch="transformer",
        source=f"{SANFORD}, Theorem 4, for any depth: the token is one p-bit vector of the stream",
        expression="log₂ C(N − 1, q)",
        measure="embedding",
        merge=EMBEDDING,
        bits=rows_bits,
        certificate=embedding_certificate,
        violated=embedding_violated,
        vacuous=rows_vacuous,
        reduction=COMMON,
        status="derived here",
    ),
    Bound(
        name="sparse-averaging-disjointness",
        task="sparse-averaging",
        arch="transformer",
        source=f"{SANFORD}, Theorem 4 (reduction from set disjointness)",
        expression="q",
        measure="message",
        merge=MESSAGE,
        bits=disjointness_bits,
        certificate=disjointness_certificate,
        violated=message_violated,
        vacuous=disjointness_vacuous,
        reduction=replace(COMMON, bits=lambda task, n: int(disjointness_bits(task, n))),
    ),
):
    registry.register(entry.name)(entry)
