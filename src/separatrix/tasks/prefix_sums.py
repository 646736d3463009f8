"""Prefix sums: N real vectors in a box; every position answers with the sum of those up to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.closed_form import Extreme
from separatrix.core.domain import CellGroup, RealAnswer, Reals, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry


@registry.register("prefix-sums")
@dataclass(frozen=True)
class PrefixSums(Task):
    """Token i carries z_i in [low, high]^dim; position i answers z_0 + .. + z_i. Right means within `eps` everywhere.

    tokens: (batch, N), all 0. reals: (batch, N, dim).

    >>> PrefixSums().answer(np.zeros((1, 3), dtype=int), np.array([[[0.5], [-1.0], [0.25]]]))[0, :, 0]
    array([ 0.5 , -0.5 , -0.25])
    """

    dim: int = 1
    low: float = -1.0
    high: float = 1.0
    eps: float = 0.01

    name = "prefix-sums"
    gloss = "real numbers in a box: every position answers with the sum up to it"
    source = "Back de Luca et al. 2025, section 7 (cumulative sum)"
    length_word = "numbers"

    def __post_init__(self) -> None:
        if not 1 <= self.dim <= 4096 or not 0.0 < self.eps < 1e6:
            raise InputError(f"prefix-sums: dim = {self.dim}, eps = {self.eps}; take 1 to 4096 and a positive number")
        if not -1e6 <= self.low < self.high <= 1e6:
            raise InputError(f"prefix-sums: low = {self.low}, high = {self.high}; take low < high within 10^6")

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**16:
            raise InputError(f"prefix-sums: n = {n}; take 1 to {2**16} numbers")
        reals = Reals("box", self.dim, self.low, self.high)
        return Sequence((np.array([0]),) * n, vocabulary=1, reals=reals)

    def outputs(self) -> RealAnswer:
        return RealAnswer(self.dim, self.eps)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        assert reals is not None, "prefix sums need the real parts"
        return np.cumsum(reals, axis=1)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """One cell: the answer is sum_j t_j z_j with t_j = 1 up to the query."""
        empty = np.zeros((1, 0), dtype=np.int64)
        yield CellGroup(query, 0, empty, empty, coefficients=(np.arange(n) <= query).astype(np.float64))

    def closed_form(self, n: int, query: int) -> Extreme | None:
        return Extreme("max", (np.arange(n) <= query).astype(np.int64)[None]) if self.dim == 1 else None

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray]:
        """`uniform` in the box; `corners`: every coordinate at either end; `interval`: in a random box of its own."""
        if distribution not in ("uniform", "corners", "interval"):
            raise InputError(f"prefix-sums: distribution {distribution!r} is not known; uniform, corners, interval")
        drawn = rng.random((size, n, self.dim))
        drawn = np.round(drawn) if distribution == "corners" else drawn
        if distribution == "interval":
            ends = np.sort(rng.random((2, size, 1, 1)), axis=0)
            drawn = ends[0] + (ends[1] - ends[0]) * drawn
        return np.zeros((size, n), dtype=np.int64), self.low + (self.high - self.low) * drawn

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        if reals is None:
            return f"{len(tokens)} numbers"
        return " ".join(np.array2string(z, precision=3) for z in reals)
