"""Certificates of kind `gadget`: a search for small blocks that the answer joins by AND, OR or XOR, at any length.

Where blocks may stand is guessed: pairs across the halves, neighbours, mirror images, one or two symbols a side. One
block is varied before a background of equal pairs of words; the pair that leaves the answer as it is is idle, and the
answers say what table and which join there can be. Words are then added one pair at a time while the rank grows and
random choices agree. That a search finds nothing says nothing about the task.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from separatrix.cannot.bound import certificate, log2_sum, need
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.errors import InputError
from separatrix.core.guarantee import CHECKED
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.kernel.gadget import Blocks
from separatrix.kernel.judge import SAMPLED

SECONDS = 12.0
SAMPLES = 20_000  # of a join that is not proved
TRIED = 64  # choices on which a table is tried while it grows
MOST_WORDS = 8  # of a side
MOST_LETTERS = 64  # words of a side that are looked at
MOST_BACKGROUNDS = 64
MOST_PAIRS = 256  # of words that may be taken in
MOST_CHOICES = 2**14  # up to so many the kernel enumerates
Layout = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Gadget:
    """What a search found: the blocks with their table, and the rank of one."""

    blocks: Blocks
    rank: int

    @property
    def bits(self) -> float:
        """d log2 rank."""
        return log2_sum({self.rank: len(self.blocks.hers)})


def layouts(free: list[int], query: int) -> Iterator[Layout]:
    """Positions (d, a) of Alice's and (d, b) of Bob's blocks among the free positions.

    Where the query is left out, also the pairings that it would be part of, without its block.
    """
    yield from _pairings(free)
    if query not in free:
        for hers, his in _pairings(sorted([*free, query])):
            kept = ~((hers == query).any(axis=1) | (his == query).any(axis=1))
            if 0 < kept.sum() < len(hers):
                yield hers[kept], his[kept]


def _pairings(free: list[int]) -> Iterator[Layout]:
    for width in (1, 2):
        m = len(free) // (2 * width) * 2 * width
        if m == 0:
            continue
        for start in sorted({0, len(free) - m}):
            line = np.array(free[start : start + m])
            first, second = line[: m // 2].reshape(-1, width), line[m // 2 :].reshape(-1, width)
            yield first, second
            yield first, second[::-1, ::-1]
            runs = line.reshape(-1, 2, width)
            yield runs[:, 0], runs[:, 1]
            yield runs[:, 1], runs[:, 0]


def search(
    task: Task, n: int, cut: int | None = None, known: bool = False, seed: int = 0, seconds: float = SECONDS
) -> list[Gadget]:
    """Gadgets, most bits first; UnknownError where none is found.

    cut: Alice stands before it, Bob after it. known: the token at the query stays out of the blocks. seconds: of
    processor time, after which no further background is tried.
    """
    domain, queries = task.domain(n), task.queries(n)
    need(isinstance(task.outputs(), Labels) and len(queries) == 1, "one position must be scored with labels")
    need(domain.reals is None and not any(isinstance(a, PointerSets) for a in domain.alphabets), "symbols are needed")
    need(domain.constraint.kind == "product" and not domain.lengths, "a product domain of one length is needed")
    rng = child(seed, "gadget", task.name, n)
    alphabets = [np.asarray(a) for a in domain.alphabets]
    free = [p for p, a in enumerate(alphabets) if len(a) > 1 and not (known and p == queries[0])]
    found: list[Gadget] = []
    deadline = time.process_time() + seconds
    for hers, his in layouts(free, queries[0]):
        if cut is not None and ((hers >= cut).any() or (his < cut).any()):
            continue
        letters = [_letters(alphabets, positions) for positions in (hers, his)]
        if letters[0] is None or letters[1] is None:
            continue
        base = np.array([a[0] for a in alphabets])
        empty = np.zeros((1, 1), dtype=np.int64)
        for words in _backgrounds(len(letters[0]), len(letters[1]), rng):
            if time.process_time() > deadline:
                break
            start = Blocks(queries[0], "and", 0, hers, his, letters[0], letters[1], empty, base)
            found += _grown(task, n, start, words, rng)
        most = min(hers.size, his.size) * math.log2(len(alphabets[free[0]]))
        if any(gadget.bits >= most for gadget in found):
            break  # no partition of these positions shows more
    need(bool(found), "no gadget was found; that says nothing about the task")
    return sorted(found, key=lambda gadget: -gadget.bits)


def _letters(alphabets: list[np.ndarray], positions: np.ndarray) -> np.ndarray | None:
    """(words, width) the words of a side; None where blocks have different ones, or too many."""
    first = [alphabets[p] for p in positions[0].tolist()]
    for row in positions.tolist():
        if any(not np.array_equal(alphabets[p], a) for p, a in zip(row, first, strict=True)):
            return None
    words = list(itertools.islice(itertools.product(*(a.tolist() for a in first)), MOST_LETTERS + 1))
    return np.array(words) if 2 <= len(words) <= MOST_LETTERS else None


def _backgrounds(r: int, c: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    pairs = [(u, v) for u in range(r) for v in range(c)]
    if len(pairs) <= MOST_BACKGROUNDS:
        return pairs
    return [pairs[i] for i in np.sort(rng.choice(len(pairs), MOST_BACKGROUNDS, replace=False)).tolist()]


def _grown(task: Task, n: int, start: Blocks, idle: tuple[int, int], rng: np.random.Generator) -> Iterator[Gadget]:
    """The gadgets before this background: one for each join and value."""
    d, r, c = len(start.hers), len(start.her_words), len(start.his_words)
    hers, his = np.full((r * c, d), idle[0]), np.full((r * c, d), idle[1])
    hers[:, 0], his[:, 0] = np.divmod(np.arange(r * c), c)
    shown = task.answer(start.words(hers, his))[:, 0].reshape(r, c)
    quiet = shown[idle]
    if (shown == quiet).all():
        return
    ways = [("and", int(quiet))] + [("xor", int(v)) for v in np.unique(shown[shown != quiet]).tolist()]
    for join, value in ways:
        whole = replace(start, join=join, value=value, table=(shown == value).astype(np.int64))
        kept = ([idle[0]], [idle[1]])
        rank = _rank(whole, *kept)
        pairs = [(u, v) for u in range(r) for v in range(c) if u != idle[0] and v != idle[1]]
        if len(pairs) > MOST_PAIRS:
            pairs = [pairs[i] for i in rng.choice(len(pairs), MOST_PAIRS, replace=False).tolist()]
        for u, v in pairs:
            if u in kept[0] or v in kept[1] or len(kept[0]) == MOST_WORDS:
                continue
            wider = ([*kept[0], u], [*kept[1], v])
            more = _rank(whole, *wider)
            if more > rank and _agrees(task, n, _part(whole, *wider), rng, TRIED):
                kept, rank = wider, more
        part = _part(whole, *kept)
        if rank > 1 and _agrees(task, n, part, rng, 32 * TRIED):
            yield Gadget(part, rank)


def _part(whole: Blocks, rows: list[int], columns: list[int]) -> Blocks:
    return replace(
        whole,
        her_words=whole.her_words[rows],
        his_words=whole.his_words[columns],
        table=whole.table[np.ix_(rows, columns)],
    )


def _rank(whole: Blocks, rows: list[int], columns: list[int]) -> int:
    """In floats, which do for a search."""
    part = whole.table[np.ix_(rows, columns)]
    return int(np.linalg.matrix_rank(1 - 2 * part if whole.join == "xor" else part))


def _agrees(task: Task, n: int, blocks: Blocks, rng: np.random.Generator, size: int) -> bool:
    hers, his = blocks.choices(rng, size)
    return np.array_equal(task.answer(blocks.words(hers, his))[:, 0] == blocks.value, blocks.joined(hers, his))


def gadget_certificate(
    task: Task, n: int, gadget: Gadget, cut: int | None = None, measure: str = "exchange"
) -> Certificate:
    """With a `cut` the claim is about the state of recurrent models; else `exchange` or `one-way` of one layer.

    The join is proved by the task's circuit, by its automaton, or by enumeration, where one of them is there.
    """
    blocks = gadget.blocks
    try:
        gates = task.circuit(n)
    except InputError:
        gates = None
    if gates is not None:
        way: dict[str, object] = {"by": "circuit"}
    elif task.reading(n, blocks.query) is not None:
        way = {"by": "reading"}
    elif blocks.table.size ** len(blocks.hers) <= MOST_CHOICES:
        way = {"by": "words"}
    else:
        way = {"samples": SAMPLES}
    sampled, state = "samples" in way, cut is not None
    evidence = {"query": blocks.query, "join": blocks.join, "value": blocks.value, **way}
    made = certificate(
        task,
        n,
        "gadget-sampled" if sampled else "gadget",
        "rnn" if state else "transformer",
        "state" if state else measure,
        gadget.bits,
        evidence | ({"cut": cut} if state else {}),
        hers=blocks.hers.astype(np.int64),
        his=blocks.his.astype(np.int64),
        her_words=blocks.her_words,
        his_words=blocks.his_words,
        table=blocks.table,
        base=blocks.base,
    )
    return replace(made, guarantee=CHECKED, trusted=SAMPLED) if sampled else made
