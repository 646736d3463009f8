"""The steps of k-hop: fetch the symbol before, hop once, double the hops or double them less one. Not registered.

Positions are indices from 0 on. A pointer is the index that it leads to, and 0 where it leads nowhere: nothing ever
leads to index 0, before which no symbol stands. The label pointer * (symbols + 1) + symbol says where a pointer leads
and what stands there (`symbols` for nowhere). For k that is no power of two, labels hold the pointer of one hop less,
too: less * MOST_PAIRS * (symbols + 1) + pointer * (symbols + 1) + symbol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.tasks.flags import EMPTY
from separatrix.tasks.step import Step

MOST = 256  # positions: labels hold a pointer
MOST_PAIRS = 64  # the same where labels hold two


@dataclass(frozen=True)
class Previous(Step):
    """Each position answers with its symbol and the one before: own * (symbols + 1) + before.

    >>> Previous(2).answer(np.array([[1, 0, 1]]))
    array([[5, 1, 3]])
    """

    symbols: int = 2

    name = "k-hop-previous"
    gloss = "the symbol here and the one before"
    source = "Sanford, Hsu, Telgarsky 2024, Section 4 (first layer of the induction head)"
    length_word = "symbols"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= MOST:
            raise InputError(f"{self.name}: n = {n}; take 1 to {MOST} symbols")
        return Sequence((np.arange(self.symbols),) * n, vocabulary=self.symbols)

    def outputs(self) -> Labels:
        return Labels(self.symbols * (self.symbols + 1))

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        first = np.full((len(tokens), 1), self.symbols)
        return tokens * (self.symbols + 1) + np.concatenate([first, tokens[:, :-1]], axis=1)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By the symbol here and the one before."""
        before = np.arange(self.symbols)[:, None]
        for own in range(self.symbols):
            label = own * (self.symbols + 1)
            if query == 0:
                yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([label + self.symbols]))
            else:
                yield CellGroup(query, own, np.full_like(before, query - 1), before, labels=label + before[:, 0])


@dataclass(frozen=True)
class Hop(Previous):
    """Each position points to the last one, up to itself, whose symbol before is its own symbol.

    Reads the labels of `Previous`; answers with the pointer and its symbol, or if `last` with the symbol alone.

    >>> Hop(2).answer(Previous(2).answer(np.array([[1, 0, 1, 1]])))
    array([[ 2,  2,  3, 10]])
    """

    last: bool = False

    name = "k-hop-hop"
    gloss = "where the last earlier occurrence leads"
    causal = True

    def domain(self, n: int) -> Sequence:
        super().domain(n)
        first, labels = _pairs(self.symbols)
        return Sequence((first,) + (labels,) * (n - 1), vocabulary=self.symbols * (self.symbols + 1))

    def outputs(self) -> Labels:
        return Labels(self.symbols + 1 if self.last else MOST * (self.symbols + 1))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        own, before = np.divmod(tokens, self.symbols + 1)
        batch, n = tokens.shape
        rows, latest = np.arange(batch), np.zeros((batch, self.symbols + 1), dtype=np.int64)
        pointer = np.zeros((batch, n), dtype=np.int64)
        for i in range(n):
            if i:
                latest[rows, before[:, i]] = i
            pointer[:, i] = latest[rows, own[:, i]]
        held = np.where(pointer > 0, np.take_along_axis(own, pointer, axis=1), self.symbols)
        return held if self.last else pointer * (self.symbols + 1) + held

    def label(self, pointer: int, held: np.ndarray) -> np.ndarray:
        """The answers for a pointer that leads to these symbols."""
        return held if self.last else pointer * (self.symbols + 1) + held

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By own label, and by the last position before with the right symbol before it, and its symbol."""
        base, held = self.symbols + 1, np.arange(self.symbols)
        nowhere = self.label(0, np.array([self.symbols]))
        for own in _pairs(self.symbols)[1 if query else 0].tolist():
            symbol, before = divmod(own, base)
            if query == 0:
                yield CellGroup(query, own, EMPTY, EMPTY, labels=nowhere)
            elif symbol == before:
                yield CellGroup(query, own, EMPTY, EMPTY, labels=self.label(query, np.array([symbol])))
            else:
                labels = held[:, None] * base + symbol
                for last in range(1, query):
                    where = np.full_like(labels, last)
                    background = _none_behind(self.symbols, n, last, symbol)
                    yield CellGroup(query, own, where, labels, self.label(last, held), background=background)
                background = _none_behind(self.symbols, n, 0, symbol)
                yield CellGroup(query, own, EMPTY, EMPTY, labels=nowhere, background=background)


@dataclass(frozen=True)
class Double(Hop):
    """Each position points to where its pointer's position points; reads and answers labels of `Hop`.

    >>> Double(2).answer(np.array([[2, 2, 3, 7]]))
    array([[2, 2, 2, 3]])
    """

    name = "k-hop-double"
    gloss = "the pointer of the pointer"

    def domain(self, n: int) -> Sequence:
        Previous.domain(self, n)
        return Sequence(tuple(_labels(self.symbols, j) for j in range(n)), vocabulary=MOST * (self.symbols + 1))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        found = np.take_along_axis(tokens, tokens // (self.symbols + 1), axis=1)
        return found % (self.symbols + 1) if self.last else found

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By own pointer, and by the label where it leads."""
        base = self.symbols + 1
        for own in _labels(self.symbols, query).tolist():
            pointer = own // base
            if pointer in (0, query):
                label = np.array([own % base if self.last else own])
                yield CellGroup(query, own, EMPTY, EMPTY, labels=label)
            else:
                found = _labels(self.symbols, pointer)
                labels = found % base if self.last else found
                yield CellGroup(query, own, np.full((len(found), 1), pointer), found[:, None], labels=labels)


