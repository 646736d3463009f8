"""Match3Local: at every position, are there two numbers nearby that add up with it to 0 modulo M?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry

MOST_WORDS = 2**22  # words of a window that are written down


@registry.register("match3-local")
@dataclass(frozen=True)
class Match3Local(Task):
    """x_1 .. x_N modulo M; i answers 1 iff some j, k with |j - i|, |k - i| <= K have x_i + x_j + x_k = 0 mod M.

    i, j and k may be equal. The cells list the words of the window around i.

    >>> Match3Local(modulus=7, window=1).answer(np.array([[1, 1, 5, 3, 3]]))
    array([[0, 1, 1, 0, 0]])
    """

    modulus: int = 17
    window: int = 1

    name = "match3-local"
    gloss = "x_i + x_j + x_k = 0 mod M for some j, k at most K away, asked at every position i"
    source = "Sanford, Hsu, Telgarsky 2023, Match3Local"
    length_word = "numbers"

    def __post_init__(self) -> None:
        if not 2 <= self.modulus <= 2**16 or not 1 <= self.window <= 64:
            raise InputError(
                f"match3-local: modulus = {self.modulus}, window = {self.window}; take 2 to {2**16}, and 1 to 64"
            )

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**16:
            raise InputError(f"match3-local: n = {n}; take 1 to {2**16} numbers")
        return Sequence((np.arange(self.modulus),) * n, vocabulary=self.modulus)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1]
        found = np.zeros(tokens.shape, dtype=bool)
        for i in range(n):
            near = tokens[:, max(0, i - self.window) : i + self.window + 1]
            sums = (tokens[:, i, None, None] + near[:, :, None] + near[:, None, :]) % self.modulus
            found[:, i] = (sums == 0).any(axis=(1, 2))
        return found.astype(np.int64)

    def cells(self, n: int, query: int) -> Iterator[CellGroup] | None:
        """Every word of the window; none where these are too many."""
        near = [j for j in range(max(0, query - self.window), min(n, query + self.window + 1)) if j != query]
        if self.modulus ** len(near) > MOST_WORDS:
            return None
        words = np.indices((self.modulus,) * len(near)).reshape(len(near), self.modulus ** len(near)).T
        where = np.broadcast_to(np.array(near, dtype=np.int64), words.shape)
        at = near.index(query + 1) if query + 1 in near else len(near)
        return (
            CellGroup(
                query,
                own,
                where,
                words,
                labels=Match3Local(self.modulus, len(near) or 1).answer(np.insert(words, at, own, axis=1))[:, at],
            )
            for own in range(self.modulus)
        )

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """One step: the task itself, by its windows."""
        return {"windows": (self,)}

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`."""
        if distribution != "uniform":
            raise InputError(f"match3-local: distribution {distribution!r} is not known; there is `uniform`")
        self.domain(n)
        return rng.integers(0, self.modulus, (size, n)), None

    def splits(self, n: int) -> tuple[int, ...]:
        return tuple(range(1, n)) or (1,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens)) + f" (mod {self.modulus}, {self.window} to each side)"
