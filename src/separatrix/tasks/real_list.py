"""What tasks on lists of real numbers share: domain, samplers, and how a list is shown."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import RealAnswer, Reals, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task


@dataclass(frozen=True)
class RealList(Task):
    """x_1 .. x_N in [-scale, scale]; every position answers with one real number, right within `eps`.

    tokens: (batch, N), all 0. reals: (batch, N, 1). The papers' experiments train at scale 2 and test up to scale 20.
    """

    scale: float = 2.0
    eps: float = 1e-6

    length_word = "numbers"

    def __post_init__(self) -> None:
        if not (0.0 < self.scale < 1e9 and 0.0 < self.eps < 1e9):
            raise InputError(f"{self.name}: scale = {self.scale}, eps = {self.eps}; take positive numbers below 1e9")

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**16:
            raise InputError(f"{self.name}: n = {n}; take 1 to {2**16} numbers")
        return Sequence((np.zeros(1, dtype=np.int64),) * n, 1, reals=Reals("box", 1, -self.scale, self.scale))

    def outputs(self) -> RealAnswer:
        return RealAnswer(1, self.eps)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        assert reals is not None, f"{self.name} needs the real parts"
        return self.of(reals[:, :, 0])[:, :, None]

    @abstractmethod
    def of(self, x: np.ndarray) -> np.ndarray:
        """(batch, N) answers to (batch, N) numbers."""

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray]:
        """`uniform` on the box; `interval`: uniform on a random interval of its own for every list (the papers')."""
        if distribution not in ("uniform", "interval"):
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; uniform, interval")
        self.domain(n)
        ends = np.array([[-self.scale, self.scale]])
        if distribution == "interval":
            ends = np.sort(rng.uniform(-self.scale, self.scale, (size, 2)), axis=1)
        x = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * rng.random((size, n))
        return np.zeros((size, n), dtype=np.int64), x[:, :, None]

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(f"{x:.4g}" for x in ([] if reals is None else reals[:, 0]))
