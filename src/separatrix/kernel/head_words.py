"""Cells of the heads check whose positions a constraint ties together: least sums over their words.

Terms come slot by slot and column by column (see `head_tables`), as floats below the real terms; at tied positions that
a cell leaves free the least word is bounded by `constraints`, everywhere else the least column is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup
from separatrix.kernel.balls import sum_low
from separatrix.kernel.cells import zones_of
from separatrix.kernel.constraints import Tied

CHUNK = 2**21  # numbers in the largest array


@dataclass(frozen=True, slots=True)
class Words:
    """The tied positions of a group, and the columns (C, J, W) that its cells allow in every slot."""

    tied: Tied
    group: CellGroup
    at: np.ndarray

    @classmethod
    def of(cls, group: CellGroup, where: tuple, used: np.ndarray, at: np.ndarray) -> Words:
        """used: the symbol ids of the columns; RejectedError for a constraint that does not fit."""
        return cls(Tied.of(group, zones_of(where, group.query, used), used, len(where)), group, at)

    def low(self, cell: int, terms: np.ndarray, prices: np.ndarray | None = None) -> np.ndarray:
        """(B,) floats below the least sum over the words of one cell, from terms (B, J, W).

        prices (B, classes): for distinct words; any are sound, None means 0.
        """
        places, rows = self.group.positions[cell], self.tied.rows
        free = ~np.isin(rows, places)
        loose = np.setdiff1d(np.arange(terms.shape[1]), rows[free])
        low, step = np.empty(len(terms)), max(1, CHUNK // (len(rows) * len(self.tied.used) + 1))
        first = np.zeros(len(self.group), dtype=np.int64)
        for part in (slice(i, i + step) for i in range(0, len(terms), step)):
            own = terms[part][:, rows[free]]
            spread = np.full((1, len(own), len(rows), len(self.tied.used)), -np.inf)
            columns = self.at[cell, rows[free]]
            # a term that is not finite is below nothing: -inf proves nothing, whatever the word
            spread[0][:, np.flatnonzero(free)[:, None], columns] = np.where(np.isfinite(own), own, -np.inf)
            price = None
            if prices is not None:
                price = np.broadcast_to(prices[part], (len(self.group), *prices[part].shape))
            least = self.tied.low(spread, places, np.array([cell]), first, price)[0]
            parts = np.concatenate([terms[part][:, loose].min(axis=2), least[:, None]], axis=1)
            low[part] = sum_low(parts, axis=1)
        return low
