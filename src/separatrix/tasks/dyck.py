"""Bounded Dyck languages: is a word of brackets well nested, and never nested too deeply?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.dyck_depths import Depths, Matches
from separatrix.tasks.dyck_flags import DepthTwoFlags
from separatrix.tasks.flags import AllDown

MOST_STATES = 2**14
BRACKETS = "([{<", ")]}>"


@registry.register("dyck")
@dataclass(frozen=True)
class Dyck(Task):
    """N brackets of some types (N even), then an end token; answer 1 iff well nested with at most `depth` open.

    Token ids: type t opens as t and closes as types + t; 2 types ends the word. n = N brackets, so N + 1 positions.

    >>> task = Dyck(types=2, depth=2)
    >>> task.answer(np.array([[0, 1, 3, 2, 4], [0, 1, 2, 3, 4]]))  # ([]) and ([)]
    array([[1],
           [0]])
    """

    types: int = 2
    depth: int = 2

    name = "dyck"
    gloss = "is the word of brackets well nested, with a bounded depth"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024 (Dyck-(n,k): n types, k = depth)"
    length_word = "brackets"

    def __post_init__(self) -> None:
        if not 1 <= self.types <= 64 or not 1 <= self.depth <= 64 or self._states() > MOST_STATES:
            raise InputError(
                f"dyck: types = {self.types}, depth = {self.depth}; take 1 to 64 each, and at most {MOST_STATES} stacks"
            )

    def _states(self) -> int:
        """Stacks of at most `depth` open brackets, and one state of no return."""
        return sum(self.types**d for d in range(self.depth + 1)) + 1

    def domain(self, n: int) -> Sequence:
        if not 2 <= n <= 2**16 or n % 2:
            raise InputError(f"dyck: n = {n}; take an even number of brackets, 2 to {2**16}")
        return Sequence((np.arange(2 * self.types),) * n + (np.array([2 * self.types]),), vocabulary=2 * self.types + 1)

    def automaton(self) -> np.ndarray:
        """(states, 2 types) the complete automaton: state 0 is the empty stack and accepts, the last one is lost.

        A stack t_1 .. t_d is number first(d) + sum_i t_i types^(d - i), first(d) being the number of shorter stacks.
        """
        lost = self._states() - 1
        table = np.full((lost + 1, 2 * self.types), lost)
        first = np.cumsum([0] + [self.types**d for d in range(self.depth + 1)])
        for d in range(self.depth + 1):
            for stack in range(self.types**d):
                if d < self.depth:
                    table[first[d] + stack, : self.types] = first[d + 1] + stack * self.types + np.arange(self.types)
                if d:
                    rest, top = divmod(stack, self.types)
                    table[first[d] + stack, self.types + top] = first[d - 1] + rest
        return table

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        """By a stack for every row: open types in `stacks`, and whether anything went wrong."""
        rows, size = np.arange(len(tokens)), np.zeros(len(tokens), dtype=np.int64)
        stacks, wrong = np.full((len(tokens), self.depth + 1), -1), np.zeros(len(tokens), dtype=bool)
        for symbol in tokens[:, :-1].T:
            opens = symbol < self.types
            wrong |= opens & (size == self.depth)
            wrong |= ~opens & ((size == 0) | (stacks[rows, size] != symbol - self.types))
            size = np.where(wrong, 0, size + np.where(opens, 1, -1))
            stacks[rows, np.where(opens, size, 0)] = np.where(opens, symbol, -1)
        return (~wrong & (size == 0)).astype(np.int64)[:, None]

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """Two cells: the words that the automaton accepts, and the others."""
        empty, table = np.zeros((1, 0), dtype=np.int64), tuple(map(tuple, self.automaton().tolist()))
        for label, accepting in ((1, (0,)), (0, tuple(range(1, len(table))))):
            constraint = Constraint("regular", transitions=table, accepting=accepting, positions=tuple(range(n)))
            yield CellGroup(n, 2 * self.types, empty, empty, labels=np.array([label]), constraint=constraint)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """Count depths, match brackets, ask whether any flag is up; depth 2: flag what breaks its rule, then ask."""
        ways: dict[str, tuple[Task, ...]] = {}
        if self.depth == 2:
            ways["flags"] = (DepthTwoFlags(self.types), AllDown())
        return ways | {"depths": (Depths(self.types, self.depth), Matches(self.types, self.depth), AllDown())}

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` words, nearly all wrong; `balanced`: half right, half wrong, as in the paper's experiments.

        Right words: an opener when nothing is open, a closer when `depth` are, else a fair coin, while what is open
        can still be closed. Wrong ones: a right word with 1 to N/10 brackets retyped or turned, until it is wrong.
        """
        self.domain(n)
        end = np.full((size, 1), 2 * self.types)
        if distribution == "uniform":
            return np.concatenate([rng.integers(0, 2 * self.types, (size, n)), end], axis=1), None
        if distribution != "balanced":
            raise InputError(f"dyck: distribution {distribution!r} is not known; there are `uniform` and `balanced`")
        words = np.concatenate([self._right_words(n, size, rng), end], axis=1)
        wrong = np.flatnonzero(rng.random(size) < 0.5)
        right = words.copy()
        while len(wrong):
            words[wrong] = right[wrong]
            places = rng.random((len(wrong), n)).argsort(axis=1) < rng.integers(1, max(1, n // 10) + 1, (len(wrong), 1))
            retyped = rng.random((len(wrong), n)) < 0.5 * (self.types > 1)
            kind, closes = words[wrong, :-1] % self.types, words[wrong, :-1] // self.types
            kind = np.where(
                places & retyped, (kind + rng.integers(1, max(2, self.types), kind.shape)) % self.types, kind
            )
            closes = np.where(places & ~retyped, 1 - closes, closes)
            words[wrong, :-1] = closes * self.types + kind
            wrong = wrong[self.answer(words[wrong])[:, 0] == 1]
        return words, None

    def _right_words(self, n: int, size: int, rng: np.random.Generator) -> np.ndarray:
        rows, open_now = np.arange(size), np.zeros(size, dtype=np.int64)
        words, stacks = np.empty((size, n), dtype=np.int64), np.zeros((size, self.depth + 1), dtype=np.int64)
        for j in range(n):
            opens = (open_now == 0) | ((open_now < self.depth) & (rng.random(size) < 0.5))
            opens &= open_now < n - j
            kind = rng.integers(0, self.types, size)
            words[:, j] = np.where(opens, kind, self.types + stacks[rows, open_now])
            open_now = open_now + np.where(opens, 1, -1)
            stacks[rows[opens], open_now[opens]] = kind[opens]
        return words

    def splits(self, n: int) -> tuple[int, ...]:
        return (n // 2,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        """Up to four types as brackets; otherwise (3 opens type 3 and 3) closes it."""
        parts = []
        for symbol in tokens[:-1].tolist():
            closes, kind = divmod(symbol, self.types)
            if self.types <= len(BRACKETS[0]):
                parts.append(BRACKETS[closes][kind])
            else:
                parts.append(f" {kind})" if closes else f" ({kind}")
        return "".join(parts).strip()
