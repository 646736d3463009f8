"""Match3: at every position, are there two others that add up with it to 0 modulo M?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Labels, Sequence, TupleGroup
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

BLOCK = 2**22  # pairs that are summed at a time


@registry.register("match3")
@dataclass(frozen=True)
class Match3(Task):
    """x_1 .. x_N modulo M; position i answers 1 iff some j, k have x_i + x_j + x_k = 0 mod M.

    With `distinct_indices` i, j and k must differ; without, they need not (as in the paper). No cells: the inputs with
    answer 0 are those that avoid sums, no union of few products. `constant` decides single boxes.

    >>> Match3(modulus=7).answer(np.array([[1, 2, 4, 5]]))
    array([[1, 1, 1, 1]])
    >>> Match3(modulus=7, distinct_indices=True).answer(np.array([[1, 2, 4, 5]]))
    array([[1, 1, 1, 0]])
    """

    modulus: int = 97
    distinct_indices: bool = False

    name = "match3"
    gloss = "x_i + x_j + x_k = 0 mod M for some j, k, asked at every position i"
    source = "Sanford, Hsu, Telgarsky 2023, Definition of Match3"
    length_word = "numbers"

    def __post_init__(self) -> None:
        if not 2 <= self.modulus <= 2**20:
            raise InputError(f"match3: modulus = {self.modulus}; take 2 to {2**20}")

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**14:
            raise InputError(f"match3: n = {n}; take 1 to {2**14} numbers")
        return Sequence((np.arange(self.modulus),) * n, vocabulary=self.modulus)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        """By the number of ordered pairs (j, k) with each sum, less those that use an index twice."""
        batch, n = tokens.shape
        step = max(1, BLOCK // (n * n + self.modulus))
        if batch > step:
            return np.concatenate([self.answer(tokens[at : at + step]) for at in range(0, batch, step)])
        row, m = np.arange(batch)[:, None] * self.modulus, self.modulus

        def counts(numbers: np.ndarray) -> np.ndarray:
            return np.bincount((row + numbers).reshape(-1), minlength=batch * m)

        sums = ((tokens[:, :, None] + tokens[:, None, :]) % m).reshape(batch, n * n)
        missing = -tokens % m
        found = counts(sums)[row + missing]
        if self.distinct_indices:
            found = found - counts(2 * tokens % m)[row + missing]  # j = k
            rest = (missing - tokens) % m  # i = j, or i = k, with j != k
            found = found - 2 * (counts(tokens)[row + rest] - (rest == tokens))
        return (found > 0).astype(np.int64)

    def constant(self, n: int, query: int, box: tuple[np.ndarray, ...]) -> int | None:
        """0 if no choice of two symbols of the box completes the query's, 1 if two fixed symbols do; else None."""
        if len(box[query]) != 1:
            return None
        where = np.repeat(np.arange(n), [len(symbols) for symbols in box])
        what = np.concatenate(box)
        fixed = np.array([len(symbols) == 1 for symbols in box])[where]
        if self.distinct_indices:
            where, what, fixed = (part[where != query] for part in (where, what, fixed))
        wanted = -int(box[query][0]) % self.modulus
        if not self._pair(where, what, wanted):
            return 0
        return 1 if self._pair(where[fixed], what[fixed], wanted) else None

    def _pair(self, where: np.ndarray, what: np.ndarray, wanted: int) -> bool:
        """Whether two of the places `where`, with symbols `what` of theirs, add up to `wanted`.

        One place is as good as two, for twice its symbol, where indices need not differ.
        """
        if not len(what):
            return False
        symbols, first, count = np.unique(what, return_index=True, return_counts=True)
        partner = (wanted - symbols) % self.modulus
        at = np.minimum(np.searchsorted(symbols, partner), len(symbols) - 1)
        apart = (where[first] != where[first[at]]) | (count > 1) | (count[at] > 1)  # one symbol a place
        if not self.distinct_indices:
            apart |= partner == symbols
        return bool(((symbols[at] == partner) & apart).any())

    def tuples(self, n: int, query: int) -> Iterator[TupleGroup] | None:
        """For each residue a at the query, the M pairs that add up to -a; None where indices must differ."""
        if self.distinct_indices:
            return None
        b = np.arange(self.modulus)
        return (TupleGroup(query, a, np.stack([b, (-a - b) % self.modulus], axis=1)) for a in range(self.modulus))

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`; `sparse` draws each input from few random residues, so that both labels are common."""
        self.domain(n)
        if distribution == "uniform":
            return rng.integers(0, self.modulus, (size, n)), None
        if distribution == "sparse":
            few = max(1, round(self.modulus**0.5 / 2))
            pools = rng.random((size, self.modulus)).argsort(axis=1)[:, :few]
            return np.take_along_axis(pools, rng.integers(0, few, (size, n)), axis=1), None
        raise InputError(f"match3: distribution {distribution!r} is not known; there are `uniform` and `sparse`")

    def splits(self, n: int) -> tuple[int, ...]:
        return (max(1, n - 1),)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens)) + f" (mod {self.modulus})"
