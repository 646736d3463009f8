"""Prefix sums: position i answers x_1 + .. + x_i."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.closed_form import Extreme
from separatrix.tasks import registry
from separatrix.tasks.real_list import RealList


@registry.register("prefix-sums")
@dataclass(frozen=True)
class PrefixSums(RealList):
    """y_i = x_1 + .. + x_i.

    >>> PrefixSums().of(np.array([[1.0, 2.0, -1.0]]))
    array([[1., 3., 2.]])
    """

    name = "prefix-sums"
    gloss = "every position answers with the sum of the numbers so far"
    source = "Back de Luca et al. 2025, section 7 (cumulative sum)"

    def of(self, x: np.ndarray) -> np.ndarray:
        return x.cumsum(axis=1)

    def closed_form(self, n: int, query: int) -> Extreme:
        return Extreme("max", (np.arange(n) <= query).astype(np.int64)[None])
