"""Composition of binary relations: at every pair (i, j), is there a k with A(i, k) and B(k, j)?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Labels, PairGroup, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry


@registry.register("relation-composition")
@dataclass(frozen=True)
class RelationComposition(Task):
    """s^2 tokens, one a pair (i, j) in order of rows, with the bits A(i, j) and B(i, j): symbol 2 A + B.

    n = s, the side. Token (i, j) answers 1 iff some k has A(i, k) = B(k, j) = 1.

    >>> RelationComposition().answer(np.array([[2, 0, 0, 1]]))  # A = {(0, 0)}, B = {(1, 1)}
    array([[0, 0, 0, 0]])
    >>> RelationComposition().answer(np.array([[0, 2, 0, 1]]))  # A = {(0, 1)}, B = {(1, 1)}
    array([[0, 1, 0, 0]])
    """

    name = "relation-composition"
    gloss = "two relations A and B on s things: at (i, j), is there a k with A(i, k) and B(k, j)?"
    source = "Kozachinskiy et al. 2025, binary relation composition"
    length_word = "things, so n^2 pairs"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**8:
            raise InputError(f"relation-composition: n = {n}; take 1 to {2**8} things")
        return Sequence((np.arange(4),) * (n * n), vocabulary=4)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n * n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        side = round(tokens.shape[1] ** 0.5)
        first, second = ((tokens.reshape(-1, side, side) >> bit) & 1 for bit in (1, 0))
        return (first @ second > 0).astype(np.int64).reshape(tokens.shape)

    def pairs(self, n: int, query: int) -> Iterator[PairGroup]:
        """(i, k) with A and (k, j) with B, for every k: then 1, else 0."""
        i, j = divmod(query, n)
        k, a, b = (grid.reshape(-1) for grid in np.meshgrid(np.arange(n), [2, 3], [1, 3], indexing="ij"))
        where, what = np.stack([i * n + k, k * n + j], axis=1), np.stack([a, b], axis=1)
        kept = (where[:, 0] != where[:, 1]) | (a == b)
        for token in range(4):
            mine = ((where != query) | (what == token)).all(axis=1) & kept
            yield PairGroup(query, token, where[mine], what[mine], np.ones(int(mine.sum()), dtype=np.int64), rest=0)

    def constant(self, n: int, query: int, box: tuple[np.ndarray, ...]) -> int | None:
        """1 if some k is sure, 0 if none is possible."""
        (i, j), sure, possible = divmod(query, n), False, False
        for k in range(n):
            one, two = box[i * n + k], box[k * n + j]
            if i * n + k == k * n + j:
                hits = one == 3
                sure, possible = sure or bool(hits.all()), possible or bool(hits.any())
            else:
                sure |= bool((one >= 2).all() and (two % 2 == 1).all())
                possible |= bool((one >= 2).any() and (two % 2 == 1).any())
        return 1 if sure else None if possible else 0

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`; `sparse` has so few ones that both answers are common."""
        self.domain(n)
        if distribution == "uniform":
            return rng.integers(0, 4, (size, n * n)), None
        if distribution == "sparse":
            bits = rng.random((2, size, n * n)) < (0.7 / n) ** 0.5
            return 2 * bits[0].astype(np.int64) + bits[1], None
        raise InputError(
            f"relation-composition: distribution {distribution!r} is not known; there are `uniform` and `sparse`"
        )

    def splits(self, n: int) -> tuple[int, ...]:
        return tuple(range(1, n * n)) or (1,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        side = round(len(tokens) ** 0.5)
        return " / ".join(" ".join(f"{t:02b}" for t in row) for row in tokens.reshape(side, side))