@dataclass(frozen=True)
class Chase(Hop):
    """Each position looks up where one of its pointers leads, and answers with the pointers there.

    A pointer of a hops becomes one of 2a hops, or with `short`, where the position that the pointer of a - 1 hops
    leads to is looked up, of 2a - 1.

    Attributes:
        reads, writes: whether labels hold both pointers; those of `Hop` hold one, and the other is the own index.

    >>> Chase(2, writes=True).answer(np.array([[2, 2, 3, 7]])) // 192
    array([[0, 0, 1, 2]])
    """

    short: bool = False
    reads: bool = False
    writes: bool = False

    name = "k-hop-chase"
    gloss = "the pointers of the position that a pointer leads to"

    def domain(self, n: int) -> Sequence:
        Previous.domain(self, n)
        if n > MOST_PAIRS:
            raise InputError(f"{self.name}: n = {n}; take 1 to {MOST_PAIRS} symbols")
        labels = _both if self.reads else _labels
        return Sequence(tuple(labels(self.symbols, j) for j in range(n)), vocabulary=self._count(self.reads))

    def outputs(self) -> Labels:
        return Labels(self.symbols + 1 if self.last else self._count(self.writes))

    def _count(self, both: bool) -> int:
        return MOST_PAIRS**2 * (self.symbols + 1) if both else MOST * (self.symbols + 1)

    def _read(self, labels: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pointers of one hop less and of all hops."""
        less, rest = np.divmod(labels, MOST_PAIRS * (self.symbols + 1))
        return (less, rest // (self.symbols + 1)) if self.reads else (position, labels // (self.symbols + 1))

    def _written(self, found: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The answer where these labels are found at these positions."""
        base = MOST_PAIRS * (self.symbols + 1)
        if self.last:
            return found % (self.symbols + 1)
        if not self.writes:
            return found % base if self.reads else found
        return found if self.reads else at * base + found

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        less, pointer = self._read(tokens, np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape))
        target = less if self.short else pointer
        return self._written(np.take_along_axis(tokens, target, axis=1), target)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By own label, and by the label where it leads."""
        alphabets = self.domain(n).alphabets
        for own in np.asarray(alphabets[query]).tolist():
            less, pointer = self._read(np.array(own), np.array(query))
            target = int(less if self.short else pointer)
            found = np.array([own]) if target == query else np.asarray(alphabets[target])
            labels = self._written(found, np.full(len(found), target))
            if target in (0, query):
                yield CellGroup(query, own, EMPTY, EMPTY, labels=labels)
            else:
                yield CellGroup(query, own, np.full((len(found), 1), target), found[:, None], labels=labels)


@lru_cache(maxsize=2**10)
def _pairs(symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of `Previous` at the first position, and elsewhere."""
    own = np.arange(symbols)[:, None] * (symbols + 1)
    return own[:, 0] + symbols, (own + np.arange(symbols)).reshape(-1)


@lru_cache(maxsize=2**10)
def _labels(symbols: int, position: int) -> np.ndarray:
    """Labels that a pointer may have at a position: nowhere, or a position from 1 to its own, and any symbol."""
    there = np.arange(1, position + 1)[:, None] * (symbols + 1) + np.arange(symbols)
    return np.concatenate([[symbols], there.reshape(-1)])


@lru_cache(maxsize=2**10)
def _both(symbols: int, position: int) -> np.ndarray:
    """The same with the pointer of one hop less, which leads no less far."""
    base = MOST_PAIRS * (symbols + 1)
    pairs = [less * base + _labels(symbols, less) for less in range(position + 1)]
    return np.concatenate(pairs)


@lru_cache(maxsize=2**13)
def _none_behind(symbols: int, n: int, last: int, before: int) -> tuple[np.ndarray, ...]:
    """Anything up to index `last`; behind it no position whose symbol before is `before`."""
    first, anything = _pairs(symbols)
    return (first,) + (anything,) * last + (_others(symbols, before),) * (n - last - 1)


@lru_cache(maxsize=2**12)
def _others(symbols: int, before: int) -> np.ndarray:
    anything = _pairs(symbols)[1]
    return anything[anything % (symbols + 1) != before]
