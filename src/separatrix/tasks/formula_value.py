"""Formulas: the value of a Boolean formula, or of an arithmetic formula over a finite semiring, from its tokens."""

from __future__ import annotations

import itertools
import re
from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

MOST_TOKENS, MOST_MODULUS = 2**16, 64


@dataclass(frozen=True, eq=False)
class Algebra:
    """A finite set 0 .. size-1 with operations.

    Attributes:
        unary, binary: (symbol, table) pairs; tables are (size,) and (size, size) integer arrays.
        shown: how a person writes the elements.
    """

    unary: tuple[tuple[str, np.ndarray], ...]
    binary: tuple[tuple[str, np.ndarray], ...]
    shown: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self.shown)


@lru_cache(maxsize=64)
def algebra(name: str) -> Algebra:
    """`boolean` (and, or, not), `zM`, `gf2`, `or-and`, `min-plus`, `matrix2-gf2`; InputError for another name.

    min-plus: 0 .. 7 and infinity, where sums from 8 on are infinite (a congruence of the nonnegative integers).
    matrix2-gf2: [[a, b], [c, d]] over GF(2) is number 8a + 4b + 2c + d.
    """
    small = np.arange(2)
    if name in ("boolean", "or-and"):
        pair = (("&", small[:, None] & small), ("|", small[:, None] | small))
        return Algebra((("~", 1 - small),) if name == "boolean" else (), pair, ("0", "1"))
    if match := re.fullmatch(r"z([1-9][0-9]?)", "z2" if name == "gf2" else name):
        ring = np.arange(int(match[1]))
        if 2 <= len(ring) <= MOST_MODULUS:
            plus, times = (ring[:, None] + ring) % len(ring), (ring[:, None] * ring) % len(ring)
            return Algebra((), (("+", plus), ("*", times)), tuple(map(str, ring.tolist())))
    if name == "min-plus":
        costs = np.arange(9)
        added = np.minimum(costs[:, None] + costs, 8)
        return Algebra((), (("min", np.minimum(costs[:, None], costs)), ("+", added)), (*"01234567", "inf"))
    if name == "matrix2-gf2":
        entries = np.array(list(itertools.product(range(2), repeat=4))).reshape(16, 2, 2)
        product = np.einsum("aij,bjk->abik", entries, entries) % 2
        weights = np.array([[8, 4], [2, 1]])
        sums = ((entries[:, None] + entries[None]) % 2 * weights).sum(axis=(2, 3))
        shown = tuple(f"[{a}{b};{c}{d}]" for a, b, c, d in itertools.product(range(2), repeat=4))
        return Algebra((), (("+", sums), ("*", (product * weights).sum(axis=(2, 3)))), shown)
    raise InputError(
        f"algebra {name!r} is not known; there are gf2, z2 .. z{MOST_MODULUS}, or-and, min-plus, matrix2-gf2"
    )


