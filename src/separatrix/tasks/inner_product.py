"""Inner product modulo 2 of the two halves of the input, and parity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.reading import Reading
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.disjointness import EMPTY, Common, Halves


@registry.register("parity")
@dataclass(frozen=True)
class Parity(Task):
    """x_1 .. x_N bits; the last position answers x_1 + .. + x_N modulo 2.

    >>> Parity().answer(np.array([[1, 0, 1], [1, 1, 1]]))
    array([[0],
           [1]])
    """

    name = "parity"
    gloss = "is the number of ones odd?"
    source = "folklore; for attention: Hahn 2020"
    length_word = "bits"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"parity: n = {n}; take 1 to {2**20} bits")
        return Sequence((np.arange(2),) * n, vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return tokens.sum(axis=1, keepdims=True) % 2

    def reading(self, n: int, query: int) -> Reading | None:
        """Bit by bit."""
        return Reading(tuple(range(n)), np.array([[0, 1], [1, 0]]), np.array([0, 1]))

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """Two cells for each last bit: the bits before are even, or odd."""
        table = ((0, 1), (1, 0))
        for bit in range(2):
            for before in range(2):
                rest = Constraint("regular", transitions=table, accepting=(before,), positions=tuple(range(n - 1)))
                yield CellGroup(query, bit, EMPTY, EMPTY, labels=np.array([bit ^ before]), constraint=rest)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        if distribution != "uniform":
            raise InputError(f"parity: distribution {distribution!r} is not known; there is `uniform`")
        return rng.integers(0, 2, (size, n)), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (max(1, n // 2),)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return "".join(map(str, tokens))


@registry.register("inner-product")
@dataclass(frozen=True)
class InnerProduct(Halves):
    """x_1 .. x_N bits, N even; the last position answers sum_i x_i x_{i + N/2} modulo 2.

    It factors through `Common` and `Parity`.

    >>> InnerProduct().answer(np.array([[1, 1, 1, 1], [0, 1, 1, 1]]))
    array([[0],
           [1]])
    """

    name = "inner-product"
    gloss = "the inner product of the two halves modulo 2"
    source = "communication complexity (Chor and Goldreich 1988)"

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        half = tokens.shape[1] // 2
        return (tokens[:, :half] * tokens[:, half:]).sum(axis=1, keepdims=True) % 2

    def reading(self, n: int, query: int) -> Reading | None:
        """Partner by partner; state 1 is an odd sum."""
        return Reading.of_pairs(n, np.array([[[0, 0], [0, 1]], [[1, 1], [1, 0]]]), np.array([0, 1]))

    def factors(self) -> dict[str, tuple[Task, Task]]:
        """Flag the places where both halves are 1, then add the flags."""
        return {"common": (Common(), Parity())}


@registry.register("greater-than")
@dataclass(frozen=True)
class GreaterThan(Halves):
    """Two numbers of N/2 bits, the high bit first; the last position answers 1 iff the first is greater.

    >>> GreaterThan().answer(np.array([[1, 0, 0, 1], [0, 1, 0, 1]]))
    array([[1],
           [0]])
    """

    name = "greater-than"
    gloss = "is the first half, as a binary number, greater than the second?"
    source = "communication complexity (Yao 1979)"

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        half = tokens.shape[1] // 2
        apart = tokens[:, :half] - tokens[:, half:]
        first = (apart != 0).argmax(axis=1)
        return (np.take_along_axis(apart, first[:, None], axis=1) > 0).astype(np.int64)

    def reading(self, n: int, query: int) -> Reading | None:
        """Partner by partner from the high bit; state 1 is greater, state 2 is less."""
        pairs = np.array([[[0, 2], [1, 0]], [[1, 1], [1, 1]], [[2, 2], [2, 2]]])
        return Reading.of_pairs(n, pairs, np.array([0, 1, 0]))
