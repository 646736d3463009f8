"""Prefix medians: position i answers the median of x_1 .. x_i."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.closed_form import PrefixMedian
from separatrix.tasks import registry
from separatrix.tasks.real_list import RealList


@registry.register("prefix-medians")
@dataclass(frozen=True)
class PrefixMedians(RealList):
    """y_i = the median of x_1 .. x_i; for even i the mean of the middle two.

    >>> PrefixMedians().of(np.array([[1.0, 2.0, -1.0]]))
    array([[1. , 1.5, 1. ]])
    """

    name = "prefix-medians"
    gloss = "every position answers with the median of the numbers so far"
    source = "Back de Luca et al. 2025, section 7 (cumulative median, midpoint convention)"

    def closed_form(self, n: int, query: int) -> PrefixMedian:
        return PrefixMedian(query + 1)

    def of(self, x: np.ndarray) -> np.ndarray:
        return np.stack([np.median(x[:, : i + 1], axis=1) for i in range(x.shape[1])], axis=1)
