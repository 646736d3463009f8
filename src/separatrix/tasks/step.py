"""What steps of tasks share: their inputs are drawn from the alphabets, symbol by symbol."""

from __future__ import annotations

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.task import Task


class Step(Task):
    """A step of some task's `factors`, never registered."""

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` over the words of the alphabets."""
        if distribution != "uniform":
            raise InputError(f"{self.name}: distribution {distribution!r} is not known; there is `uniform`")
        return np.stack([rng.choice(np.asarray(a), size) for a in self.domain(n).alphabets], axis=1), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))
