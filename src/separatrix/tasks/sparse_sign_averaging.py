"""q-sparse averaging asked once: N signs, then a set of q positions; answer with the average of the signs there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, RealAnswer, Reals, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

MOST_SETS = 2**16  # each is a symbol


@dataclass(frozen=True)
class _SignAveraging(Task):
    """What both ways of writing an input share."""

    q: int = 2

    length_word = "signs"

    def __post_init__(self) -> None:
        if not 1 <= self.q <= 16:
            raise InputError(f"{self.name}: q = {self.q}; take 1 to 16")

    def _check(self, n: int) -> None:
        if not self.q <= n <= 2**12 or math.comb(n, self.q) > MOST_SETS:
            raise InputError(f"{self.name}: n = {n}; take q = {self.q} to 4096 signs, with at most {MOST_SETS} sets")

    def _draw(self, n: int, size: int, rng: np.random.Generator, distribution: str) -> tuple[np.ndarray, np.ndarray]:
        """(size, n) bits and (size, q) positions."""
        if distribution != "uniform":
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; there is uniform")
        self._check(n)
        return rng.integers(0, 2, (size, n)), np.sort(rng.random((size, n)).argsort(axis=1)[:, : self.q], axis=1)


@registry.register("sparse-sign-averaging")
@dataclass(frozen=True)
class SparseSignAveraging(_SignAveraging):
    """x_1 .. x_N in {0, 1} for -1 and +1, then a symbol for a q-set y; the label counts the ones of x at y.

    The average of the signs is (2 label - q) / q. Symbol 2 + r is the r-th set in lexicographic order.

    >>> SparseSignAveraging(q=2).answer(np.array([[1, 0, 1, 2 + 1]]))  # sets 01, 02, 12
    array([[2]])
    """

    name = "sparse-sign-averaging"
    gloss = "N signs, then q positions: the average of the signs there"
    source = "Sanford, Hsu, Telgarsky 2023, q-sparse averaging (qSA), of signs and asked once"

    def domain(self, n: int) -> Sequence:
        self._check(n)
        sets = math.comb(n, self.q)
        return Sequence((np.arange(2),) * n + (2 + np.arange(sets),), vocabulary=2 + sets)

    def outputs(self) -> Labels:
        return Labels(self.q + 1)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1] - 1
        sets = np.array(list(itertools.combinations(range(n), self.q)))
        return np.take_along_axis(tokens, sets[tokens[:, -1] - 2], axis=1).sum(axis=1, keepdims=True)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """For every set the 2^q words at its positions."""
        words = np.array(list(itertools.product(range(2), repeat=self.q)))
        for r, chosen in enumerate(itertools.combinations(range(n), self.q)):
            yield CellGroup(query, 2 + r, np.tile(chosen, (len(words), 1)), words, labels=words.sum(axis=1))

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` signs and sets."""
        bits, chosen = self._draw(n, size, rng, distribution)
        rank = {row: r for r, row in enumerate(itertools.combinations(range(n), self.q))}
        asked = [2 + rank[tuple(row)] for row in chosen.tolist()]
        return np.concatenate([bits, np.array(asked)[:, None]], axis=1), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        sets = list(itertools.combinations(range(len(tokens) - 1), self.q))
        return "".join("-+"[bit] for bit in tokens[:-1]) + f" at {sets[int(tokens[-1]) - 2]}"


@registry.register("sparse-sign-averaging-flat")
@dataclass(frozen=True)
class FlatSignAveraging(_SignAveraging):
    """The same as one vector, for nets that read an input whole: N numbers x, then N weights w; the answer is x w / q.

    Samples have signs for x and the indicator of a q-set for w. tokens: (batch, 1), all 0. reals: (batch, 1, 2 N).

    >>> FlatSignAveraging(q=2).answer(np.zeros((1, 1), int), np.array([[[1, -1, 1, 1, 0, 1.0]]]))
    array([[[1.]]])
    """

    name = "sparse-sign-averaging-flat"
    gloss = "N signs and the indicator of q positions, in one vector: the average of the signs there"
    source = "Sanford, Hsu, Telgarsky 2023, q-sparse averaging (qSA), of signs and asked once"

    def domain(self, n: int) -> Sequence:
        self._check(n)
        return Sequence((np.zeros(1, dtype=np.int64),), 1, reals=Reals("box", 2 * n))

    def outputs(self) -> RealAnswer:
        return RealAnswer(1, 0.99 / self.q)  # half of the distance between two averages, and no tie

    def queries(self, n: int) -> tuple[int, ...]:
        return (0,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        assert reals is not None, "this form of the task is a vector"
        n = reals.shape[2] // 2
        return (reals[:, :, :n] * reals[:, :, n:]).sum(axis=2, keepdims=True) / self.q

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray]:
        """`uniform` signs and sets."""
        bits, chosen = self._draw(n, size, rng, distribution)
        weights = np.zeros((size, n))
        np.put_along_axis(weights, chosen, 1.0, axis=1)
        return np.zeros((size, 1), dtype=np.int64), np.concatenate([2.0 * bits - 1.0, weights], axis=1)[:, None]

    def splits(self, n: int) -> tuple[int, ...]:
        return (1,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        if reals is None:
            return "a vector"
        signs, weights = np.split(reals[0], 2)
        return " ".join(f"{x:g}" for x in signs) + f" at {np.flatnonzero(weights).tolist()}"
