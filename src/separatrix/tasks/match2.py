"""Match2: at every position, is there a partner that adds up to 0 modulo M?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry


@registry.register("match2")
@dataclass(frozen=True)
class Match2(Task):
    """x_1 .. x_N modulo M; position i answers 1 iff some j has x_i + x_j = 0 mod M.

    With `distinct_indices` the partner must be another position; without, j = i is allowed (as in the paper).

    >>> Match2(modulus=7).answer(np.array([[1, 2, 6, 3]]))
    array([[1, 0, 1, 0]])
    >>> Match2(modulus=4).answer(np.array([[2, 1]])), Match2(4, distinct_indices=True).answer(np.array([[2, 1]]))
    (array([[1, 0]]), array([[0, 0]]))
    """

    modulus: int = 97
    distinct_indices: bool = False

    name = "match2"
    gloss = "x_i + x_j = 0 mod M for some j, asked at every position i"
    source = "Sanford, Hsu, Telgarsky 2023, Definition of Match2"
    length_word = "numbers"

    def __post_init__(self) -> None:
        if not 2 <= self.modulus <= 2**20:
            raise InputError(f"match2: modulus = {self.modulus}; take 2 to {2**20}")

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"match2: n = {n}; take 1 to {2**20} numbers")
        return Sequence((np.arange(self.modulus),) * n, vocabulary=self.modulus)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        batch = np.arange(len(tokens))[:, None]
        counts = np.zeros((len(tokens), self.modulus), dtype=np.int64)
        np.add.at(counts, (batch, tokens), 1)
        partner = -tokens % self.modulus
        found = counts[batch, partner]
        if self.distinct_indices:
            found = found - (partner == tokens)
        return (found > 0).astype(np.int64)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """For each symbol a at the query: N - 1 cells `position j holds -a` (1), one cell `nobody holds -a` (0)."""
        others = np.array([j for j in range(n) if j != query], dtype=np.int64)
        empty = np.zeros((1, 0), dtype=np.int64)
        for a in range(self.modulus):
            partner = -a % self.modulus
            if partner == a and not self.distinct_indices:  # its own partner: always 1
                yield CellGroup(query, a, empty, empty, labels=np.array([1]))
                continue
            if len(others):
                forced = np.full((len(others), 1), partner)
                yield CellGroup(query, a, others[:, None], forced, labels=np.ones(len(others), dtype=np.int64))
            rest = np.delete(np.arange(self.modulus), partner)
            yield CellGroup(query, a, empty, empty, labels=np.array([0]), background=(rest,) * n)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`; `sparse` draws each input from a random eighth of the residues, so that both labels are common."""
        if distribution == "uniform":
            return rng.integers(0, self.modulus, (size, n)), None
        if distribution == "sparse":
            few = max(1, self.modulus // 8)
            pools = rng.random((size, self.modulus)).argsort(axis=1)[:, :few]
            return np.take_along_axis(pools, rng.integers(0, few, (size, n)), axis=1), None
        raise InputError(f"match2: distribution {distribution!r} is not known; there are `uniform` and `sparse`")

    def splits(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens)) + f" (mod {self.modulus})"
