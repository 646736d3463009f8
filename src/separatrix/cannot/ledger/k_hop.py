"""k-hop: what stands behind the last occurrence of each symbol must be kept; one attention layer must send half a word.

Recurrent, one hop: keys 0, 1, .. stand in order, each with any greater symbol behind it, so that no later pair writes
over an earlier one, and the last symbol asks for a key. Any number of hops: the short words before the last symbol are
gone through, and those are counted that it tells apart.

One layer, one hop: the symbol 0 asks. Bob holds every other position, and puts a 0 before the symbol of Alice's that he
wants to know; her symbols are not 0 (as in Sanford, Hsu, Telgarsky 2024 for induction heads).
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from separatrix.cannot.bound import STATE, Bound, log2_sum, need, of_kind, one_way_violated, registry, state_violated
from separatrix.cannot.engine.boxes import boxes_certificate
from separatrix.cannot.engine.coordinates import coordinates_certificate
from separatrix.cannot.engine.readings import low
from separatrix.cannot.engine.rows import rows_certificate
from separatrix.cannot.messages import ONE_WAY
from separatrix.cannot.reduction import INDEX, Reduction
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.k_hop import KHop

MOST_WORK = 2**31
MOST_N = 2**12
LETTERS, SHORT = 4, 7  # of the short words: symbols, length


def keys(task: KHop, n: int) -> int:
    """Keys with two symbols or more to choose from."""
    return min(task.symbols - 2, (n - 1) // 2) if task.k == 1 else 0


def recurrent_bits(task: Task, n: int) -> float:
    """sum_i log2(S - i), i = 1 .. min(S - 2, floor((N - 1)/2))."""
    hop = of_kind(KHop, task)
    return log2_sum({hop.symbols - 1 - i: 1 for i in range(keys(hop, n))}) if keys(hop, n) else 0.0


def paired(task: KHop, n: int, held: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(batch, N): the symbols held (batch, u) behind their keys, the first key before them, and the key that asks."""
    u = held.shape[1]
    tokens = np.zeros((len(held), n), dtype=np.int64)
    tokens[:, n - 1 - 2 * u : n - 1 : 2], tokens[:, n - 2 * u : n : 2] = np.arange(u), held
    tokens[:, n - 1] = asked
    return tokens


def recurrent_certificate(task: Task, n: int) -> Certificate:
    """Behind key i stands any symbol from i + 1 on."""
    hop = of_kind(KHop, task)
    u = keys(hop, n)
    need(u > 0, "this bound says nothing here")
    hop.domain(n)
    need((hop.symbols * u) ** 2 + n * hop.symbols * u <= MOST_WORK, f"a certificate for N = {n} is too large")
    base = paired(hop, n, np.zeros((1, u), dtype=np.int64), np.zeros(1, dtype=np.int64))[0, : n - 1]
    sets = {n - 2 * u + 2 * i: list(range(i + 1, hop.symbols)) for i in range(u)}
    for p, symbols in sets.items():
        base[p] = symbols[0]
    return coordinates_certificate(task, n, n - 1, sets, base, np.arange(u)[:, None], np.full(u, n - 1))


