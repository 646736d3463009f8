"""Words before the asking position that an automaton accepts: least sums by shortest path, prefix after prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from separatrix.core.domain import Ints
from separatrix.core.errors import RejectedError
from separatrix.kernel.contracts.stream import Stream


@dataclass(frozen=True, slots=True)
class Automaton:
    """A complete automaton that reads the positions from the first one on, from state 0; table (states, symbols)."""

    table: Ints

    def mask(self, accepting: Iterable[int]) -> np.ndarray:
        """(states,) whether the state accepts."""
        return np.isin(np.arange(len(self.table)), list(accepting))

    def alive(self, allowed: np.ndarray, stream: Stream) -> np.ndarray:
        """(positions, grounds, states) which states words of the allowed classes reach before each position."""
        reached = np.zeros((stream.positions, len(allowed), len(self.table)), dtype=bool)
        reached[0, :, 0] = True
        for j, (classes, lead) in zip(range(stream.positions - 1), self._steps(stream), strict=False):
            for c, leads in zip(classes, lead.T, strict=True):
                for state, to in enumerate(leads):
                    reached[j + 1, :, to] |= reached[j, :, state] & allowed[:, c]
        return reached

    def least(self, terms: np.ndarray, stream: Stream, last: int) -> np.ndarray:
        """(last + 1, groups, columns, states) floats below the least sum of terms over the first i positions.

        terms: (groups, columns, classes) lower ends, +inf where a class is not allowed.
        """
        groups, columns, _ = terms.shape
        found = np.full((last + 1, groups, columns, len(self.table)), np.inf)
        found[0, :, :, 0] = 0.0
        for j, (classes, lead) in zip(range(last), self._steps(stream), strict=False):
            cost = np.nextafter(found[j][..., None] + terms[:, :, None, classes], -np.inf)
            cost = np.where(found[j][..., None] == np.inf, np.inf, cost).reshape(groups, columns, -1)
            order = np.argsort(lead.reshape(-1), kind="stable")
            targets, starts = np.unique(lead.reshape(-1)[order], return_index=True)
            found[j + 1][..., targets] = np.minimum.reduceat(cost[:, :, order], starts, axis=2)
        return found

    def _steps(self, stream: Stream) -> Iterator[tuple[Ints, Ints]]:
        """For each position its classes, and (states, classes) where they lead."""
        bounds = np.searchsorted(stream.place, np.arange(stream.positions + 1))
        for start, stop in pairwise(bounds.tolist()):
            classes = np.arange(start, stop)
            symbols = stream.symbol[classes]
            known = symbols < self.table.shape[1]
            if not known.all():
                raise RejectedError("a position holds a symbol that the automaton of a cell does not know")
            yield classes, self.table[:, symbols]
