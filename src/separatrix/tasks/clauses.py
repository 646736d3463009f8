"""Clauses over N bits, given by the user: do at least so many hold? k-DNF, k-CNF and THRES_{k,N} of the papers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

EMPTY = np.zeros((1, 0), dtype=np.int64)
MOST_LITERALS = 6


@dataclass(frozen=True)
class Formula(Task):
    """What the formula says, without a question.

    formula: clauses separated by commas, literals by blanks, as in DIMACS: 3 is the third bit, -3 its negation.
    join: `and`, a clause holds iff all its literals do (DNF); `or`, iff one does (CNF).
    least: how many clauses must hold; 0 stands for all of them. So DNF is join = and, least = 1; CNF is join = or,
        least = 0; THRES_{k,N} with threshold b is least = b + 1.
    """

    formula: str = "1 -2, 3 4"
    join: str = "and"
    least: int = 1

    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 and Theorem 13 (THRES_{k,N}, k-DNF, k-CNF)"
    length_word = "bits"

    def __post_init__(self) -> None:
        clauses = self.clauses()
        if self.join not in ("and", "or"):
            raise InputError(f"clauses: join = {self.join!r}; take `and` (a DNF's clauses) or `or` (a CNF's)")
        if not 0 <= self.least <= len(clauses):
            raise InputError(f"clauses: least = {self.least}; take 1 to {len(clauses)} clauses, or 0 for all")

    def clauses(self) -> tuple[tuple[int, ...], ...]:
        """Literals of every clause, with distinct variables; InputError for a formula that cannot be read."""
        found = []
        for text in self.formula.split(","):
            if not re.fullmatch(r"\s*-?[1-9][0-9]{0,6}(\s+-?[1-9][0-9]{0,6})*\s*", text):
                raise InputError(f"clauses: {text[:60]!r} is no clause; write literals such as '1 -2', commas between")
            literals = tuple(map(int, text.split()))
            if len({abs(x) for x in literals}) != len(literals) or len(literals) > MOST_LITERALS:
                raise InputError(
                    f"clauses: {text[:60]!r} has a variable twice, or more than {MOST_LITERALS} literals; simplify it"
                )
            found.append(literals)
        return tuple(found)

    @property
    def needed(self) -> int:
        """How many clauses must hold."""
        return self.least or len(self.clauses())

    def domain(self, n: int) -> Sequence:
        clauses = self.clauses()
        least = max(len(clauses), max(abs(x) for clause in clauses for x in clause))
        if not least <= n <= 2**16:
            raise InputError(f"{self.name}: n = {n}; take at least {least} bits (variables, clauses), at most {2**16}")
        return Sequence((np.arange(2),) * n, vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(2)

    def holds(self, tokens: np.ndarray) -> np.ndarray:
        """(batch, clauses) whether each clause holds."""
        found = []
        for clause in self.clauses():
            literals = np.stack([tokens[:, abs(x) - 1] == (x > 0) for x in clause], axis=1)
            found.append(literals.all(axis=1) if self.join == "and" else literals.any(axis=1))
        return np.stack(found, axis=1)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` bits; `near`: one clause made true in half of the inputs, so that both answers are common."""
        self.domain(n)
        bits = rng.integers(0, 2, (size, n))
        if distribution == "uniform":
            return bits, None
        if distribution != "near":
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; there are `uniform` and `near`")
        clauses = self.clauses()
        for row in np.flatnonzero(rng.random(size) < 0.5):
            for literal in clauses[rng.integers(0, len(clauses))]:
                bits[row, abs(literal) - 1] = literal > 0
        return bits, None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n // 2,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return "".join(map(str, tokens))


@registry.register("clauses")
@dataclass(frozen=True)
class Clauses(Formula):
    """N bits; the last position answers 1 iff at least `least` clauses hold. At most N clauses.

    It factors through `ClauseFlags` and `AtLeast`.

    >>> Clauses("1 -2, 3 4").answer(np.array([[0, 1, 1, 1], [1, 1, 0, 1]]))
    array([[1],
           [0]])
    """

    name = "clauses"
    gloss = "do at least so many clauses hold? (--formula '1 -2, 3 4' --join and|or --least 1, 0 for all)"

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return (self.holds(tokens).sum(axis=1, keepdims=True) >= self.needed).astype(np.int64)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """Position i says whether clause i holds; then they are counted."""
        return {"clauses": (ClauseFlags(self.formula, self.join, self.least), AtLeast(self.needed))}


@dataclass(frozen=True)
class ClauseFlags(Formula):
    """Position i answers whether clause i holds; positions without a clause answer 0.

    >>> ClauseFlags("1 -2, 3 4").answer(np.array([[1, 0, 0, 1]]))
    array([[1, 0, 0, 0]])
    """

    name = "clause-flags"
    gloss = "which clauses hold?"

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        flags = np.zeros(tokens.shape, dtype=np.int64)
        flags[:, : len(self.clauses())] = self.holds(tokens)
        return flags

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """All values of the variables of the position's clause."""
        clauses = self.clauses()
        clause = clauses[query] if query < len(clauses) else ()
        others = [abs(x) - 1 for x in clause if abs(x) - 1 != query]
        values = np.zeros((2 ** len(others), len(others)), dtype=np.int64)
        values[:] = list(itertools.product((0, 1), repeat=len(others)))
        for own in range(2):
            tokens = np.zeros((len(values), n), dtype=np.int64)
            tokens[:, others], tokens[:, query] = values, own
            labels = self.answer(tokens)[:, query]
            yield CellGroup(query, own, np.tile(np.array(others, dtype=np.int64), (len(values), 1)), values, labels)


@dataclass(frozen=True)
class AtLeast(Task):
    """Bits; the last position answers 1 iff at least `least` of them are 1.

    >>> AtLeast(2).answer(np.array([[0, 1, 0], [1, 1, 0]]))
    array([[0],
           [1]])
    """

    least: int = 1

    name = "at-least"
    gloss = "are so many bits 1?"
    source = "the threshold that ends Bhattamishra et al. 2024, Theorem 13"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**16:
            raise InputError(f"at-least: n = {n}; take 1 to {2**16}")
        return Sequence((np.arange(2),) * n, vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return (tokens.sum(axis=1, keepdims=True) >= self.least).astype(np.int64)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By an automaton that counts to `least`: for each last bit, the words before it that suffice, and others."""
        table = tuple((q, min(q + 1, self.least)) for q in range(self.least + 1))
        for own in range(2):
            enough = [q for q in range(self.least + 1) if q + own >= self.least]
            for label, accepting in ((1, enough), (0, sorted(set(range(self.least + 1)) - set(enough)))):
                reached = [q for q in accepting if q <= n - 1]
                if reached:
                    constraint = Constraint(
                        "regular", transitions=table, accepting=tuple(reached), positions=tuple(range(n - 1))
                    )
                    yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([label]), constraint=constraint)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        if distribution != "uniform":
            raise InputError(f"at-least: distribution {distribution!r} is not known; there is `uniform`")
        return rng.integers(0, 2, (size, n)), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return "".join(map(str, tokens))