def recurrent_index(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX: behind key i stands the last symbol iff bit i is 1, else the last but one."""
    hop = of_kind(KHop, task)
    return paired(hop, n, hop.symbols - 2 + a, b.argmax(axis=1)), None


def short_words(task: KHop, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(words (m, N - 1), symbols that ask): a word for each row, zeros before it.

    From two zeros on it does not matter how many there are: hops to them stay.
    """
    words, letters = _short(task.k, task.symbols, min(n, SHORT + 3))
    zeros = np.zeros((len(words), n - 1 - words.shape[1]), dtype=np.int64)
    return np.concatenate([zeros, words], axis=1), np.arange(letters)


@lru_cache(maxsize=64)
def _short(k: int, symbols: int, n: int) -> tuple[np.ndarray, int]:
    task, letters, length = KHop(k, symbols), min(symbols, LETTERS), min(n - 1, SHORT)
    words = np.array(list(itertools.product(range(letters), repeat=length)))
    before = np.zeros((len(words), n - 1 - length), dtype=np.int64)
    rows = np.empty((len(words), letters), dtype=np.int64)
    for last in range(letters):
        rows[:, last] = task.answer(np.column_stack([before, words, np.full(len(words), last)]))[:, -1]
    _, first = np.unique(rows, axis=0, return_index=True)
    return words[first], letters


def rows_bits(task: Task, n: int) -> float:
    """log2 of the rows of short words."""
    return low(len(short_words(of_kind(KHop, task), min(n, SHORT + 3))[0])) if n >= 2 else 0.0


def rows_of_words(task: Task, n: int) -> Certificate:
    """The words and the last symbols."""
    hop = of_kind(KHop, task)
    need(2 <= n <= MOST_N, f"this bound says nothing here, or a certificate for N = {n} is too large")
    prefixes, last = short_words(hop, n)
    return rows_certificate(task, n, n - 1, prefixes, last[:, None])


def sent(task: KHop, n: int) -> int:
    """Alice's symbols, where she holds every other position."""
    return (n - 1) // 2 if task.k == 1 and task.symbols >= 3 else 0


def one_layer_bits(task: Task, n: int) -> float:
    """floor((N - 1)/2) log2(S - 1)."""
    hop = of_kind(KHop, task)
    return log2_sum({hop.symbols - 1: sent(hop, n)}) if sent(hop, n) else 0.0


def alternate(task: KHop, n: int, hers: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(batch, N): Bob's positions hold 1, but for the one before the symbol that is asked for; the query holds 0."""
    u = hers.shape[1]
    tokens = np.ones((len(hers), n), dtype=np.int64)
    tokens[:, : 2 * u : 2] = asked[:, None] != np.arange(u)
    tokens[:, 1 : 2 * u : 2], tokens[:, n - 1] = hers, 0
    return tokens


def one_layer_certificate(task: Task, n: int) -> Certificate:
    """Her symbols are 1 .. S - 1."""
    hop = of_kind(KHop, task)
    u, symbols = sent(hop, n), list(range(1, hop.symbols))
    need(u > 0, "this bound says nothing here")
    work = u * len(symbols) * (u * len(symbols) + n) ** 2
    need(work <= MOST_WORK, f"a certificate for N = {n} is too large")
    words = alternate(hop, n, np.ones((u, u), dtype=np.int64), np.arange(u))
    return boxes_certificate(task, n, n - 1, {2 * i + 1: symbols for i in range(u)}, words)


def one_layer_index(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX: her symbols are 1 and 2."""
    return alternate(of_kind(KHop, task), n, 1 + a, b.argmax(axis=1)), None


for entry in (
    Bound(
        name="k-hop-recurrent",
        task="k-hop",
        arch="rnn",
        source="INDEX behind the keys; compare Sanford, Hsu, Telgarsky 2024 (induction heads)",
        expression="Σ_i log₂(S − i), i up to min(S − 2, (N − 1)/2), for k = 1",
        measure="state",
        merge=STATE,
        bits=recurrent_bits,
        certificate=recurrent_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None if recurrent_bits(task, n) > 0 else "needs k = 1, N >= 3 and three symbols",
        status="derived here",
        reduction=Reduction(
            INDEX,
            lambda task, n: keys(of_kind(KHop, task), n),
            recurrent_index,
            lambda task, answers: answers[:, -1] - (of_kind(KHop, task).symbols - 2),
        ),
    ),
    Bound(
        name="k-hop-recurrent-rows",
        task="k-hop",
        arch="rnn",
        source="Myhill 1957, Nerode 1958: short words that the last symbol tells apart, counted",
        expression="log₂ of the words of 7 symbols that the last one tells apart",
        measure="state",
        merge=STATE,
        bits=rows_bits,
        certificate=rows_of_words,
        violated=state_violated,
        vacuous=lambda task, n: None if rows_bits(task, n) > 0 else "with one symbol there is nothing to carry",
        status="derived here",
    ),
    Bound(
        name="k-hop-one-layer",
        task="k-hop",
        arch="transformer",
        source="Sanford, Hsu, Telgarsky 2024 (induction heads), one-way from a known query and with its constant",
        expression="⌊(N − 1)/2⌋ log₂(S − 1), for k = 1",
        measure="one-way",
        merge=ONE_WAY,
        bits=one_layer_bits,
        certificate=one_layer_certificate,
        violated=one_way_violated,
        vacuous=lambda task, n: None if one_layer_bits(task, n) > 0 else "needs k = 1, N >= 3 and three symbols",
        status="derived here",
        reduction=Reduction(
            INDEX,
            lambda task, n: sent(of_kind(KHop, task), n),
            one_layer_index,
            lambda task, answers: answers[:, -1] - 1,
        ),
    ),
):
    registry.register(entry.name)(entry)
