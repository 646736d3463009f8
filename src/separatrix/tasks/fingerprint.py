"""Fingerprints: are the two halves of the input, read as binary numbers, congruent modulo a prime?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.flags import EMPTY

MOST_STATES = 2**20  # of the cells' automaton: places times residues


@registry.register("fingerprint")
@dataclass(frozen=True)
class Fingerprint(Task):
    """x_1 .. x_N bits, N even; the last position answers 1 iff sum_i (x_i - x_(i + N/2)) 2^(i-1) = 0 modulo `prime`.

    Equal halves always answer 1. Two given halves that differ answer 1 for few primes only, so that with a random prime
    this decides equality with an error that is small on every input, though no fixed prime does.

    >>> Fingerprint(prime=3).answer(np.array([[0, 1, 0, 1], [1, 1, 0, 0], [1, 0, 0, 0]]))
    array([[1],
           [1],
           [0]])
    """

    prime: int = 257

    name = "fingerprint"
    gloss = "are the two halves, as binary numbers, congruent modulo a prime?"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 (randomised equality takes O(log N) bits)"
    length_word = "bits, both halves together"

    def __post_init__(self) -> None:
        if not 3 <= self.prime <= 2**24 or any(self.prime % d == 0 for d in range(2, int(self.prime**0.5) + 1)):
            raise InputError(f"fingerprint: prime = {self.prime}; take an odd prime up to {2**24}")

    def domain(self, n: int) -> Sequence:
        if not 2 <= n <= 2**20 or n % 2:
            raise InputError(f"fingerprint: n = {n}; take an even number from 2 to {2**20}")
        return Sequence((np.arange(2),) * n, vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def weights(self, n: int) -> np.ndarray:
        """(N,) what a 1 at each position adds to the residue, from 1 to prime - 1."""
        powers = np.array([pow(2, i, self.prime) for i in range(n // 2)], dtype=np.int64)
        return np.concatenate([powers, self.prime - powers])

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        total = (tokens * self.weights(tokens.shape[1])).sum(axis=1, keepdims=True)
        return (total % self.prime == 0).astype(np.int64)

    def cells(self, n: int, query: int) -> Iterator[CellGroup] | None:
        """By the last bit and the answer: the words that an automaton of places and residues leads to it."""
        if (n + 1) * self.prime > MOST_STATES:
            return None
        return self._cells(n, query)

    def _cells(self, n: int, query: int) -> Iterator[CellGroup]:
        last = n * self.prime + np.arange(self.prime)
        table = _table(self.prime, tuple(self.weights(n).tolist()))
        for label, accepting in ((1, last[:1]), (0, last[1:])):
            tie = Constraint("regular", transitions=table, accepting=tuple(accepting.tolist()))
            for token in (0, 1):
                yield CellGroup(query, token, EMPTY, EMPTY, labels=np.array([label]), constraint=tie)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`: the second half is the first, or an independent one; `one`: or the first with one change."""
        if distribution not in ("uniform", "one"):
            raise InputError(f"fingerprint: distribution {distribution!r} is not known; there are `uniform` and `one`")
        self.domain(n)
        first = rng.integers(0, 2, (size, n // 2))
        other = rng.integers(0, 2, first.shape)
        if distribution == "one":
            other = first.copy()
            other[np.arange(size), rng.integers(0, n // 2, size)] ^= 1
        return np.concatenate([first, np.where(rng.random((size, 1)) < 0.5, first, other)], axis=1), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n // 2,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        half = len(tokens) // 2
        return "".join(map(str, tokens[:half])) + " | " + "".join(map(str, tokens[half:]))


@lru_cache(maxsize=2)
def _table(prime: int, weights: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Transitions of the state place * prime + residue; behind the last place states stay."""
    rows: list[tuple[int, ...]] = []
    for place, weight in enumerate(weights):
        start = (place + 1) * prime
        rows += [(start + residue, start + (residue + weight) % prime) for residue in range(prime)]
    return (*rows, *((len(rows) + residue,) * 2 for residue in range(prime)))
