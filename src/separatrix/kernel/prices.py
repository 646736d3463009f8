"""Dual prices of distinct words: multipliers that a certificate of kind `separable` may carry, never bounds.

Array `pairs` (m,) increasing: cell k + answer, cells numbered in the task's own order of queries, groups and cells, k
answers. Array `prices` (m, vocabulary): a finite price for every class of symbols. Cells not named have prices 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import InputError, RejectedError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import MOST_ENTRIES, integers, named_arrays


@dataclass(frozen=True, slots=True)
class Prices:
    """Rows `values` (m, vocabulary) for the increasing numbers `pairs` (m,), of `answers` a cell."""

    pairs: np.ndarray
    values: np.ndarray
    answers: int

    @classmethod
    def of(cls, case: Case, vocabulary: int, answers: int) -> Prices | None:
        """The certificate's arrays, None where it has none; InputError unless they have exactly this form."""
        if not case.arrays:
            return None
        named_arrays(case, "pairs", "prices")
        pairs, values = integers(case, "pairs", None), case.arrays["prices"]
        if not len(pairs) or pairs[0] < 0 or (np.diff(pairs) <= 0).any():
            raise InputError("array pairs must hold increasing numbers of cells and answers")
        if values.dtype != np.float64 or values.shape != (len(pairs), vocabulary) or values.size > MOST_ENTRIES:
            raise InputError(f"array prices must be float64, {len(pairs)} x {vocabulary}; it is {values.shape}")
        if not np.isfinite(values).all():
            raise InputError("array prices holds a NaN or an infinity")
        return cls(pairs, values, answers)

    def within(self, start: int, cells: int) -> np.ndarray | None:
        """(cells, answers, vocabulary) of the cells from number `start` on; None where none has a price."""
        low, high = np.searchsorted(self.pairs, [start * self.answers, (start + cells) * self.answers])
        if low == high:
            return None
        dense = np.zeros((cells * self.answers, self.values.shape[1]))
        dense[self.pairs[low:high] - start * self.answers] = self.values[low:high]
        return dense.reshape(cells, self.answers, -1)

    def require_cells(self, cells: int) -> None:
        """RejectedError where a price names a cell beyond the task's `cells`."""
        if self.pairs[-1] >= cells * self.answers:
            raise RejectedError("the certificate has prices of cells that the task does not have")
