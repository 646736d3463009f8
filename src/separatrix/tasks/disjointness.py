"""Set disjointness: do the two halves of the input, read as sets, share an element?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

EMPTY = np.zeros((1, 0), dtype=np.int64)


@dataclass(frozen=True)
class Halves(Task):
    """Two bit strings of N/2 bits side by side; what they share is asked at the last position."""

    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3"
    length_word = "bits, both halves together"

    def domain(self, n: int) -> Sequence:
        if not 2 <= n <= 2**20 or n % 2:
            raise InputError(f"{self.name}: n = {n}; take an even number from 2 to {2**20}")
        return Sequence((np.arange(2),) * n, vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` bits; `sparse`: each pair is both 1 with probability 1/N, so that both answers are common."""
        if distribution not in ("uniform", "sparse"):
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; there are uniform and sparse")
        self.domain(n)
        bits = rng.integers(0, 2, (size, n))
        if distribution == "sparse":
            both = (bits[:, : n // 2] == 1) & (bits[:, n // 2 :] == 1) & (rng.random((size, n // 2)) >= 4 / n)
            first = rng.random(both.shape) < 0.5
            bits[:, : n // 2][both & first] = 0
            bits[:, n // 2 :][both & ~first] = 0
        return bits, None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n // 2,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        half = len(tokens) // 2
        return "".join(map(str, tokens[:half])) + " | " + "".join(map(str, tokens[half:]))


@registry.register("disjointness")
@dataclass(frozen=True)
class Disjointness(Halves):
    """x_1 .. x_N bits, N even; the last position answers 1 iff x_i = x_{i + N/2} = 1 for some i <= N/2.

    So 1 means that the sets meet, as in the papers. No cells: the disjoint pairs are no union of few products. It
    factors through `Common` and `AnyFlag`.

    >>> Disjointness().answer(np.array([[0, 1, 1, 1], [0, 1, 1, 0]]))
    array([[1],
           [0]])
    """

    name = "disjointness"
    gloss = "do the two halves, read as sets, share an element? (1 if they do)"

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        half = tokens.shape[1] // 2
        return ((tokens[:, :half] == 1) & (tokens[:, half:] == 1)).any(axis=1, keepdims=True).astype(np.int64)

    def factors(self) -> dict[str, tuple[Task, Task]]:
        """Flag the elements of the second set that lie in the first, then ask whether any flag is up."""
        return {"common": (Common(), AnyFlag())}


@dataclass(frozen=True)
class Common(Halves):
    """Every position of the second half answers whether it and its partner are 1; the first half answers 0.

    >>> Common().answer(np.array([[0, 1, 1, 1]]))
    array([[0, 0, 0, 1]])
    """

    name = "disjointness-common"
    gloss = "which elements of the second set lie in the first?"

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        half = tokens.shape[1] // 2
        flags = np.zeros(tokens.shape, dtype=np.int64)
        flags[:, half:] = (tokens[:, :half] == 1) & (tokens[:, half:] == 1)
        return flags

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """A 0, and every position of the first half, answers 0; a 1 of the second half answers with its partner."""
        for a in range(2):
            if query < n // 2 or a == 0:
                yield CellGroup(query, a, EMPTY, EMPTY, labels=np.array([0]))
            else:
                partner = np.full((2, 1), query - n // 2)
                yield CellGroup(query, a, partner, np.array([[0], [1]]), labels=np.array([0, 1]))


@dataclass(frozen=True)
class AnyFlag(Task):
    """Bits; the last position answers 1 iff some bit is 1.

    >>> AnyFlag().answer(np.array([[0, 0, 0], [0, 1, 0]]))
    array([[0],
           [1]])
    """

    name = "any-flag"
    gloss = "is some bit 1?"
    source = "the OR that ends Bhattamishra et al. 2024, Theorem 13"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"any-flag: n = {n}; take 1 to {2**20}")
        return Sequence((np.arange(2),) * n, vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return np.asarray((tokens == 1).any(axis=1, keepdims=True), dtype=np.int64)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """The last bit is 1; some other bit is 1; all bits are 0."""
        others = np.arange(n - 1)[:, None]
        yield CellGroup(query, 1, EMPTY, EMPTY, labels=np.array([1]))
        if n > 1:
            yield CellGroup(query, 0, others, np.ones_like(others), labels=np.ones(n - 1, dtype=np.int64))
        yield CellGroup(query, 0, EMPTY, EMPTY, labels=np.array([0]), background=(np.array([0]),) * n)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`: all 0 half of the time, else random bits."""
        if distribution != "uniform":
            raise InputError(f"any-flag: distribution {distribution!r} is not known; there is `uniform`")
        return rng.integers(0, 2, (size, n)) * (rng.random((size, 1)) < 0.5), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return "".join(map(str, tokens))
