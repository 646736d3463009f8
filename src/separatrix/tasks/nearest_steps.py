"""The steps of the two look-ups of nearest neighbour: point at the nearest pair, then fetch its label. Not registered.

Positions: point, label, point, label, .., and the point that asks. Behind the first step a label's position holds its
label s, a point's the blank `labels`, and the last one the number of a pair p as labels + 1 + p.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.tasks.flags import EMPTY
from separatrix.tasks.step import Step

MOST = 256  # pairs: labels of the first step hold a number of a pair


@dataclass(frozen=True)
class Point(Step):
    """The last position answers with the latest of the pairs whose points are nearest to its own.

    >>> Point(dim=3).answer(np.array([[0b000, 8 + 1, 0b111, 8 + 0, 0b001]]))
    array([[2, 1, 2, 0, 3]])
    """

    dim: int = 2
    labels: int = 2

    name = "nearest-point"
    gloss = "which pair is nearest"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7 (the first look-up)"
    length_word = "pairs"

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= MOST:
            raise InputError(f"{self.name}: n = {n}; take 1 to {MOST} pairs")
        points, labels = np.arange(2**self.dim), 2**self.dim + np.arange(self.labels)
        return Sequence((points, labels) * n + (points,), 2**self.dim + self.labels)

    def outputs(self) -> Labels:
        return Labels(self.labels + 1 + MOST)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(2 * n + 1))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        found = np.full(tokens.shape, self.labels)
        found[:, 1::2] = tokens[:, 1::2] - 2**self.dim
        apart = distance(tokens[:, :-1:2], tokens[:, -1:])
        found[:, -1] = self.labels + apart.shape[1] - apart[:, ::-1].argmin(axis=1)
        return found

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By own symbol; for the last position pair p holds a point at distance r, later ones are farther."""
        points, labels = np.arange(2**self.dim), 2**self.dim + np.arange(self.labels)
        if query < 2 * n:
            for token in (labels if query % 2 else points).tolist():
                own = token - 2**self.dim if query % 2 else self.labels
                yield CellGroup(query, token, EMPTY, EMPTY, labels=np.array([own]))
            return
        for asked in points.tolist():
            apart = distance(points, np.full(1, asked))
            for r in range(self.dim + 1):
                here, before, after = points[apart == r][:, None], points[apart >= r], points[apart > r]
                for p in range(n) if len(after) else (n - 1,):  # nothing lies farther: only the last can be the latest
                    ground = (before, labels) * (p + 1) + (after, labels) * (n - p - 1) + (np.array([asked]),)
                    answer = np.full(len(here), self.labels + 1 + p)
                    yield CellGroup(query, asked, np.full_like(here, 2 * p), here, labels=answer, background=ground)


@dataclass(frozen=True)
class Fetch(Point):
    """Reads the labels of `Point`; the last position answers with the label of the pair that it points at.

    >>> Fetch(dim=3).answer(np.array([[2, 1, 2, 0, 3]]))
    array([[1]])
    """

    name = "nearest-fetch"
    gloss = "the label of a pair"

    def domain(self, n: int) -> Sequence:
        super().domain(n)
        alphabets = (np.array([self.labels]), np.arange(self.labels)) * n + (self.labels + 1 + np.arange(n),)
        return Sequence(alphabets, self.labels + 1 + MOST)

    def outputs(self) -> Labels:
        return Labels(self.labels)

    def queries(self, n: int) -> tuple[int, ...]:
        return (2 * n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return np.take_along_axis(tokens[:, 1::2], tokens[:, -1:] - self.labels - 1, axis=1)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By the pair, and its label."""
        every = np.arange(self.labels)
        for p in range(n):
            place = np.full((self.labels, 1), 2 * p + 1)
            yield CellGroup(query, self.labels + 1 + p, place, every[:, None], labels=every)


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamming distances of points given as numbers below 2^16."""
    return np.bitwise_count(np.bitwise_xor(a, b).astype(np.uint32)).astype(np.int64)
