"""Sums of s numbers: at every position, do s - 1 numbers add up with it to 0 modulo M?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Labels, Sequence, TupleGroup
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry


@registry.register("match-sums")
@dataclass(frozen=True)
class MatchSums(Task):
    """x_1 .. x_N modulo M; i answers 1 iff some j_1 .. j_(s-1) have x_i + x_(j_1) + .. + x_(j_(s-1)) = 0 mod M.

    `order` is s: 2 is Match2, 3 is Match3. Indices may be equal.

    >>> MatchSums(order=4, modulus=7).answer(np.array([[1, 2, 2]]))
    array([[1, 1, 1]])
    >>> MatchSums(order=4, modulus=9).answer(np.array([[1, 1, 2]]))
    array([[0, 0, 0]])
    """

    order: int = 4
    modulus: int = 17

    name = "match-sums"
    gloss = "s numbers, that at i among them, add up to 0 mod M, asked at every position i"
    source = "Sanford, Hsu, Telgarsky 2023, Match of order s"
    length_word = "numbers"

    def __post_init__(self) -> None:
        if not 2 <= self.order <= 8 or not 2 <= self.modulus <= 2**12:
            raise InputError(
                f"match-sums: order = {self.order}, modulus = {self.modulus}; take 2 to 8, and 2 to {2**12}"
            )

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**14:
            raise InputError(f"match-sums: n = {n}; take 1 to {2**14} numbers")
        return Sequence((np.arange(self.modulus),) * n, vocabulary=self.modulus)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        """By the sets of residues that 1, 2, .. numbers add up to."""
        batch = len(tokens)
        held = np.zeros((batch, self.modulus), dtype=bool)
        held[np.arange(batch)[:, None], tokens] = True
        sums = self._sums(held)
        return np.take_along_axis(sums, -tokens % self.modulus, axis=1).astype(np.int64)

    def _sums(self, held: np.ndarray) -> np.ndarray:
        """(batch, modulus) which residues s - 1 of the residues held (batch, modulus) add up to."""
        sums, other = held, np.fft.rfft(held, axis=1)
        for _ in range(self.order - 2):  # ways to write each sum: whole numbers up to the modulus, off by far below 1/2
            sums = np.fft.irfft(np.fft.rfft(sums, axis=1) * other, n=self.modulus, axis=1) > 0.5
        return sums

    def tuples(self, n: int, query: int) -> Iterator[TupleGroup]:
        """For each residue a at the query, the M^(s-2) tuples that add up to -a."""
        free = self.order - 2
        first = np.indices((self.modulus,) * free).reshape(free, self.modulus**free).T
        for a in range(self.modulus):
            last = (-a - first.sum(axis=1)) % self.modulus
            yield TupleGroup(query, a, np.concatenate([first, last[:, None]], axis=1))

    def constant(self, n: int, query: int, box: tuple[np.ndarray, ...]) -> int | None:
        """1 if numbers that are sure to stand there do it, 0 if no numbers that may stand there do."""
        if len(box[query]) != 1:
            return None
        held = np.zeros((2, self.modulus), dtype=bool)
        held[0, np.concatenate([symbols for symbols in box if len(symbols) == 1])] = True
        held[1, np.concatenate(box)] = True
        sure, possible = self._sums(held)[:, -int(box[query][0]) % self.modulus]
        return 1 if sure else None if possible else 0

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`; `sparse` draws each input from two residues, so that both labels are common."""
        self.domain(n)
        if distribution == "uniform":
            return rng.integers(0, self.modulus, (size, n)), None
        if distribution == "sparse":
            pools = rng.integers(0, self.modulus, (size, 2))
            return np.take_along_axis(pools, rng.integers(0, 2, (size, n)), axis=1), None
        raise InputError(f"match-sums: distribution {distribution!r} is not known; there are `uniform` and `sparse`")

    def splits(self, n: int) -> tuple[int, ...]:
        return (max(1, n - 1),)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens)) + f" (mod {self.modulus}, {self.order} at a time)"
