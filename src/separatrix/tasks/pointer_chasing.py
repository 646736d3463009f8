"""Pointer chasing: follow two tables in turn, and answer with the last bit of where you end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry


@registry.register("pointer-chasing")
@dataclass(frozen=True)
class PointerChasing(Task):
    """a_0 .. a_{V-1} b_0 .. b_{V-1} and an end token; from 0 go on to a, then b, then a, ..; the parity of the end.

    n = V entries a table; an entry is a number 0 .. V-1, the end token is V; so 2 V + 1 positions. `steps` moves are
    made, the first one in table a.

    >>> PointerChasing(steps=2).answer(np.array([[2, 0, 0, 0, 0, 1, 3]]))  # 0, a_0 = 2, b_2 = 1
    array([[1]])
    """

    steps: int = 2

    name = "pointer-chasing"
    gloss = "follow two tables in turn from entry 0, and answer with the parity of the last entry"
    source = "Papadimitriou and Sipser 1984; for attention: Sanford, Hsu, Telgarsky 2024"
    length_word = "entries of each table"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 64:
            raise InputError(f"pointer-chasing: steps = {self.steps}; take 1 to 64")

    def domain(self, n: int) -> Sequence:
        if not 2 <= n <= 2**19:
            raise InputError(f"pointer-chasing: n = {n}; take 2 to {2**19} entries")
        return Sequence((np.arange(n),) * (2 * n) + (np.array([n]),), vocabulary=n + 1)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (2 * n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1] // 2
        at = np.zeros((len(tokens), 1), dtype=np.int64)
        for step in range(self.steps):
            at = np.take_along_axis(tokens, at + n * (step % 2), axis=1)
        return at % 2

    def cells(self, n: int, query: int) -> Iterator[CellGroup] | None:
        """One cell for each path, its entries forced (V^steps paths, where there are at most 2^16)."""
        if n**self.steps > 2**16:
            return None
        return self._paths(n, query)

    def _paths(self, n: int, query: int) -> Iterator[CellGroup]:
        for path in product(range(n), repeat=self.steps):
            forced: dict[int, int] = {}
            at, consistent = 0, True
            for step, to in enumerate(path):
                place = at + n * (step % 2)
                consistent &= forced.setdefault(place, to) == to
                at = to
            if consistent:
                places, symbols = np.array([list(forced)]), np.array([list(forced.values())])
                yield CellGroup(query, n, places, symbols, labels=np.array([at % 2]))

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        if distribution != "uniform":
            raise InputError(f"pointer-chasing: distribution {distribution!r} is not known; there is `uniform`")
        self.domain(n)
        return np.concatenate([rng.integers(0, n, (size, 2 * n)), np.full((size, 1), n)], axis=1), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        n = len(tokens) // 2
        return " ".join(map(str, tokens[:n])) + " | " + " ".join(map(str, tokens[n : 2 * n]))