@dataclass(frozen=True)
class FormulaValue(Task):
    """Shared by the two tasks below: n tokens, the last position answers with the formula's value.

    Token ids: the elements; the unary, then the binary operations; then, infix only, `(` and `)`. Encodings:
    `infix`: an element, (op a), or (a op b), fully bracketed. `plof`: postfix, the longer operand first, so a b op with
    |a| >= |b| (Buss 1987). Every word of n tokens is an input; the answer `size` means that it is no formula.
    """

    source = ""
    name = ""
    gloss = ""
    length_word = "tokens of the formula"

    @abstractmethod
    def algebra(self) -> Algebra:
        """The elements and operations."""

    @abstractmethod
    def written(self) -> str:
        """The encoding: infix or plof."""

    def check_encoding(self) -> None:
        """InputError for an encoding that is not known."""
        if self.written() not in ("infix", "plof"):
            raise InputError(f"{self.name}: encoding = {self.written()!r}; take infix or plof")

    def shapes(self, n: int) -> list[tuple[int, int]]:
        """(binary, unary) numbers of operations of formulas with n tokens, most binary ones first."""
        both, one = (4, 3) if self.written() == "infix" else (2, 1)
        pairs = [
            (b, (n - 1 - both * b) // one) for b in range((n - 1) // both, -1, -1) if (n - 1 - both * b) % one == 0
        ]
        return pairs if self.algebra().unary else [(b, u) for b, u in pairs if u == 0]

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= MOST_TOKENS or not self.shapes(n):
            raise InputError(
                f"{self.name}: n = {n}; take 1 to {MOST_TOKENS} tokens, as many as some formula has (n = 9 always fits)"
            )
        kinds = self.algebra()
        vocabulary = kinds.size + len(kinds.unary) + len(kinds.binary) + 2 * (self.written() == "infix")
        return Sequence((np.arange(vocabulary),) * n, vocabulary=vocabulary)

    def outputs(self) -> Labels:
        return Labels(self.algebra().size + 1)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        """By a stack machine on every row at once."""
        return (self._infix(tokens) if self.written() == "infix" else self._postfix(tokens))[:, None]

    def _tables(self) -> tuple[int, int, int, np.ndarray, np.ndarray]:
        """First unary, first binary and first bracket token; stacked tables (unary, size), (binary, size, size)."""
        kinds = self.algebra()
        first = kinds.size, kinds.size + len(kinds.unary), kinds.size + len(kinds.unary) + len(kinds.binary)
        unary = np.stack([table for _, table in kinds.unary] or [np.zeros(kinds.size, dtype=np.int64)])
        return *first, unary, np.stack([table for _, table in kinds.binary])

    def _infix(self, tokens: np.ndarray) -> np.ndarray:
        """Push every token but `)`, which must find (op a) or (a op b) on the stack and leaves its value."""
        one, two, bracket, unary, binary = self._tables()
        rows, size = np.arange(len(tokens)), np.zeros(len(tokens), dtype=np.int64)
        stack = np.full((len(tokens), tokens.shape[1] + 5), -1, dtype=np.int64)  # four empty entries below
        wrong = np.zeros(len(tokens), dtype=bool)
        for symbol in tokens.T:
            close = symbol == bracket + 1
            top, second, third, fourth = (stack[rows, size + 3 - k] for k in range(4))
            single = (third == bracket) & (second >= one) & (second < two) & (top >= 0) & (top < one)
            double = (fourth == bracket) & (second >= two) & (second < bracket) & (top >= 0) & (top < one)
            double &= (third >= 0) & (third < one)
            wrong |= close & ~single & ~double
            value = unary[np.where(single, second - one, 0), np.where(single, top, 0)]
            pair = (np.where(double, part, 0) for part in (second - two, third, top))
            value = np.where(double, binary[tuple(pair)], value)
            size = np.where(close, size - 2 - double, size + 1)
            size = np.where(wrong, 0, size)
            stack[rows, size + 3] = np.where(wrong, -1, np.where(close, value, symbol))
        fine = ~wrong & (size == 1) & (stack[:, 4] >= 0) & (stack[:, 4] < one)
        return np.where(fine, stack[:, 4], one)

    def _postfix(self, tokens: np.ndarray) -> np.ndarray:
        """A stack of values, and of the lengths of the formulas that they are of."""
        one, two, _, unary, binary = self._tables()
        rows, size = np.arange(len(tokens)), np.zeros(len(tokens), dtype=np.int64)
        stack = np.zeros((len(tokens), tokens.shape[1] + 3), dtype=np.int64)  # two empty entries below
        long, wrong = np.zeros_like(stack), np.zeros(len(tokens), dtype=bool)
        for symbol in tokens.T:
            arity = np.where(symbol < one, 0, np.where(symbol < two, 1, 2))
            top, second = stack[rows, size + 1], stack[rows, size]
            first_length, last_length = long[rows, size], long[rows, size + 1]
            wrong |= (size < arity) | ((arity == 2) & (first_length < last_length))
            value = np.where(arity == 0, symbol, 0)
            value = np.where(arity == 1, unary[np.where(arity == 1, symbol - one, 0), top], value)
            value = np.where(arity == 2, binary[np.where(arity == 2, symbol - two, 0), second, top], value)
            length = 1 + np.where(arity > 0, last_length, 0) + np.where(arity > 1, first_length, 0)
            size = np.where(wrong, 1, size + 1 - arity)
            stack[rows, size + 1], long[rows, size + 1] = value, length
        return np.where(~wrong & (size == 1), stack[:, 2], one)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """Formulas whose value is uniform whatever their shape: `uniform` trees, `complete` ones, `comb`s.

        The operations are uniform and independent of the value, too. `words`: uniform tokens, mostly no formula;
        `broken`: formulas of `uniform` with one token changed, half of the time.
        """
        from separatrix.tasks.formula_trees import sample

        if distribution not in ("uniform", "complete", "comb", "words", "broken"):
            raise InputError(
                f"{self.name}: distribution {distribution!r} is not known; "
                "there are `uniform`, `complete`, `comb`, `words` and `broken`"
            )
        vocabulary = self.domain(n).vocabulary
        if distribution == "words":
            return rng.integers(0, vocabulary, (size, n)), None
        tokens = sample(self, n, size, rng, "uniform" if distribution == "broken" else distribution)
        if distribution == "broken":
            rows = np.flatnonzero(rng.random(size) < 0.5)
            at = rng.integers(0, n, len(rows))
            tokens[rows, at] = (tokens[rows, at] + rng.integers(1, vocabulary, len(rows))) % vocabulary
        return tokens, None

    def splits(self, n: int) -> tuple[int, ...]:
        return (max(1, n // 2),)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        """With brackets and operations; elements of several characters are set apart."""
        kinds = self.algebra()
        names = (*kinds.shown, *(symbol for symbol, _ in (*kinds.unary, *kinds.binary)), "(", ")")
        return " ".join(names[symbol] for symbol in tokens.tolist()).replace("( ", "(").replace(" )", ")")


@registry.register("boolean-formula")
@dataclass(frozen=True)
class BooleanFormula(FormulaValue):
    """The value of a Boolean formula of constants; tokens 0, 1, ~, &, |, and infix ( and ). Answer 2: no formula.

    >>> BooleanFormula().answer(np.array([[5, 1, 3, 5, 2, 0, 6, 6, 0], [5, 5, 0, 4, 1, 6, 3, 1, 6]]))
    array([[2],
           [1]])
    >>> BooleanFormula("plof").answer(np.array([[1, 2, 0, 3], [0, 1, 2, 4]]))  # 1 ~ 0 & is fine, 0 (1 ~) | is not
    array([[0],
           [2]])
    """

    encoding: str = "infix"

    name = "boolean-formula"
    gloss = "the value of a Boolean formula, given as its tokens"
    source = "Buss 1987 (Boolean formula value, NC1-complete)"

    def __post_init__(self) -> None:
        self.check_encoding()

    def algebra(self) -> Algebra:
        return algebra("boolean")

    def written(self) -> str:
        return self.encoding


@registry.register("arithmetic-formula")
@dataclass(frozen=True)
class ArithmeticFormula(FormulaValue):
    """The value of a formula over a finite semiring: + and * of gf2, zM or matrix2-gf2, & and | (or-and), min and +.

    >>> ArithmeticFormula("z7").answer(np.array([[9, 9, 3, 7, 5, 10, 8, 4, 10]]))  # ((3 + 5) * 4)
    array([[4]])
    """

    ring: str = "gf2"
    encoding: str = "infix"

    name = "arithmetic-formula"
    gloss = "the value of an arithmetic formula over a finite semiring, given as its tokens"
    source = "Buss, Cook, Gupta, Ramachandran 1992 (arithmetic formula evaluation)"

    def __post_init__(self) -> None:
        self.check_encoding()
        if self.ring == "boolean":
            raise InputError("arithmetic-formula: ring = 'boolean' is the task boolean-formula; take or-and")
        algebra(self.ring)

    def algebra(self) -> Algebra:
        return algebra(self.ring)

    def written(self) -> str:
        return self.encoding
