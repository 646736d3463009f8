"""Function composition: two tables and a number x; the answer is h(g(x))."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, PairGroup, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry


@registry.register("function-composition")
@dataclass(frozen=True)
class FunctionComposition(Task):
    """g(0) .. g(V-1) h(0) .. h(V-1) x with g: V -> V and h: V -> labels; the last token answers h(g(x)).

    n = V entries a table, so 2 V + 1 positions. With `labels` = V it is composition of functions on V numbers.

    >>> FunctionComposition(labels=3).answer(np.array([[2, 0, 0, 1, 0, 2, 0]]))  # g(0) = 2, h(2) = 2
    array([[2]])
    """

    labels: int = 16

    name = "function-composition"
    gloss = "two tables g and h and a number x: what is h(g(x))?"
    source = "Peng, Narayanan, Papadimitriou 2024; Kozachinskiy et al. 2025, function composition"
    length_word = "entries of each table"

    def __post_init__(self) -> None:
        if not 2 <= self.labels <= 2**12:
            raise InputError(f"function-composition: labels = {self.labels}; take 2 to {2**12}")

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**16:
            raise InputError(f"function-composition: n = {n}; take 1 to {2**16} entries")
        entries, values = np.arange(n), np.arange(self.labels)
        return Sequence((entries,) * n + (values,) * n + (entries,), vocabulary=max(n, self.labels))

    def outputs(self) -> Labels:
        return Labels(self.labels)

    def queries(self, n: int) -> tuple[int, ...]:
        return (2 * n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1] // 2
        middle = np.take_along_axis(tokens, tokens[:, [2 * n]], axis=1)
        return np.take_along_axis(tokens, n + middle, axis=1)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By x, g(x) and h(g(x))."""
        for group in self.pairs(n, query):
            yield CellGroup(query, group.token, group.positions, group.symbols, labels=group.labels)

    def pairs(self, n: int, query: int) -> Iterator[PairGroup]:
        """By x, g(x) and h(g(x)): every input holds one of these pairs."""
        middle, value = (grid.reshape(-1) for grid in np.indices((n, self.labels)))
        for x in range(n):
            where = np.stack([np.full_like(middle, x), n + middle], axis=1)
            yield PairGroup(query, x, where, np.stack([middle, value], axis=1), value)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`."""
        if distribution != "uniform":
            raise InputError(f"function-composition: distribution {distribution!r} is not known; there is `uniform`")
        return np.stack([rng.integers(0, len(a), size) for a in self.domain(n).alphabets], axis=1), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        n = len(tokens) // 2
        return " | ".join(" ".join(map(str, part)) for part in (tokens[:n], tokens[n : 2 * n], tokens[2 * n :]))
