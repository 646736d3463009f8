"""Prefix minima and maxima: position i answers the least (greatest) of x_1 .. x_i."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.closed_form import Extreme
from separatrix.tasks import registry
from separatrix.tasks.real_list import RealList


@registry.register("prefix-minima")
@dataclass(frozen=True)
class PrefixMinima(RealList):
    """y_i = min(x_1, .., x_i).

    >>> PrefixMinima().of(np.array([[1.0, 2.0, -1.0]]))
    array([[ 1.,  1., -1.]])
    """

    name = "prefix-minima"
    gloss = "every position answers with the least number so far"
    source = "Back de Luca et al. 2025, section 7 (cumulative min)"

    def of(self, x: np.ndarray) -> np.ndarray:
        return np.minimum.accumulate(x, axis=1)

    def closed_form(self, n: int, query: int) -> Extreme:
        return Extreme("min", np.eye(query + 1, n, dtype=np.int64))


@registry.register("prefix-maxima")
@dataclass(frozen=True)
class PrefixMaxima(RealList):
    """y_i = max(x_1, .., x_i).

    >>> PrefixMaxima().of(np.array([[1.0, 2.0, -1.0]]))
    array([[1., 2., 2.]])
    """

    name = "prefix-maxima"
    gloss = "every position answers with the greatest number so far"
    source = "the mirror image of Back de Luca et al. 2025, section 7 (cumulative min)"

    def of(self, x: np.ndarray) -> np.ndarray:
        return np.maximum.accumulate(x, axis=1)

    def closed_form(self, n: int, query: int) -> Extreme:
        return Extreme("max", np.eye(query + 1, n, dtype=np.int64))
