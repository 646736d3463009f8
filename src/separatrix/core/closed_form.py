"""Real-valued answers in closed form: extremes of linear forms, order statistics, medians of prefixes, packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True)
class Extreme:
    """The largest (smallest) of finitely many linear forms of x_1 .. x_n; one form alone is a linear answer.

    forms: (forms, n) coefficients, small integers.
    """

    of: Literal["max", "min"]
    forms: np.ndarray


@dataclass(frozen=True, slots=True)
class OrderStatistic:
    """The element of rank `rank` (0 is the smallest) of x_1 .. x_n."""

    rank: int


@dataclass(frozen=True, slots=True)
class PrefixMedian:
    """The median of x_1 .. x_length: the mean of its elements of ranks (length - 1) // 2 and length // 2."""

    length: int

    @property
    def ranks(self) -> tuple[int, int]:
        """The middle two, which are one where the length is odd."""
        return (self.length - 1) // 2, self.length // 2


@dataclass(frozen=True, slots=True)
class Delivered:
    """The payload (second real part) of the position whose destination (first real part) is `destination`."""

    destination: int


ClosedForm = Extreme | OrderStatistic | PrefixMedian | Delivered
