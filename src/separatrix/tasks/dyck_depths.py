"""Bounded Dyck languages in three steps: count the depth, match every closer, ask whether anything went wrong.

Steps of `Dyck`, not registered. A word leaves the range where its depth first becomes -1 or more than `depth`; behind
that position nothing matters any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks.flags import DOWN, EMPTY, OPEN, UP


@dataclass(frozen=True)
class Depths(Task):
    """Each position answers its bracket and the depth behind it, or that the word leaves, or has left, the range.

    Labels: symbol * (depth + 1) + depth behind it; then leaves, left, and for the end token ends at 0, ends above 0,
    ends after it left. (Left, and how a word ends after it left, say nothing of the symbol.)

    >>> Depths(types=1, depth=1).answer(np.array([[0, 1, 2], [0, 0, 2]]))
    array([[1, 2, 6],
           [1, 4, 8]])
    """

    types: int = 2
    depth: int = 2

    name = "dyck-depths"
    gloss = "the depth behind each bracket"
    source = "Yao, Peng, Papadimitriou, Narasimhan 2021 (depth by counting)"
    length_word = "brackets"

    @property
    def leaves(self) -> int:
        """The first label that is no bracket with its depth."""
        return 2 * self.types * (self.depth + 1)

    def domain(self, n: int) -> Sequence:
        if not 2 <= n <= 2**16 or n % 2:
            raise InputError(f"{self.name}: n = {n}; take an even number of brackets, 2 to {2**16}")
        return Sequence((np.arange(2 * self.types),) * n + (np.array([2 * self.types]),), vocabulary=2 * self.types + 1)

    def outputs(self) -> Labels:
        return Labels(self.leaves + 5)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n + 1))

    def label(self, symbol: int, before: int) -> int:
        """The answer where `symbol` stands at depth `before`; depth + 1 stands for a word that has left the range."""
        if symbol == 2 * self.types:
            return self.leaves + 2 + (2 if before > self.depth else min(before, 1))
        if before > self.depth:
            return self.leaves + 1
        behind = before + (1 if symbol < self.types else -1)
        return symbol * (self.depth + 1) + behind if 0 <= behind <= self.depth else self.leaves

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        table = np.array([[self.label(s, m) for s in range(2 * self.types + 1)] for m in range(self.depth + 2)])
        steps, state = np.array(self._transitions()), np.zeros(len(tokens), dtype=np.int64)
        labels = np.empty(tokens.shape, dtype=np.int64)
        for j, symbol in enumerate(tokens.T):
            labels[:, j] = table[state, symbol]
            state = steps[state, symbol]
        return labels

    def _transitions(self) -> tuple[tuple[int, ...], ...]:
        """Depth by depth where a symbol leads; depth + 1: has left. The end token leads nowhere."""
        gone = self.depth + 1
        rows = []
        for m in range(gone):
            up, down = m + 1, (m - 1 if m else gone)
            rows.append((up,) * self.types + (down,) * self.types + (m,))
        return (*rows, (gone,) * (2 * self.types + 1))

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By own symbol and the depth before it."""
        table, places = self._transitions(), tuple(range(query))
        for symbol in (2 * self.types,) if query == n else range(2 * self.types):
            if query == 0:
                yield CellGroup(0, symbol, EMPTY, EMPTY, labels=np.array([self.label(symbol, 0)]))
                continue
            for before in range(self.depth + 2):
                tie = Constraint("regular", transitions=table, accepting=(before,), positions=places)
                label = np.array([self.label(symbol, before)])
                yield CellGroup(query, symbol, EMPTY, EMPTY, labels=label, constraint=tie)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` words."""
        if distribution != "uniform":
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; there is `uniform`")
        words = rng.integers(0, 2 * self.types, (size, n))
        return np.concatenate([words, np.full((size, 1), 2 * self.types)], axis=1), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))


@dataclass(frozen=True)
class Matches(Depths):
    """Flags from the labels of `Depths`: up where a closer has another type than the bracket it closes, where a word
    leaves the range, or ends above 0; open where a word has left the range.

    A closer with depth d behind it closes the last opener before it with depth d + 1 behind it.
    """

    name = "dyck-matches"
    gloss = "does every bracket close its own"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3; Yao et al. 2021 (depth D)"
    causal = True

    def domain(self, n: int) -> Sequence:
        """Words of labels that `Depths` gives."""
        super().domain(n)
        gone, wrong = self.depth + 1, self.depth + 2
        rows = []
        for m in range(self.depth + 3):
            row = [wrong] * (self.leaves + 5)
            for symbol in range(2 * self.types + 1) if m < wrong else ():
                row[self.label(symbol, m)] = m
            for symbol in range(2 * self.types) if m <= self.depth else ():
                label = self.label(symbol, m)
                row[label] = gone if label == self.leaves else label % (self.depth + 1)
            rows.append(tuple(row))
        inside, end = np.arange(self.leaves + 2), np.arange(self.leaves + 2, self.leaves + 5)
        tie = Constraint("regular", transitions=tuple(rows), accepting=tuple(range(wrong)))
        return Sequence((inside,) * n + (end,), self.leaves + 5, tie)

    def outputs(self) -> Labels:
        return Labels(3)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        rows, flags = np.arange(len(tokens)), np.full(tokens.shape, DOWN)
        latest = np.full((len(tokens), self.depth + 2), -1)  # type of the last opener by the depth behind it
        for j, label in enumerate(tokens.T):
            symbol, behind = label // (self.depth + 1), label % (self.depth + 1)
            inside = label < self.leaves
            opens, closes = inside & (symbol < self.types), inside & (symbol >= self.types)
            latest[rows[opens], behind[opens]] = symbol[opens]
            found = latest[rows, np.where(closes, behind + 1, 0)]
            flags[:, j] = np.where(closes & (found != symbol - self.types), UP, flags[:, j])
            flags[(label == self.leaves) | (label == self.leaves + 3), j] = UP
            flags[(label == self.leaves + 1) | (label == self.leaves + 4), j] = OPEN
        return flags

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """Openers and odd labels by themselves; closers by place and type of the opener that they close."""
        one, kinds = np.array([0]), np.arange(self.types)
        if query == n:
            for label, flag in zip(range(self.leaves + 2, self.leaves + 5), (DOWN, UP, OPEN), strict=True):
                yield CellGroup(query, label, EMPTY, EMPTY, labels=one + flag)
            return
        yield CellGroup(query, self.leaves, EMPTY, EMPTY, labels=one + UP)
        yield CellGroup(query, self.leaves + 1, EMPTY, EMPTY, labels=one + OPEN)
        for behind in range((query + 1) % 2, self.depth + 1, 2):  # the depth has the parity of the length
            for kind in range(self.types):
                yield CellGroup(query, kind * (self.depth + 1) + behind, EMPTY, EMPTY, labels=one + DOWN)
            for kind in range(self.types) if behind < self.depth else ():
                own = (self.types + kind) * (self.depth + 1) + behind
                openers, flags = kinds[:, None] * (self.depth + 1) + behind + 1, np.where(kinds == kind, DOWN, UP)
                for last in range(behind, query, 2):
                    where = np.full_like(openers, last)
                    background = _none_behind(self.types, self.depth, n, last, behind + 1)
                    yield CellGroup(query, own, where, openers, labels=flags, background=background)


@lru_cache(maxsize=2**13)
def _none_behind(types: int, depth: int, n: int, last: int, level: int) -> tuple[np.ndarray, ...]:
    """Any brackets inside the range up to position index `last`; behind it none that opens to depth `level`."""
    inside, others, end = _alphabets(types, depth, level)
    return (inside,) * (last + 1) + (others,) * (n - last - 1) + (end,)


@lru_cache(maxsize=2**10)
def _alphabets(types: int, depth: int, level: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.arange(2 * types * (depth + 1))
    openers = (labels < types * (depth + 1)) & (labels % (depth + 1) == level)
    return labels, labels[~openers], np.arange(2 * types * (depth + 1) + 2, 2 * types * (depth + 1) + 5)
