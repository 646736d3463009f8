"""Match3Bigram: at every position, are there two neighbours that add up with it to 0 modulo M?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.flags import EMPTY

MOST = 1024  # residues: the labels of the first step are pairs of them


@registry.register("match3-bigram")
@dataclass(frozen=True)
class Match3Bigram(Task):
    """x_1 .. x_N modulo M; position i answers 1 iff some j < N has x_i + x_j + x_(j+1) = 0 mod M.

    Neighbours do not wrap around, and j or j + 1 may be i. The task factors: every position adds its right neighbour,
    then it is Match2 against the sums.

    >>> Match3Bigram(modulus=7).answer(np.array([[1, 2, 4, 5]]))
    array([[1, 0, 1, 1]])
    """

    modulus: int = 17

    name = "match3-bigram"
    gloss = "x_i + x_j + x_(j+1) = 0 mod M for some j, asked at every position i"
    source = "Sanford, Hsu, Telgarsky 2023, Match3Bigram"
    length_word = "numbers"

    def __post_init__(self) -> None:
        if not 2 <= self.modulus <= MOST:
            raise InputError(f"{self.name}: modulus = {self.modulus}; take 2 to {MOST}")

    def domain(self, n: int) -> Sequence:
        _check_length(self.name, n)
        return Sequence((np.arange(self.modulus),) * n, vocabulary=self.modulus)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return Meets(self.modulus).answer(Neighbour(self.modulus).answer(tokens))

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """The right neighbour's sum, then a partner among the sums."""
        return {"sums": (Neighbour(self.modulus), Meets(self.modulus))}

    def constant(self, n: int, query: int, box: tuple[np.ndarray, ...]) -> int | None:
        """1 if two neighbours that are known do it, 0 if none can."""
        if type(self) is not Match3Bigram or len(box[query]) != 1:  # the steps answer something else
            return None
        wanted, possible = -int(box[query][0]) % self.modulus, False
        for left, right in pairwise(box):
            hits = np.isin((wanted - left) % self.modulus, right)
            if hits.all() and len(left) == len(right) == 1:  # two symbols at one place have different sums
                return 1
            possible |= bool(hits.any())
        return None if possible else 0

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`; `sparse` draws each input from few random residues, so that both labels are common."""
        self.domain(n)
        if distribution == "uniform":
            return rng.integers(0, self.modulus, (size, n)), None
        if distribution == "sparse":
            few = max(1, round(self.modulus**0.5))
            pools = rng.random((size, self.modulus)).argsort(axis=1)[:, :few]
            return np.take_along_axis(pools, rng.integers(0, few, (size, n)), axis=1), None
        raise InputError(f"{self.name}: distribution {distribution!r} is not known; there are `uniform` and `sparse`")

    def splits(self, n: int) -> tuple[int, ...]:
        return tuple(range(1, n)) or (1,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens)) + f" (mod {self.modulus})"


@dataclass(frozen=True)
class Neighbour(Match3Bigram):
    """Each position answers with its number and the sum with its right neighbour: own * (M + 1) + sum; M at the last.

    >>> Neighbour(3).answer(np.array([[1, 2, 2]]))
    array([[ 4,  9, 11]])
    """

    name = "match3-bigram-neighbour"
    gloss = "the number here, and its sum with the next one modulo M"

    def outputs(self) -> Labels:
        return Labels(self.modulus * (self.modulus + 1))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        sums = (tokens[:, :-1] + tokens[:, 1:]) % self.modulus
        return tokens * (self.modulus + 1) + np.concatenate([sums, np.full((len(tokens), 1), self.modulus)], axis=1)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        return {}

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By the number here and the one behind."""
        behind = np.arange(self.modulus)[:, None]
        for own in range(self.modulus):
            label = own * (self.modulus + 1)
            if query == n - 1:
                yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([label + self.modulus]))
            else:
                sums = (own + behind[:, 0]) % self.modulus
                yield CellGroup(query, own, np.full_like(behind, query + 1), behind, labels=label + sums)


@dataclass(frozen=True)
class Meets(Match3Bigram):
    """Reads the labels of `Neighbour`; position i answers 1 iff some position's sum is minus its own number."""

    name = "match3-bigram-meets"
    gloss = "is some sum of neighbours minus the number here?"

    def domain(self, n: int) -> Sequence:
        _check_length(self.name, n)
        pairs, last = _labels(self.modulus)
        return Sequence((pairs,) * (n - 1) + (last,), vocabulary=self.modulus * (self.modulus + 1))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        own, sums = np.divmod(tokens, self.modulus + 1)
        present = np.zeros((len(tokens), self.modulus + 1), dtype=np.int64)
        present[np.arange(len(tokens))[:, None], sums] = 1
        return np.take_along_axis(present, -own % self.modulus, axis=1)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        return {}

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By own label: 1 where the own sum does, or where a named position's sum does; 0 where no sum does."""
        for own in _labels(self.modulus)[query == n - 1].tolist():
            number, mine = divmod(own, self.modulus + 1)
            wanted = -number % self.modulus
            if mine == wanted:
                yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([1]))
                continue
            for j in range(n - 1):
                if j != query:
                    where = _one(self.modulus, n, j, wanted)
                    yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([1]), background=where)
            yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([0]), background=_none(self.modulus, n, wanted))

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` over the words of the alphabets."""
        if distribution != "uniform":
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; there is `uniform`")
        return np.stack([rng.choice(np.asarray(a), size) for a in self.domain(n).alphabets], axis=1), None


def _check_length(name: str, n: int) -> None:
    if not 1 <= n <= 2**14:
        raise InputError(f"{name}: n = {n}; take 1 to {2**14} numbers")


@lru_cache(maxsize=64)
def _labels(modulus: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of `Neighbour` before the last position, and at it."""
    own = np.arange(modulus)[:, None] * (modulus + 1)
    return (own + np.arange(modulus)).reshape(-1), own[:, 0] + modulus


@lru_cache(maxsize=2**11)
def _with_sum(modulus: int, wanted: int, there: bool) -> np.ndarray:
    """Labels before the last position whose sum is `wanted`, or is not."""
    pairs = _labels(modulus)[0]
    return pairs[(pairs % (modulus + 1) == wanted) == there]


@lru_cache(maxsize=2**16)
def _one(modulus: int, n: int, j: int, wanted: int) -> tuple[np.ndarray, ...]:
    """Position j has the sum `wanted`; the others have any."""
    pairs, last = _labels(modulus)
    return (pairs,) * j + (_with_sum(modulus, wanted, True),) + (pairs,) * (n - 2 - j) + (last,)


@lru_cache(maxsize=2**11)
def _none(modulus: int, n: int, wanted: int) -> tuple[np.ndarray, ...]:
    """No position has the sum `wanted`."""
    return (_with_sum(modulus, wanted, False),) * (n - 1) + (_labels(modulus)[1],)
