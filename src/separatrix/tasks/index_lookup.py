"""Index lookup: N symbols, then an index; answer with the symbol at that index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry


@registry.register("index-lookup")
@dataclass(frozen=True)
class IndexLookup(Task):
    """s_1 .. s_N from an alphabet, then one index token q; answer s_q.

    Token ids: symbols 0 .. symbols-1; index i (counted from 0) is symbols + i. n = N symbols, so N + 1 positions.

    >>> task = IndexLookup(symbols=4)
    >>> task.answer(np.array([[3, 1, 2, 4 + 1]]))
    array([[1]])
    """

    symbols: int = 64

    name = "index-lookup"
    gloss = "N symbols, then a position: answer with the symbol at that position"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 (Index Lookup)"
    length_word = "symbols"

    def __post_init__(self) -> None:
        if not 2 <= self.symbols <= 2**20:
            raise InputError(f"index-lookup: symbols = {self.symbols}; take 2 to {2**20}")

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**24:
            raise InputError(f"index-lookup: n = {n}; take 1 to {2**24} symbols")
        symbols, index = np.arange(self.symbols), self.symbols + np.arange(n)
        return Sequence((symbols,) * n + (index,), vocabulary=self.symbols + n)

    def outputs(self) -> Labels:
        return Labels(self.symbols)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return np.take_along_axis(tokens, tokens[:, -1:] - self.symbols, axis=1)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """N groups of |Sigma| cells: the index is i and position i holds s; the answer is s."""
        symbols = np.arange(self.symbols)
        for i in range(n):
            yield CellGroup(
                query=n,
                token=self.symbols + i,
                positions=np.full((self.symbols, 1), i),
                symbols=symbols[:, None],
                labels=symbols,
            )

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        if distribution != "uniform":
            raise InputError(f"index-lookup: distribution {distribution!r} is not known; there is `uniform`")
        tokens = rng.integers(0, self.symbols, (size, n + 1))
        tokens[:, -1] = self.symbols + rng.integers(0, n, size)
        return tokens, None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens[:-1])) + f" ? {int(tokens[-1]) - self.symbols}"
