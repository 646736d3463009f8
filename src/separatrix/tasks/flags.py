"""Flags that every position raises: the last step of tasks that go wrong at one position. Not registered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task

EMPTY = np.zeros((1, 0), dtype=np.int64)
DOWN, UP, OPEN = 0, 1, 2


@dataclass(frozen=True)
class AllDown(Task):
    """Flags down (0), up (1) or open (2: either); the last position answers 1 iff all are down.

    A flag is open only behind one that is up, so that the answer never depends on it.

    >>> AllDown().answer(np.array([[0, 0, 0], [0, 1, 2]]))
    array([[1],
           [0]])
    """

    name = "all-flags-down"
    gloss = "is no flag up?"
    source = "the OR that ends the constructions of Bhattamishra et al. 2024, Section 3"

    def domain(self, n: int) -> Sequence:
        """n flags before the last one."""
        if not 1 <= n <= 2**20:
            raise InputError(f"all-flags-down: n = {n}; take 1 to {2**20}")
        table = ((0, 1, 2), (1, 1, 1), (2, 2, 2))  # nothing up yet; up; open too early
        return Sequence((np.arange(3),) * (n + 1), 3, Constraint("regular", transitions=table, accepting=(0, 1)))

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return np.asarray((tokens == DOWN).all(axis=1, keepdims=True), dtype=np.int64)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """The last flag is up; another one is; all are down. Behind a flag that is up anything may stand."""
        others, up = np.arange(n)[:, None], np.ones((n, 1), dtype=np.int64)
        yield CellGroup(query, UP, EMPTY, EMPTY, labels=np.array([0]))
        for own in (DOWN, OPEN):
            yield CellGroup(query, own, others, up, labels=np.zeros(n, dtype=np.int64))
        yield CellGroup(query, DOWN, EMPTY, EMPTY, labels=np.array([1]), background=(np.array([DOWN]),) * (n + 1))

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`: all down half of the time, else random flags, none of them open."""
        if distribution != "uniform":
            raise InputError(f"all-flags-down: distribution {distribution!r} is not known; there is `uniform`")
        return rng.integers(0, 2, (size, n + 1)) * (rng.random((size, 1)) < 0.5), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return "".join("_^?"[flag] for flag in tokens.tolist())
