"""Which inputs a task has, what it answers with, and cells: sets of inputs on which the answer is constant."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Ints = np.ndarray  # integer arrays; shapes stand in the docstrings


@dataclass(frozen=True, slots=True)
class PointerSets:
    """The alphabet of all `size`-element subsets of {0 .. n-1}; a symbol is an increasing row of `size` integers."""

    n: int
    size: int

    def __len__(self) -> int:
        return math.comb(self.n, self.size)


@dataclass(frozen=True, slots=True)
class Reals:
    """Real parts of the tokens, one vector of dimension `dim` a position: in the unit `ball` or in a `box`."""

    kind: Literal["ball", "box"]
    dim: int
    low: float = -1.0
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class Constraint:
    """What ties the positions of a domain or cell together.

    kind: `product` (nothing), `count` (`symbol` occurs `count` times), `distinct` (no symbol twice), `regular`
        (accepted by the automaton `transitions[state, symbol]` from state 0 into `accepting`).
    """

    kind: Literal["product", "count", "distinct", "regular"] = "product"
    symbol: int = 0
    count: int = 0
    transitions: tuple[tuple[int, ...], ...] = ()
    accepting: tuple[int, ...] = ()


PRODUCT = Constraint()


@dataclass(frozen=True, slots=True)
class Sequence:
    """The inputs of length `len(alphabets)`: one alphabet a position (symbol ids, or pointer sets), and a constraint.

    Attributes:
        alphabets: per position the sorted symbol ids (equal alphabets are one object), or PointerSets.
        vocabulary: ids run from 0 to vocabulary - 1.
        reals: real parts that every token carries besides, if any.
        lengths: the lengths that are legal; empty means exactly `len(alphabets)`.
    """

    alphabets: tuple[Ints | PointerSets, ...]
    vocabulary: int
    constraint: Constraint = PRODUCT
    reals: Reals | None = None
    lengths: tuple[int, ...] = ()

    @property
    def positions(self) -> int:
        """Number of token positions."""
        return len(self.alphabets)

    def contains(self, tokens: Ints) -> bool:
        """Whether `tokens` (positions,) or (positions, q) is a legal input; other lengths are not, unless stated."""
        if self.constraint.kind != "product" or len(tokens) != self.positions or tokens.dtype.kind not in "iu":
            return False
        for symbol, alphabet in zip(tokens, self.alphabets, strict=True):
            if isinstance(alphabet, PointerSets):
                if np.shape(symbol) != (alphabet.size,) or symbol[0] < 0 or symbol[-1] >= alphabet.n:
                    return False
                if (np.diff(symbol) <= 0).any():
                    return False
            elif np.ndim(symbol) or not (alphabet == symbol).any():
                return False
        return True

    def log2_inputs(self) -> float:
        """Bits of one discrete input of a product domain (its symbols; real parts are not counted)."""
        return sum(math.log2(len(alphabet)) for alphabet in self.alphabets)


@dataclass(frozen=True, slots=True)
class Labels:
    """Answers are classes 0 .. k-1."""

    k: int


@dataclass(frozen=True, slots=True)
class RealAnswer:
    """Answers are vectors of dimension `dim`; right means within `eps` in the `norm`."""

    dim: int
    eps: float
    norm: Literal["l2"] = "l2"


@dataclass(frozen=True, slots=True)
class CellGroup:
    """Cells of one query that share the query's token and the symbols allowed elsewhere.

    Cell c: the token at `query` is `token`; position `positions[c, f]` holds `symbols[c, f]` for every f; each other
    position holds any symbol of `background` (its own entry; None: the domain's alphabets); `constraint` holds.

    Attributes:
        query: the scored position.
        token: the symbol there (its tuple of pointers for pointer sets).
        positions, symbols: (cells, forced) integer arrays; forced = 0 gives the background itself as one cell.
        labels: (cells,) the answer, for Labels.
        coefficients: for RealAnswer: the answer is sum_j coefficients[j] z_j on the whole cell; (positions,).
    """

    query: int
    token: int | tuple[int, ...]
    positions: Ints
    symbols: Ints
    labels: Ints | None = None
    coefficients: np.ndarray | None = None
    background: tuple[Ints, ...] | None = None
    constraint: Constraint = field(default=PRODUCT)

    def __len__(self) -> int:
        return len(self.positions)
