"""Real-valued answers in closed form: extremes of linear forms, and order statistics."""

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


ClosedForm = Extreme | OrderStatistic
