"""Tasks on lists of real numbers of any length up to N: each node has a number and a mark that says it is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import RealAnswer, Reals, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.maximum_subarray import MaximumSubarray
from separatrix.tasks.prefix_extremes import PrefixMinima
from separatrix.tasks.prefix_medians import PrefixMedians
from separatrix.tasks.sorting import Sorting

OF = {
    "sum": lambda x: np.cumsum(x, axis=1),
    "min": PrefixMinima().of,
    "median": PrefixMedians().of,
    "sort": Sorting().of,
    "maximum-subarray": MaximumSubarray().of,
}


@registry.register("variable-length")
@dataclass(frozen=True)
class VariableLength(Task):
    """L <= N numbers; the first L nodes answer as the task `of` does on a list of L, the others answer 0.

    tokens: (batch, N), all 0. reals: (batch, N, 2), a number in [-scale, scale] and a mark. A list ends before the
    first mark of at most 1/2; what stands behind its end counts for nothing. Samples have marks 1 and 0, and 0 for
    absent numbers; their lengths are uniform from 1 to N. Right means within `eps` at every node.

    >>> x = np.array([[[3, 1], [1, 1], [2, 1], [0, 0.0]]])
    >>> VariableLength("sort").answer(np.zeros((1, 4), int), x)[0, :, 0]
    array([1., 2., 3., 0.])
    """

    of: str = "sum"
    scale: float = 2.0
    eps: float = 1e-6

    name = "variable-length"
    gloss = "sum, min, median, sort or maximum-subarray of lists of different lengths, each node marked as used or not"
    source = "Back de Luca et al. 2025, section 7 (variable length); the marks are this project's"
    length_word = "numbers at most"

    def __post_init__(self) -> None:
        if self.of not in OF:
            raise InputError(f"variable-length: of = {self.of!r}; take {', '.join(OF)}")
        if not (0.0 < self.scale < 1e9 and 0.0 < self.eps < 1e9):
            raise InputError(
                f"variable-length: scale = {self.scale}, eps = {self.eps}; take positive numbers below 1e9"
            )

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**12:
            raise InputError(f"variable-length: n = {n}; take 1 to {2**12} numbers")
        most = max(self.scale, 1.0)
        return Sequence((np.zeros(1, dtype=np.int64),) * n, 1, reals=Reals("box", 2, -most, most))

    def outputs(self) -> RealAnswer:
        return RealAnswer(1, self.eps)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        assert reals is not None, "variable-length needs the real parts"
        there = present(reals)
        x = np.where(there, reals[:, :, 0], np.inf if self.of == "sort" else 0.0)  # absent numbers sort behind the list
        return np.where(there, OF[self.of](x), 0.0)[:, :, None]

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, np.ndarray]:
        """`uniform` on the box; `interval`: uniform on a random interval of its own for every list (the papers')."""
        if distribution not in ("uniform", "interval"):
            raise InputError(f"variable-length: distribution {distribution!r} is not known; uniform, interval")
        self.domain(n)
        ends = np.array([[-self.scale, self.scale]])
        if distribution == "interval":
            ends = np.sort(rng.uniform(-self.scale, self.scale, (size, 2)), axis=1)
        x = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * rng.random((size, n))
        return np.zeros((size, n), dtype=np.int64), marked(x, rng.integers(1, n + 1, size))

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        if reals is None:
            return f"at most {len(tokens)} numbers"
        return " ".join(f"{x:.4g}" for x in reals[present(reals[None])[0], 0])


def marked(x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(batch, N, 2) numbers and marks of the lists of these lengths that x (batch, N) begins with."""
    there = np.arange(x.shape[1]) < lengths[:, None]
    return np.stack([np.where(there, x, 0.0), there.astype(np.float64)], axis=2)


def present(reals: np.ndarray) -> np.ndarray:
    """(batch, N) whether a node belongs to the list."""
    return np.logical_and.accumulate(reals[:, :, 1] > 0.5, axis=1)
