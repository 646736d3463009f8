"""The heads prover on cells that tie positions together: least words of many costs at once, and prices. Plain float64.

Costs come slot by slot and column by column, like the tables of `head_tables`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from separatrix.core.domain import CellGroup, Constraint
from separatrix.verify.provers.minimise import assign, least_word


@dataclass(frozen=True, slots=True)
class Seats:
    """One cell. free: tied positions that it leaves open; loose: all other slots. columns (F, W), back (F, S): the
    number among W of a symbol. shut (S,): symbols that no free position may hold. held: how often the counted symbol
    stands already.
    """

    free: np.ndarray
    loose: np.ndarray
    columns: np.ndarray
    back: np.ndarray
    shut: np.ndarray
    held: int


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a group's cells; `used` (S,) symbol ids of the columns, at (C, J, W) what each cell allows."""

    group: CellGroup
    used: np.ndarray
    at: np.ndarray
    tied: np.ndarray
    seats: dict[int, Seats] = field(default_factory=dict)

    @classmethod
    def of(cls, group: CellGroup, used: np.ndarray, at: np.ndarray, positions: int) -> Words:
        """Of a group whose constraint is no product."""
        return cls(group, used, at, group.constraint.places(positions))

    @property
    def constraint(self) -> Constraint:
        """Of the group."""
        return self.group.constraint

    def of_cell(self, cell: int) -> Seats:
        """What is free in a cell, and what is not."""
        if cell not in self.seats:
            places, query = self.group.positions[cell], self.group.query
            free = self.tied[~np.isin(self.tied, [*places, query])]
            columns = self.at[cell, free]
            back = np.zeros((len(free), len(self.used)), dtype=np.int64)
            back[np.arange(len(free))[:, None], columns] = np.arange(columns.shape[1])
            ids = [int(s) for p, s in zip(places, self.group.symbols[cell], strict=True) if p in self.tied]
            ids += [self.group.token] if query in self.tied else []  # pyright: ignore[reportOperatorIssue]
            shut = np.zeros(len(self.used), dtype=bool)
            if self.constraint.kind == "distinct":
                kinds = self.constraint.class_of(self.used)
                shut = (kinds < 0) | np.isin(kinds, self.constraint.class_of(np.array(ids, dtype=np.int64)))
            loose = np.setdiff1d(np.arange(self.at.shape[1]), free)
            held = sum(s == self.constraint.symbol for s in ids)
            self.seats[cell] = Seats(free, loose, columns, back, shut, held)
        return self.seats[cell]

    def least(self, cell: int, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B,) least sums of costs (B, J, W) over a cell's words, and the columns (B, J) that attain them."""
        seats = self.of_cell(cell)
        choice, spread = cost.argmin(axis=2), self._spread(seats, cost)
        value = cost[:, seats.loose].min(axis=2).sum(axis=1)
        if len(seats.free):
            match self.constraint.kind:
                case "count":
                    word, more = self._count(seats, spread)
                case "distinct":
                    word, more = self._distinct(spread)
                case _:
                    word, more = self._others(cell, seats, spread)
            choice[:, seats.free] = seats.back[np.arange(len(seats.free)), word]
            value = value + more
        return value, choice

    def relaxed(self, cell: int, cost: np.ndarray) -> np.ndarray:
        """(B,) what the kernel finds without prices: for distinct words the least columns, else the least words."""
        if self.constraint.kind != "distinct":
            return self.least(cell, cost)[0]
        seats = self.of_cell(cell)
        return cost[:, seats.loose].min(axis=2).sum(axis=1) + self._spread(seats, cost).min(axis=2, initial=np.inf).sum(
            axis=1
        )

    def prices(self, cell: int, cost: np.ndarray) -> np.ndarray:
        """(B, classes) prices of an optimal assignment, for distinct words."""
        classes = max(self.constraint.classes, default=int(self.used.max(initial=0))) + 1
        prices = np.zeros((len(cost), classes))
        for row, own in zip(prices, self._spread(self.of_cell(cell), cost), strict=True):
            given = assign(self.constraint, own, self.used)[1]
            row[list(given)] = list(given.values())
        return prices

    def _spread(self, seats: Seats, cost: np.ndarray) -> np.ndarray:
        """(B, F, S) from columns to symbols; +inf where a symbol is not allowed."""
        spread = np.full((len(cost), len(seats.free), len(self.used)), np.inf)
        spread[:, np.arange(len(seats.free))[:, None], seats.columns] = cost[:, seats.free]
        spread[:, :, seats.shut] = np.inf
        return spread

    def _count(self, seats: Seats, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The symbol stands where it costs least more than the best other one."""
        this = self.used == self.constraint.symbol
        other, there = np.where(this, np.inf, spread), np.where(this, spread, np.inf)
        base, with_symbol = other.min(axis=2), there.min(axis=2)
        gain = np.where(np.isinf(base), -np.inf, with_symbol - np.where(np.isinf(base), 0.0, base))
        wanted, chosen = self.constraint.count - seats.held, np.zeros(gain.shape, dtype=bool)
        order = np.argsort(gain, axis=1, kind="stable")[:, : max(0, wanted)]
        np.put_along_axis(chosen, order, True, axis=1)
        word = np.where(chosen, there.argmin(axis=2), other.argmin(axis=2))
        return word, np.where(chosen, with_symbol, base).sum(axis=1)

    def _distinct(self, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Minimum-cost assignments, one a row."""
        from scipy.optimize import linear_sum_assignment

        kinds = self.constraint.class_of(self.used)
        order = np.argsort(kinds, kind="stable")
        classes, starts = np.unique(kinds[order], return_index=True)
        by_class = np.minimum.reduceat(spread[:, :, order], starts, axis=2)
        word, value = np.zeros(spread.shape[:2], dtype=np.int64), np.full(len(spread), np.inf)
        rows = np.arange(spread.shape[1])
        for b, cost in enumerate(by_class):
            try:
                taken = linear_sum_assignment(cost)[1]
            except ValueError:  # no assignment, or numbers that are not finite
                continue
            if len(taken) == len(rows):
                value[b] = cost[rows, taken].sum()
                word[b] = classes[taken]
        return np.where(kinds == word[:, :, None], spread, np.inf).argmin(axis=2), value

    def _others(self, cell: int, seats: Seats, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same one by one, by `minimise`, which wants every tied position."""
        places, symbols = self.group.positions[cell], self.group.symbols[cell]
        letters = dict(zip(places.tolist(), symbols.tolist(), strict=True)) | {self.group.query: self.group.token}
        ids = np.unique([*self.used.tolist(), *(s for p, s in letters.items() if p in self.tied)])
        whole = np.full((len(self.tied), len(ids)), np.inf)
        for row, place in enumerate(self.tied.tolist()):
            if place in letters:
                whole[row, np.searchsorted(ids, letters[place])] = 0.0
        free, columns = np.isin(self.tied, seats.free), np.searchsorted(ids, self.used)
        word, value = np.zeros(spread.shape[:2], dtype=np.int64), np.full(len(spread), np.inf)
        for b, own in enumerate(spread):
            whole[np.flatnonzero(free)[:, None], columns] = own
            least = least_word(self.constraint, whole, ids)
            value[b] = least.value
            word[b] = np.minimum(np.searchsorted(self.used, ids[least.word[free]]), len(self.used) - 1)
        return word, value
