"""A regular language given by the user as a complete automaton: is the word in it?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

MOST_STATES, MOST_SYMBOLS = 2**12, 2**10


@registry.register("regular")
@dataclass(frozen=True)
class Regular(Task):
    """N symbols; the last position answers 1 iff the automaton, started in state 0, ends in an accepting state.

    transitions: one row a state, separated by commas; in a row the next state for each symbol. accepting: states.

    >>> parity = Regular(transitions="0 1, 1 0", accepting="1")
    >>> parity.answer(np.array([[1, 0, 1], [1, 1, 1]]))
    array([[0],
           [1]])
    """

    transitions: str = "0 1, 1 0"
    accepting: str = "1"

    name = "regular"
    gloss = "is the word in a regular language? (--transitions '0 1, 1 0' --accepting 1: an odd number of ones)"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 and Lemma 4 (automata)"
    length_word = "symbols"

    def __post_init__(self) -> None:
        rows = [_numbers(row) for row in self.transitions.split(",")]
        states, columns = len(rows), len(rows[0])
        accepting = _numbers(self.accepting)
        if not (
            1 <= states <= MOST_STATES
            and 1 <= columns <= MOST_SYMBOLS
            and all(len(row) == columns and max(row) < states for row in rows)
        ):
            raise InputError(
                f"regular: transitions = {self.transitions[:60]!r}: give one row a state, separated by commas, and in "
                f"each row the next state for every symbol; at most {MOST_STATES} states and {MOST_SYMBOLS} symbols"
            )
        if not accepting or max(accepting) >= states:
            raise InputError(f"regular: accepting = {self.accepting[:60]!r} must name states 0 to {states - 1}")

    def automaton(self) -> np.ndarray:
        """(states, symbols) the next state."""
        return np.array([_numbers(row) for row in self.transitions.split(",")])

    def accepted(self) -> tuple[int, ...]:
        """The accepting states."""
        return tuple(sorted(set(_numbers(self.accepting))))

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**16:
            raise InputError(f"regular: n = {n}; take 1 to {2**16} symbols")
        symbols = self.automaton().shape[1]
        return Sequence((np.arange(symbols),) * n, vocabulary=symbols)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        table, state = self.automaton(), np.zeros(len(tokens), dtype=np.int64)
        for symbol in tokens.T:
            state = table[state, symbol]
        return np.isin(state, self.accepted()).astype(np.int64)[:, None]

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """For each last symbol two cells: the words that the automaton accepts, and the others."""
        empty, table = np.zeros((1, 0), dtype=np.int64), tuple(map(tuple, self.automaton().tolist()))
        others = tuple(sorted(set(range(len(table))) - set(self.accepted())))
        for symbol in range(len(table[0])):
            for label, accepting in ((1, self.accepted()), (0, others)):
                constraint = Constraint("regular", transitions=table, accepting=accepting, positions=tuple(range(n)))
                yield CellGroup(query, symbol, empty, empty, labels=np.array([label]), constraint=constraint)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        if distribution != "uniform":
            raise InputError(f"regular: distribution {distribution!r} is not known; there is `uniform`")
        return rng.integers(0, self.domain(n).vocabulary, (size, n)), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (max(1, n // 2),)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))


def _numbers(text: str) -> list[int]:
    """Numbers from 0 on, separated by blanks; InputError for anything else, and for none."""
    if not re.fullmatch(r"\s*[0-9]{1,6}(\s+[0-9]{1,6})*\s*", text):
        raise InputError(f"regular: {text[:60]!r} is no list of numbers from 0 on, separated by blanks")
    return list(map(int, text.split()))
