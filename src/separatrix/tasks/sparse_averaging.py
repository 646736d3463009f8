"""q-sparse averaging: each token points at q tokens; answer with the mean of what they carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from separatrix.core.domain import CellGroup, PointerSets, RealAnswer, Reals, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

MOST_READ = 2**24  # numbers that are held at a time, before they are added up


@registry.register("sparse-averaging")
@dataclass(frozen=True)
class SparseAveraging(Task):
    """Token i is (z_i, y_i, i): z_i in the unit ball of R^dim, y_i a q-subset of positions; answer mean of z over y_i.

    tokens: (batch, N, q) pointers, increasing, counted from 0 (y_i may contain i). reals: (batch, N, dim).
    Right means within `eps` in the Euclidean norm at every position.

    >>> z = np.array([[3, 1, 4, 1, 5, 9.0]])[..., None]
    >>> y = np.array([[[1, 2], [0, 5], [3, 4], [0, 1], [2, 5], [1, 4]]])
    >>> SparseAveraging(q=2).answer(y, z)[0, :, 0]
    array([2.5, 6. , 3. , 2. , 6.5, 3. ])
    """

    q: int = 4
    dim: int = 1
    eps: float = 0.01

    name = "sparse-averaging"
    gloss = "every token points at q tokens: answer with the mean of what they carry"
    source = "Sanford, Hsu, Telgarsky 2023, Definition of q-sparse averaging (qSA)"

    def __post_init__(self) -> None:
        if not 1 <= self.q <= 4096 or not 1 <= self.dim <= 4096:
            raise InputError(f"sparse-averaging: q = {self.q}, dim = {self.dim}; take 1 to 4096 each")
        if not 0.0 < self.eps < 1.0:
            raise InputError(f"sparse-averaging: eps = {self.eps}; take a number between 0 and 1")

    def domain(self, n: int) -> Sequence:
        if not self.q <= n <= 2**20:
            raise InputError(f"sparse-averaging: n = {n}; take q = {self.q} to {2**20} tokens")
        return Sequence((PointerSets(n, self.q),) * n, vocabulary=0, reals=Reals("ball", self.dim))

    def outputs(self) -> RealAnswer:
        return RealAnswer(self.dim, self.eps)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        assert reals is not None, "sparse averaging needs the real parts"
        rows = np.arange(len(tokens))[:, None]
        if tokens.size * reals.shape[2] <= MOST_READ:
            return reals[rows[:, :, None], tokens].mean(axis=2)
        total = np.zeros((*tokens.shape[:2], reals.shape[2]))
        for p in range(tokens.shape[2]):
            total += reals[rows, tokens[:, :, p]]
        return total / tokens.shape[2]

    def coefficients(self, n: int, pointers: tuple[int, ...]) -> np.ndarray:
        """(positions,) weights t with answer = sum_j t_j z_j at a token that points at `pointers`."""
        weights = np.zeros(n)
        weights[list(pointers)] = 1.0 / self.q
        return weights

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """One cell a pointer set: C(N, q) of them, polynomial for fixed q only."""
        empty = np.zeros((1, 0), dtype=np.int64)
        for pointers in combinations(range(n), self.q):
            yield CellGroup(query, pointers, empty, empty, coefficients=self.coefficients(n, pointers))

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray]:
        """`uniform`: random pointer sets and directions, half of the lengths 1; `signs`: z = +-1 corners scaled."""
        if distribution not in ("uniform", "signs"):
            raise InputError(f"sparse-averaging: distribution {distribution!r} is not known; uniform, signs")
        keys = rng.random((size, n, n)).argsort(axis=2)[:, :, : self.q]
        directions = rng.standard_normal((size, n, self.dim))
        if distribution == "signs":
            directions = np.sign(directions) + (directions == 0)
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
        radii = np.where(rng.random((size, n, 1)) < 0.5, 1.0, rng.random((size, n, 1)))
        return np.sort(keys, axis=2), directions * (1.0 if distribution == "signs" else radii)

    def splits(self, n: int) -> tuple[int, ...]:
        return (max(1, (n - self.q + 1) // 2),)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        values = [""] * len(tokens) if reals is None else [np.array2string(z, precision=3) + " " for z in reals]
        sets = ("{" + ",".join(map(str, y)) + "}" for y in tokens)
        return " ".join(f"({z}-> {y})" for z, y in zip(values, sets, strict=True))
