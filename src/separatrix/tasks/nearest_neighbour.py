"""In-context nearest neighbour: labelled points of a hypercube, then a point; answer with the nearest one's label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.nearest_steps import Fetch, Point, distance
from separatrix.tasks.recall_steps import Ask, Join


@registry.register("nearest-neighbour")
@dataclass(frozen=True)
class NearestNeighbour(Task):
    """x_1 y_1 .. x_K y_K x_q: points of {-1, 1}^dim / sqrt(dim) with labels; the label of the nearest point to x_q.

    The points are unit vectors, so nearest means least Hamming distance and largest inner product; two distances differ
    by a margin of 2/dim in the inner product, and among equals the latest pair counts. Token ids: point with bits b is
    the number b, 0 .. 2^dim - 1 (bit 1 stands for +1); label s is 2^dim + s. n = K pairs, so 2 K + 1 positions. With
    `joined` one token holds a pair: point b with label s is b labels + s, the point that asks is 2^dim labels + b, and
    there are K + 1 positions. The two encodings are two tasks.

    >>> NearestNeighbour(dim=3).answer(np.array([[0b000, 8 + 1, 0b111, 8 + 0, 0b001], [0, 8, 7, 9, 0b110]]))
    array([[1],
           [1]])
    >>> NearestNeighbour(dim=3, joined=True).answer(np.array([[0b000 * 2 + 1, 0b111 * 2, 16 + 0b001]]))
    array([[1]])
    """

    dim: int = 6
    labels: int = 2
    joined: bool = False

    name = "nearest-neighbour"
    gloss = "labelled points of a hypercube, then a point: the label of the nearest (of the latest among equals)"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 (in-context nearest neighbour), on the hypercube"
    length_word = "pairs"

    def __post_init__(self) -> None:
        if not 1 <= self.dim <= 16 or not 2 <= self.labels <= 2**10:
            raise InputError(
                f"nearest-neighbour: dim = {self.dim}, labels = {self.labels}; take 1 to 16 and 2 to {2**10}"
            )

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"nearest-neighbour: n = {n}; take 1 to {2**20} pairs")
        points = np.arange(2**self.dim)
        if self.joined:
            pairs = np.arange(2**self.dim * self.labels)
            return Sequence((pairs,) * n + (len(pairs) + points,), 2**self.dim * (self.labels + 1))
        labels = 2**self.dim + np.arange(self.labels)
        return Sequence((points, labels) * n + (points,), 2**self.dim + self.labels)

    def outputs(self) -> Labels:
        return Labels(self.labels)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n if self.joined else 2 * n,)

    def _read(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (.., K), labels (.., K), the point that asks (..)."""
        if self.joined:
            points, labels = np.divmod(tokens[..., :-1], self.labels)
            return points, labels, tokens[..., -1] - 2**self.dim * self.labels
        return tokens[..., :-1:2], tokens[..., 1::2] - 2**self.dim, tokens[..., -1]

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        points, labels, asked = self._read(tokens)
        apart = distance(points, asked[:, None])
        latest = points.shape[1] - 1 - apart[:, ::-1].argmin(axis=1)
        return np.take_along_axis(labels, latest[:, None], axis=1)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """Pair p holds a point at distance r with label s; earlier points are no nearer, later ones farther."""
        every, points = np.arange(self.labels), np.arange(2**self.dim)
        labels = 2**self.dim + every
        for asked in range(2**self.dim):
            apart = distance(points, np.full(1, asked))
            token = 2**self.dim * self.labels + asked if self.joined else asked
            for r in range(self.dim + 1):
                here, before, after = points[apart == r], points[apart >= r], points[apart > r]
                if self.joined:
                    before, after = ((p[:, None] * self.labels + every).reshape(-1) for p in (before, after))
                for p in range(n if len(after) else 0):
                    yield self._group(query, token, n, p, here, (before, after), labels)
                if not len(after):  # nothing lies farther: only the last pair can be the latest
                    yield self._group(query, token, n, n - 1, here, (before, before), labels)

    def _group(
        self,
        query: int,
        token: int,
        n: int,
        p: int,
        here: np.ndarray,
        others: tuple[np.ndarray, np.ndarray],
        labels: np.ndarray,
    ) -> CellGroup:
        """The cells of one pair and distance: one for each point `here` and label."""
        before, after = others
        point, label = (grid.reshape(-1) for grid in np.meshgrid(here, np.arange(self.labels), indexing="ij"))
        if self.joined:
            places, symbols = np.full((len(point), 1), p), (point * self.labels + label)[:, None]
            background = (before,) * (p + 1) + (after,) * (n - p - 1) + (np.array([token]),)
        else:
            places = np.tile([2 * p, 2 * p + 1], (len(point), 1))
            symbols = np.stack([point, 2**self.dim + label], axis=1)
            background = (before, labels) * (p + 1) + (after, labels) * (n - p - 1) + (np.array([token]),)
        return CellGroup(query, token, places, symbols, labels=label, background=background)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """With points and labels apart: join each label to its point, then ask; or point at a pair, then fetch."""
        if self.joined:
            return {}
        return {
            "induction": (Join(2**self.dim, self.labels, 1), Nearest(self.dim, self.labels)),
            "pointer": (Point(self.dim, self.labels), Fetch(self.dim, self.labels)),
        }

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` points and labels; `near`: the point that asks is one of the others with one bit turned."""
        if distribution not in ("uniform", "near"):
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; there are uniform and near")
        domain = self.domain(n)
        points, labels = rng.integers(0, 2**self.dim, (size, n)), rng.integers(0, self.labels, (size, n))
        asked = rng.integers(0, 2**self.dim, size)
        if distribution == "near":
            asked = points[np.arange(size), rng.integers(0, n, size)] ^ (1 << rng.integers(0, self.dim, size))
        tokens = np.empty((size, domain.positions), dtype=np.int64)
        if self.joined:
            tokens[:, :-1], tokens[:, -1] = points * self.labels + labels, 2**self.dim * self.labels + asked
        else:
            tokens[:, :-1:2], tokens[:, 1::2], tokens[:, -1] = points, 2**self.dim + labels, asked
        return tokens, None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n if self.joined else 2 * n,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        points, labels, asked = self._read(tokens)
        pairs = (f"{p:0{self.dim}b}:{s}" for p, s in zip(points.tolist(), labels.tolist(), strict=True))
        return " ".join(pairs) + f" ? {int(asked):0{self.dim}b}"


@dataclass(frozen=True)
class Nearest(NearestNeighbour):
    """The task with pairs in one token, but for a position before each pair that holds its point. Not registered.

    Reads the labels of `Join`.
    """

    name = "nearest-joined"
    gloss = "the label of the nearest point, where pairs are joined"

    def domain(self, n: int) -> Sequence:
        return Ask(2**self.dim, self.labels, 1).domain(n)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        return {}

    def _read(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        points, labels = np.divmod(tokens[..., 1::2], self.labels)
        return points, labels, tokens[..., -1] - 2**self.dim * self.labels

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """The cells of joined pairs, with a point before each pair."""
        joined = NearestNeighbour(self.dim, self.labels, joined=True)
        points = 2**self.dim * self.labels + np.arange(2**self.dim)
        for group in joined.cells(n, n):
            assert group.background is not None
            spread = [alphabet for pair in group.background[:-1] for alphabet in (points, pair)]
            background = (*spread, group.background[-1])
            yield replace(group, query=query, positions=2 * group.positions + 1, background=background)
