"""Majority: N bits, N odd; are there more ones than zeros?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.reading import Reading
from separatrix.core.task import Task
from separatrix.tasks import registry

ASK = 2  # the token id of the query


@registry.register("majority")
@dataclass(frozen=True)
class Majority(Task):
    """N bits (N odd), then one fixed query token; answer 1 iff more bits are 1 than 0.

    Token ids: the bits 0 and 1; 2 asks. n = N bits, so N + 1 positions.

    >>> Majority().answer(np.array([[0, 1, 1, 2], [0, 1, 0, 2]]))
    array([[1],
           [0]])
    """

    name = "majority"
    gloss = "N bits, N odd: are there more ones than zeros"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024 (threshold functions Th_b, b = N/2)"
    length_word = "bits"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n < 2**16 or n % 2 == 0:
            raise InputError(f"majority: n = {n}; take an odd number of bits, 1 to {2**16 - 1}")
        return Sequence((np.arange(2),) * n + (np.array([ASK]),), vocabulary=3)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        bits = tokens[:, :-1]
        return (2 * bits.sum(axis=1, keepdims=True) > bits.shape[1]).astype(np.int64)

    def reading(self, n: int, query: int) -> Reading | None:
        """Bit by bit, counting ones; the query token counts nothing."""
        ones = np.arange(n + 1)
        table = np.stack([ones, np.minimum(ones + 1, n), ones], axis=1)
        return Reading(tuple(range(n + 1)), table, (2 * ones > n).astype(np.int64))

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """N + 1 groups of one cell: exactly c of the bits are 1."""
        empty, bits = np.zeros((1, 0), dtype=np.int64), tuple(range(n))
        for ones in range(n + 1):
            yield CellGroup(
                query=n,
                token=ASK,
                positions=empty,
                symbols=empty,
                labels=np.array([int(2 * ones > n)]),
                constraint=Constraint("count", symbol=1, count=ones, positions=bits),
            )

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` bits; `counts`: every number of ones equally likely; `close`: (N - 1)/2 or (N + 1)/2 ones."""
        self.domain(n)
        match distribution:
            case "uniform":
                bits = rng.integers(0, 2, (size, n))
            case "counts" | "close":
                least, most = (0, n + 1) if distribution == "counts" else ((n - 1) // 2, (n + 3) // 2)
                ones = rng.integers(least, most, (size, 1))
                bits = (rng.random((size, n)).argsort(axis=1) < ones).astype(np.int64)
            case _:
                raise InputError(f"majority: distribution {distribution!r} is not known; uniform, counts, close")
        return np.concatenate([bits, np.full((size, 1), ASK)], axis=1), None

    def splits(self, n: int) -> tuple[int, ...]:
        return (max(1, n // 2),)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return "".join(map(str, tokens[:-1])) + " ?"
