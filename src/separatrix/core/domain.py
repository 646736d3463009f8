"""Which inputs a task has, what it answers with, and cells: sets of inputs on which the answer is constant."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from separatrix.core.errors import InputError, UnknownError

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
    """Real parts of the tokens, one vector of dimension `dim` a position.

    kind: `ball` (each vector in the unit ball), `box` (each coordinate in [low, high]), `routed` (of dimension 2: the
        first coordinates of all positions are a permutation of 0 .. positions - 1, the second lie in [low, high]).
    """

    kind: Literal["ball", "box", "routed"]
    dim: int
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("ball", "box", "routed") or (self.kind == "routed" and self.dim != 2):
            raise InputError(
                f"real parts {self.kind!r} of dimension {self.dim}; take ball, box, or routed (dimension 2)"
            )

    @property
    def holds_unit(self) -> bool:
        """Whether every position may hold t e_1 for any t in [-1, 1], whatever the others hold."""
        return self.kind == "ball" or (self.kind == "box" and self.low <= -1.0 <= 1.0 <= self.high)

    def contains(self, values: np.ndarray) -> bool:
        """Whether these (positions, dim) real parts are legal; in the ball, up to rounding."""
        if values.ndim != 2 or values.shape[1] != self.dim or not np.isfinite(values).all():
            return False
        if self.kind == "ball":
            return bool((np.linalg.norm(values, axis=1) <= 1.0 + 1e-12).all())
        if self.kind == "routed" and not np.array_equal(np.sort(values[:, 0]), np.arange(len(values))):
            return False
        bounded = values[:, 1:] if self.kind == "routed" else values
        return bool(((self.low <= bounded) & (bounded <= self.high)).all())


@dataclass(frozen=True, slots=True)
class Constraint:
    """What ties the positions of a domain or cell together.

    kind: `product` (nothing), `count` (exactly `count` of `positions` hold `symbol`), `distinct` (no two of `positions`
        hold symbols of one class), `regular` (the word at `positions`, in increasing order, takes the complete
        automaton `transitions[state][symbol]` from state 0 into `accepting`).

    Attributes:
        positions: increasing; None means every position.
        classes: for distinct, the class of each symbol id; empty means that every symbol is a class of its own.
        present: for distinct, a position outside `positions` whose symbol's class must stand at one of them.
    """

    kind: Literal["product", "count", "distinct", "regular"] = "product"
    symbol: int = 0
    count: int = 0
    transitions: tuple[tuple[int, ...], ...] = ()
    accepting: tuple[int, ...] = ()
    positions: tuple[int, ...] | None = None
    classes: tuple[int, ...] = ()
    present: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("product", "count", "distinct", "regular"):
            raise InputError(f"constraint kind {self.kind!r} is none of product, count, distinct, regular")
        places = self.positions or ()
        if any(a >= b for a, b in pairwise(places)) or (places and places[0] < 0) or min((0, *self.classes)) < 0:
            raise InputError("a constraint's positions must increase from 0 on, and its classes be 0 or more")
        if self.present is not None and (self.present < 0 or self.positions is None or self.present in places):
            raise InputError("a constraint's present position must lie outside its positions")
        states, columns = len(self.transitions), len(self.transitions[0]) if self.transitions else 0
        if self.kind == "regular" and not (
            columns
            and all(len(row) == columns and min(row) >= 0 and max(row) < states for row in self.transitions)
            and all(0 <= state < states for state in self.accepting)
        ):
            raise InputError("an automaton needs one transition a state and symbol, into states that it has")

    def places(self, positions: int) -> Ints:
        """The positions that are tied together, of a sequence of so many; InputError where they are not there."""
        tied = np.arange(positions) if self.positions is None else np.array(self.positions, dtype=np.int64)
        if (len(tied) and tied[-1] >= positions) or (self.present is not None and self.present >= positions):
            raise InputError(f"a constraint speaks of positions that a sequence of {positions} does not have")
        return tied

    def class_of(self, symbols: Ints) -> Ints:
        """The class of each symbol id; -1 where it has none."""
        if not self.classes:
            return symbols
        known = (symbols >= 0) & (symbols < len(self.classes))
        return np.where(known, np.array(self.classes)[np.where(known, symbols, 0)], -1)

    def class_sizes(self, alphabet: Ints) -> dict[int, int]:
        """How many symbols of each class there are."""
        keys = self.class_of(alphabet)
        return dict(zip(*(part.tolist() for part in np.unique(keys[keys >= 0], return_counts=True)), strict=True))

    def holds(self, tokens: Ints) -> Ints:
        """(batch,) whether the words (batch, positions) of symbol ids obey the constraint."""
        if self.kind == "product":
            return np.ones(len(tokens), dtype=bool)
        word: Ints = tokens[:, self.places(tokens.shape[1])]
        if self.kind == "count":
            found: Ints = (word == self.symbol).sum(axis=1)
            return found == self.count
        if self.kind == "distinct":
            keys = np.sort(self.class_of(word), axis=1)
            fine: Ints = np.all(np.diff(keys, axis=1, prepend=-1) > 0, axis=1)
            if self.present is None:
                return fine
            return fine & (keys == self.class_of(tokens[:, [self.present]])).any(axis=1)
        table, state = np.array(self.transitions), np.zeros(len(word), dtype=np.int64)
        known = (word >= 0) & (word < table.shape[1])
        for column in np.where(known, word, 0).T:
            state = table[state, column]
        return known.all(axis=1) & np.isin(state, self.accepting)

    def words(self, alphabets: list[Ints]) -> int:
        """How many words at the tied positions, with these alphabets, obey (`present` aside)."""
        match self.kind:
            case "product":
                return math.prod(map(len, alphabets))
            case "count":
                ways = [1]  # ways[c]: words so far in which `symbol` stands c times
                for alphabet in alphabets:
                    own = int((alphabet == self.symbol).sum())
                    ways = [(len(alphabet) - own) * a + own * b for a, b in zip([*ways, 0], [0, *ways], strict=True)]
                return ways[self.count] if 0 <= self.count < len(ways) else 0
            case "distinct":
                if any(not np.array_equal(a, alphabets[0]) for a in alphabets):
                    raise UnknownError("distinct words are counted where all positions have the same alphabet")
                sets = [1] + [0] * len(alphabets)  # sets[r]: choices of r symbols of different classes
                for size in self.class_sizes(alphabets[0]).values() if alphabets else ():
                    sets = [a + size * b for a, b in zip(sets, [0, *sets], strict=False)]
                return sets[-1] * math.factorial(len(alphabets))
        states = {0: 1}
        for alphabet in alphabets:
            after: dict[int, int] = {}
            for state, count in states.items():
                for symbol in alphabet[(alphabet >= 0) & (alphabet < len(self.transitions[0]))].tolist():
                    to = self.transitions[state][symbol]
                    after[to] = after.get(to, 0) + count
            states = after
        return sum(count for state, count in states.items() if state in self.accepting)


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
        if len(tokens) != self.positions or tokens.dtype.kind not in "iu":
            return False
        for symbol, alphabet in zip(tokens, self.alphabets, strict=True):
            if isinstance(alphabet, PointerSets):
                if np.shape(symbol) != (alphabet.size,) or symbol[0] < 0 or symbol[-1] >= alphabet.n:
                    return False
                if (np.diff(symbol) <= 0).any():
                    return False
            elif np.ndim(symbol) or not (alphabet == symbol).any():
                return False
        return self.constraint.kind == "product" or (tokens.ndim == 1 and bool(self.constraint.holds(tokens[None])[0]))

    def log2_inputs(self) -> float:
        """Bits of one discrete input, -inf for none (its symbols; real parts are not counted); exact but for log2.

        Raises UnknownError where distinct words are not easily counted.
        """
        tied, present = self.constraint.places(self.positions), self.constraint.present
        if self.constraint.kind == "product":
            return sum(math.log2(len(alphabet)) for alphabet in self.alphabets)
        where = [self.alphabets[j] for j in tied]
        free = np.delete(np.arange(self.positions), tied if present is None else [*tied, present])
        if any(isinstance(alphabet, PointerSets) for alphabet in where):
            raise UnknownError("constraints are about symbols, not pointer sets")
        words = self.constraint.words(where)  # pyright: ignore[reportArgumentType]
        if present is not None:  # each class that stands there can be asked for by so many symbols
            asked = self.constraint.class_sizes(np.asarray(self.alphabets[present]))
            held = self.constraint.class_sizes(np.asarray(where[0])) if where else {}
            if set(asked) != set(held) or len(set(asked.values())) != 1:
                raise UnknownError("the present position must ask for every class in equally many ways")
            words *= len(where) * next(iter(asked.values()))
        return sum(math.log2(len(self.alphabets[j])) for j in free) + (math.log2(words) if words else -math.inf)


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


@dataclass(frozen=True, slots=True)
class TupleGroup:
    """What a task asks of tuples of positions: with `token` at `query` the answer is 1 iff some hit occurs, else 0.

    hits: (k, r) symbols. A hit occurs where positions j_1 .. j_r, equal or not and the query's own among them, hold it.
    """

    query: int
    token: int
    hits: Ints


@dataclass(frozen=True, slots=True)
class PairGroup:
    """What a task asks of pairs of positions, with `token` at `query`.

    Where position positions[c, 0] holds symbols[c, 0] and positions[c, 1] holds symbols[c, 1], the answer is labels[c]
    (a position may be named twice, and the query itself); where no such pair is held, it is `rest`. None: some pair is
    held by every input.
    """

    query: int
    token: int
    positions: Ints
    symbols: Ints
    labels: Ints
    rest: int | None = None
