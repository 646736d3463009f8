"""Reductions of a list: every position answers the sum, the least or the greatest of all numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.closed_form import Extreme
from separatrix.tasks import registry
from separatrix.tasks.real_list import RealList

SOURCE = "Back de Luca et al. 2025, section 5 (tree reductions by PCOC)"


@registry.register("total")
@dataclass(frozen=True)
class Total(RealList):
    """y_i = x_1 + .. + x_N.

    >>> Total().of(np.array([[1.0, 2.0, -1.0]]))
    array([[2., 2., 2.]])
    """

    name = "total"
    gloss = "every position answers with the sum of all numbers"
    source = SOURCE

    def of(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(x.sum(axis=1, keepdims=True), x.shape[1], axis=1)

    def closed_form(self, n: int, query: int) -> Extreme:
        return Extreme("max", np.ones((1, n), dtype=np.int64))


@registry.register("least")
@dataclass(frozen=True)
class Least(RealList):
    """y_i = min(x_1, .., x_N).

    >>> Least().of(np.array([[1.0, 2.0, -1.0]]))
    array([[-1., -1., -1.]])
    """

    name = "least"
    gloss = "every position answers with the least of all numbers"
    source = SOURCE

    def of(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(x.min(axis=1, keepdims=True), x.shape[1], axis=1)

    def closed_form(self, n: int, query: int) -> Extreme:
        return Extreme("min", np.eye(n, dtype=np.int64))


@registry.register("greatest")
@dataclass(frozen=True)
class Greatest(RealList):
    """y_i = max(x_1, .., x_N).

    >>> Greatest().of(np.array([[1.0, 2.0, -1.0]]))
    array([[2., 2., 2.]])
    """

    name = "greatest"
    gloss = "every position answers with the greatest of all numbers"
    source = SOURCE

    def of(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(x.max(axis=1, keepdims=True), x.shape[1], axis=1)

    def closed_form(self, n: int, query: int) -> Extreme:
        return Extreme("max", np.eye(n, dtype=np.int64))
