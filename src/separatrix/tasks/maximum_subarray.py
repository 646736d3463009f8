"""Maximum subarray: position i answers the largest sum of a non-empty run of numbers within x_1 .. x_i."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.closed_form import Extreme
from separatrix.tasks import registry
from separatrix.tasks.real_list import RealList


@registry.register("maximum-subarray")
@dataclass(frozen=True)
class MaximumSubarray(RealList):
    """y_i = max over a <= b <= i of x_a + .. + x_b.

    >>> MaximumSubarray().of(np.array([[1.0, -3.0, 2.0, 2.0]]))
    array([[1., 1., 2., 4.]])
    """

    name = "maximum-subarray"
    gloss = "the largest sum of a run of the numbers so far"
    source = "Back de Luca et al. 2025, section 7 (cumulative maximum sum subarray)"

    def of(self, x: np.ndarray) -> np.ndarray:
        best, ending = np.full(len(x), -np.inf), np.zeros(len(x))
        answers = np.empty_like(x)
        for i in range(x.shape[1]):
            ending = np.maximum(ending, 0.0) + x[:, i]
            best = np.maximum(best, ending)
            answers[:, i] = best
        return answers

    def closed_form(self, n: int, query: int) -> Extreme:
        runs = [(a, b) for b in range(query + 1) for a in range(b + 1)]
        at = np.arange(n)
        return Extreme("max", np.array([(at >= a) & (at <= b) for a, b in runs], dtype=np.int64))
