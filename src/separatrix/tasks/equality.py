"""String equality: is the first half of the input equal to the second half?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

EMPTY = np.zeros((1, 0), dtype=np.int64)


@registry.register("equality")
@dataclass(frozen=True)
class Equality(Task):
    """x_1 .. x_N, N even; the last position answers 1 iff x_i = x_{i + N/2} for every i <= N/2.

    No cells: the inputs with answer 1 are no union of few products. It factors through `Mismatch` and `NoFlag`.

    >>> Equality().answer(np.array([[0, 1, 0, 1], [0, 1, 1, 1]]))
    array([[1],
           [0]])
    """

    symbols: int = 2

    name = "equality"
    gloss = "is the first half of the input equal to the second half?"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 (Equality)"
    length_word = "symbols, both halves together"

    def __post_init__(self) -> None:
        if not 2 <= self.symbols <= 2**16:
            raise InputError(f"equality: symbols = {self.symbols}; take 2 to {2**16}")

    def domain(self, n: int) -> Sequence:
        if not 2 <= n <= 2**20 or n % 2:
            raise InputError(f"equality: n = {n}; take an even number from 2 to {2**20}")
        return Sequence((np.arange(self.symbols),) * n, vocabulary=self.symbols)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        half = tokens.shape[1] // 2
        return (tokens[:, :half] == tokens[:, half:]).all(axis=1, keepdims=True).astype(np.int64)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """Flag the positions that differ from their partner, then ask whether any flag is up."""
        return {"mismatch": (Mismatch(self.symbols), NoFlag())}

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`: the second half is the first, or an independent one; `one`: or the first with one change."""
        if distribution not in ("uniform", "one"):
            raise InputError(f"equality: distribution {distribution!r} is not known; there are `uniform` and `one`")
        self.domain(n)
        first = rng.integers(0, self.symbols, (size, n // 2))
        other = rng.integers(0, self.symbols, first.shape)
        if distribution == "one":
            other = first.copy()
            at = (np.arange(size), rng.integers(0, n // 2, size))
            other[at] = (other[at] + rng.integers(1, self.symbols, size)) % self.symbols
        second = np.where(rng.random((size, 1)) < 0.5, first, other)
        return np.concatenate([first, second], axis=1), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n // 2,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        half = len(tokens) // 2
        return " ".join(map(str, tokens[:half])) + " | " + " ".join(map(str, tokens[half:]))


@dataclass(frozen=True)
class Mismatch(Equality):
    """Every position of the second half answers whether it differs from its partner; the first half answers 0.

    >>> Mismatch().answer(np.array([[0, 1, 0, 0]]))
    array([[0, 0, 0, 1]])
    """

    name = "equality-mismatch"

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        half = tokens.shape[1] // 2
        flags = np.zeros(tokens.shape, dtype=np.int64)
        flags[:, half:] = tokens[:, :half] != tokens[:, half:]
        return flags

    def factors(self) -> dict[str, tuple[Task, ...]]:
        return {}

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """First half: one cell a symbol. Second half: own symbol a and partner's symbol b."""
        symbols = np.arange(self.symbols)
        for a in range(self.symbols):
            if query < n // 2:
                yield CellGroup(query, a, EMPTY, EMPTY, labels=np.array([0]))
            else:
                partner = np.full((self.symbols, 1), query - n // 2)
                yield CellGroup(query, a, partner, symbols[:, None], labels=(symbols != a).astype(np.int64))


@dataclass(frozen=True)
class NoFlag(Task):
    """Bits; the last position answers 1 iff no bit is 1.

    >>> NoFlag().answer(np.array([[0, 0, 0], [0, 1, 0]]))
    array([[1],
           [0]])
    """

    name = "no-flag"
    gloss = "is every bit 0?"
    source = "the OR that ends Bhattamishra et al. 2024, Theorem 6"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"no-flag: n = {n}; take 1 to {2**20}")
        return Sequence((np.arange(2),) * n, vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return np.asarray((tokens == 0).all(axis=1, keepdims=True), dtype=np.int64)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """The last bit is 1; some other bit is 1; all bits are 0."""
        others = np.arange(n - 1)[:, None]
        yield CellGroup(query, 1, EMPTY, EMPTY, labels=np.array([0]))
        if n > 1:
            yield CellGroup(query, 0, others, np.ones_like(others), labels=np.zeros(n - 1, dtype=np.int64))
        yield CellGroup(query, 0, EMPTY, EMPTY, labels=np.array([1]), background=(np.array([0]),) * n)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`: all 0 half of the time, else random bits."""
        if distribution != "uniform":
            raise InputError(f"no-flag: distribution {distribution!r} is not known; there is `uniform`")
        return rng.integers(0, 2, (size, n)) * (rng.random((size, 1)) < 0.5), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return "".join(map(str, tokens))
