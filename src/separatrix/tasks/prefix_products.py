"""Prefix products of a finite group: every position answers with the product of the elements so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.word_problem import elements, products


@registry.register("prefix-products")
@dataclass(frozen=True)
class PrefixProducts(Task):
    """N group elements; position i answers with the number of x_1 x_2 .. x_i, from left to right.

    What Merrill, Petty, Sabharwal 2024 train on: every prefix teaches, where `word-problem` asks for the end alone.

    >>> PrefixProducts("z3").answer(np.array([[1, 1, 1, 2]]))
    array([[1, 2, 0, 2]])
    """

    group: str = "s3"

    name = "prefix-products"
    gloss = "every position answers with the product of the group elements so far"
    source = "Merrill, Petty, Sabharwal 2024 (word problems with the product after every element)"
    length_word = "group elements"

    def __post_init__(self) -> None:
        elements(self.group)

    @property
    def order(self) -> int:
        """Number of group elements."""
        return len(elements(self.group))

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"prefix-products: n = {n}; take 1 to {2**20} group elements")
        return Sequence((np.arange(self.order),) * n, vocabulary=self.order)

    def outputs(self) -> Labels:
        return Labels(self.order)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        table, found = products(self.group), np.array(tokens, dtype=np.int64)
        for i in range(1, found.shape[1]):
            found[:, i] = table[found[:, i - 1], found[:, i]]
        return found

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` words."""
        self.domain(n)
        if distribution != "uniform":
            raise InputError(f"prefix-products: distribution {distribution!r} is not known; there is `uniform`")
        return rng.integers(0, self.order, (size, n)), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        """Permutations as the images of 1 .. d; elements of zM as numbers."""
        if self.group.startswith("z"):
            return " ".join(map(str, tokens.tolist()))
        written = elements(self.group)
        return " ".join("".join(str(point + 1) for point in written[g]) for g in tokens.tolist())
