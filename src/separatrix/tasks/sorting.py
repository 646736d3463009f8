"""Sorting: position i answers the i-th smallest number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.closed_form import OrderStatistic
from separatrix.tasks import registry
from separatrix.tasks.real_list import RealList


@registry.register("sorting")
@dataclass(frozen=True)
class Sorting(RealList):
    """y_1 <= .. <= y_N, the numbers x_1 .. x_N in order.

    >>> Sorting().of(np.array([[1.0, 2.0, -1.0]]))
    array([[-1.,  1.,  2.]])
    """

    name = "sorting"
    gloss = "the numbers in increasing order"
    source = "Back de Luca et al. 2025, section 7 (sorting)"

    def of(self, x: np.ndarray) -> np.ndarray:
        return np.sort(x, axis=1)

    def closed_form(self, n: int, query: int) -> OrderStatistic:
        return OrderStatistic(query)
