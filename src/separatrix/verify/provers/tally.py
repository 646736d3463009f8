"""How the cells of a model fared, in numbers, with the inputs that fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Failure:
    """An input (positions,) on which the model errs at `query`, with its float64 margin; checked in balls."""

    tokens: np.ndarray
    query: int
    margin: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Cells by verdict: proved by the kernel, refuted by an input that the kernel evaluated, undecided.

    worst: one failing input a refuted cell, the least margin first.
    """

    proved: int
    refuted: int
    undecided: int
    cells: int
    worst: list[Failure]
    seconds: float = 0.0
