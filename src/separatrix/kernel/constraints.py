"""Cells that are no products: lower bounds of min sum_j term_j(x_j) over words that a constraint ties together.

Terms come as lower ends, floats l_j(s) below the real terms, so that the least real sum of lower ends is below the
least sum of terms. It is bounded from below in directed rounding:
    count     sum_j base_j + the r smallest of with_j - base_j, base_j = min over other symbols, with_j = l_j(symbol);
    distinct  sum_j min_k (c_jk - b_k) + the |F| smallest b_k, for ANY prices b: the |F| free positions take |F|
              different classes k, and c_jk is the least l_j(s) over symbols of class k (weak duality);
    regular   the shortest path through the automaton.
The first and the last are exact up to rounding, the second is for the prices of an optimal assignment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from separatrix.core.domain import CellGroup
from separatrix.core.errors import InputError, RejectedError
from separatrix.kernel.balls import below, sum_low

MOST_TERMS = 2**21  # of cells that are looked at together


@dataclass(frozen=True, slots=True)
class Tied:
    """The positions that a group's constraint ties together, and what they may hold.

    Attributes:
        group: constraint, query, token. used (S,): symbol ids, increasing; below, symbols are their numbers there.
        rows (P,): tied positions other than the query, increasing. allowed (P, S): by background or domain.
        with_query: whether the query itself is tied.
    """

    group: CellGroup
    used: np.ndarray
    rows: np.ndarray
    allowed: np.ndarray
    with_query: bool
    memo: dict[bytes, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, group: CellGroup, zones: list[tuple[np.ndarray, np.ndarray]], used: np.ndarray, positions: int) -> Tied:
        """From the zones of the group (symbols allowed, positions); RejectedError for positions that are not there."""
        try:
            tied = group.constraint.places(positions)
        except InputError as error:
            raise RejectedError(f"a cell of this task is malformed: {error}") from error
        rows = tied[tied != group.query]
        allowed = np.zeros((len(rows), len(used)), dtype=bool)
        for symbols, where in zones:
            allowed[np.ix_(np.isin(rows, where), symbols)] = True
        return cls(group, used, rows, allowed, len(rows) < len(tied))

    def low(
        self, terms: np.ndarray, places: np.ndarray, cells: np.ndarray, of_cell: np.ndarray, prices: np.ndarray | None
    ) -> np.ndarray:
        """(cells, k) floats below the least sum of terms over the tied positions that are neither query nor forced.

        Args:
            terms: (A, k, P, S) lower ends; -inf where nothing is known.
            places: (f,) positions forced by the cells with numbers `cells`, to the symbols of the group.
            of_cell: (all cells,) the row of `terms` that each cell reads.
            prices: (all cells, k, classes) of distinct words; None means 0.
        """
        forced = self.group.symbols[cells][:, np.isin(places, self.rows)]  # (cells, tied ones), symbol ids
        free = ~np.isin(self.rows, places)
        held = np.full((len(cells), int(self.with_query)), self.group.token)
        held = np.concatenate([forced, held], axis=1)  # ids of what is tied but not free
        kind = self.group.constraint.kind
        if kind == "distinct" and prices is None:
            return self._apart(terms, free, held)[of_cell[cells], :, np.arange(len(cells))]
        own = terms[:, :, free]
        if kind == "count":
            return self._count(own, self.allowed[free], held)[of_cell[cells], :, np.arange(len(cells))]
        if kind not in ("distinct", "regular"):
            raise RejectedError(f"a cell of this task has a constraint of unknown kind {kind!r}")
        low = np.empty((len(cells), terms.shape[1]))
        many = max(1, MOST_TERMS // max(1, own[0].size))
        for part in (slice(start, start + many) for start in range(0, len(cells), many)):
            here = own[of_cell[cells[part]]]
            if kind == "distinct":
                price = None if prices is None else prices[cells[part]]
                low[part] = self._distinct(here, self.allowed[free], held[part], price)
            else:
                low[part] = self._regular(here, free, places, cells[part])
        return low

    def _count(self, terms: np.ndarray, allowed: np.ndarray, held: np.ndarray) -> np.ndarray:
        """(A, k, cells). A position that can hold nothing else takes the symbol; one that cannot hold it does not."""
        constraint = self.group.constraint
        this = self.used == constraint.symbol
        can, must = (allowed & this).any(axis=1), ~(allowed & ~this).any(axis=1)
        may = can & ~must
        wanted = constraint.count - (held == constraint.symbol).sum(axis=1) - int((can & must).sum())
        if (must & ~can).any() or wanted.min() < 0 or wanted.max() > may.sum():
            raise _empty()
        other = np.where(allowed & ~this, terms, np.inf).min(axis=3, initial=np.inf)
        there = np.where(allowed & this, terms, np.inf).min(axis=3, initial=np.inf)
        base = np.where(must, there, other)
        gain = np.sort(below(there[:, :, may] - base[:, :, may]), axis=2)
        low = np.empty((*terms.shape[:2], len(held)))
        for extra in np.unique(wanted):
            total = sum_low(np.concatenate([base, gain[:, :, :extra]], axis=2), axis=2)
            low[:, :, wanted == extra] = total[:, :, None]
        return low

    def _apart(self, terms: np.ndarray, free: np.ndarray, held: np.ndarray) -> np.ndarray:
        """(A, k, cells) without prices: every free position takes its least symbol of a class that is not held."""
        constraint = self.group.constraint
        kinds, taken = constraint.class_of(self.used), constraint.class_of(held)
        if (taken < 0).any() or (np.diff(np.sort(taken, axis=1), axis=1) == 0).any():
            raise _empty()
        low = np.empty((*terms.shape[:2], len(held)))
        for row in np.unique(taken, axis=0):
            key = row.tobytes()
            if key not in self.memo or self.memo[key][0] is not terms:  # an id would not do: arrays come and go
                open_ = self.allowed & (kinds >= 0) & ~np.isin(kinds, row)
                self.memo.clear()
                least = np.where(open_, terms, np.inf).min(axis=3, initial=np.inf)
                self.memo[key] = terms, least, kinds[open_.any(axis=0)]
            _, least, left = self.memo[key]
            if np.isposinf(least[:, :, free]).any() or len(np.unique(left)) < free.sum():
                raise _empty()
            low[:, :, (taken == row).all(axis=1)] = sum_low(least[:, :, free], axis=2)[:, :, None]
        return low

    def _distinct(
        self, terms: np.ndarray, allowed: np.ndarray, held: np.ndarray, prices: np.ndarray | None
    ) -> np.ndarray:
        """(cells, k) from terms (cells, k, F, S): weak duality, for any finite prices."""
        constraint = self.group.constraint
        kinds, taken = constraint.class_of(self.used), constraint.class_of(held)
        if (taken < 0).any() or (np.diff(np.sort(taken, axis=1), axis=1) == 0).any():
            raise _empty()
        known = np.flatnonzero(kinds >= 0)
        known = known[np.argsort(kinds[known], kind="stable")]
        classes, starts = np.unique(kinds[known], return_index=True)
        free, cells = len(allowed), len(held)
        if not free:
            return np.zeros(terms.shape[:2])
        if not len(classes):
            raise _empty()
        fits = np.logical_or.reduceat(allowed[:, known], starts, axis=1)  # (F, C)
        cost = np.minimum.reduceat(np.where(allowed, terms, np.inf)[..., known], starts, axis=3)
        left = ~(taken[:, :, None] == classes).any(axis=1) & fits.any(axis=0)  # (cells, C)
        if (left.sum(axis=1) < free).any():
            raise _empty()
        if prices is not None and len(classes) and classes[-1] >= prices.shape[2]:
            raise RejectedError("there are more classes of symbols than symbols, and no prices for them")
        price = np.zeros((cells, terms.shape[1], len(classes))) if prices is None else prices[:, :, classes]
        open_ = left[:, None, None, :] & fits
        reduced = np.where(open_, below(cost - price[:, :, None, :]), np.inf)
        if not open_.any(axis=3).all():
            raise _empty()
        cheapest = np.sort(np.where(left[:, None, :], price, np.inf), axis=2)[:, :, :free]
        return sum_low(np.concatenate([reduced.min(axis=3), cheapest], axis=2), axis=2)

    def _regular(self, terms: np.ndarray, free: np.ndarray, places: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """(cells, k) from terms (cells, k, F, S): position after position, the least sum to each state."""
        table = np.array(self.group.constraint.transitions)
        count, rivals = terms.shape[:2]
        alive = np.zeros((count, len(table)), dtype=bool)
        alive[:, 0] = True
        least = np.where(alive[:, None, :], np.zeros((count, rivals, 1)), np.inf)  # (cells, k, Q)
        number, row = dict(zip(self.rows[free].tolist(), range(len(self.rows)), strict=False)), np.flatnonzero(free)
        steps: dict[bytes, _Step] = {}
        for j in sorted([*self.rows.tolist(), self.group.query] if self.with_query else self.rows.tolist()):
            if j in number:
                allowed = self.allowed[row[number[j]]]
                if allowed.tobytes() not in steps:
                    steps[allowed.tobytes()] = _Step.of(table, self.used, allowed)
                least, alive = steps[allowed.tobytes()].take(least, alive, terms[:, :, number[j]])
                continue
            at_query = j == self.group.query
            symbols = np.full(count, self.group.token) if at_query else self._forced_at(j, places, cells)
            if (symbols >= table.shape[1]).any() or (symbols < 0).any():
                raise RejectedError("a cell of this task holds a symbol that its automaton does not know")
            least, alive = _forced_step(table[:, symbols].T, least, alive)
        good = np.isin(np.arange(len(table)), self.group.constraint.accepting)
        if not (alive & good).any(axis=1).all():
            raise _empty()
        return least[:, :, good].min(axis=2)

    def _forced_at(self, j: int, places: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return self.group.symbols[cells, int(np.flatnonzero(places == j)[0])]


@dataclass(frozen=True, slots=True)
class _Step:
    """One letter of the automaton with these symbols allowed: all (state, symbol) pairs, sorted by where they lead."""

    symbols: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    targets: np.ndarray
    states: int

    @classmethod
    def of(cls, table: np.ndarray, used: np.ndarray, allowed: np.ndarray) -> _Step:
        symbols = np.flatnonzero(allowed)
        if not len(symbols):
            raise _empty()
        if used[symbols].max() >= table.shape[1]:
            raise RejectedError("a cell of this task allows a symbol that its automaton does not know")
        leads = table[:, used[symbols]].reshape(-1)
        order = np.argsort(leads, kind="stable")
        targets, starts = np.unique(leads[order], return_index=True)
        return cls(symbols, order, starts, targets, len(table))

    def take(self, least: np.ndarray, alive: np.ndarray, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(cells, k, Q) and (cells, Q) after a letter that costs terms (cells, k, S); dead states cost +inf."""
        cells, rivals, states = least.shape
        seen = np.broadcast_to(alive[:, :, None], (cells, states, len(self.symbols))).reshape(cells, -1)
        cost = below(least[:, :, :, None] + terms[:, :, None, self.symbols]).reshape(cells, rivals, -1)
        cost = np.where(seen[:, None], cost, np.inf)
        after, reached = np.full(least.shape, np.inf), np.zeros(alive.shape, dtype=bool)
        after[:, :, self.targets] = np.minimum.reduceat(cost[:, :, self.order], self.starts, axis=2)
        reached[:, self.targets] = np.logical_or.reduceat(seen[:, self.order], self.starts, axis=1)
        return after, reached


def _forced_step(leads: np.ndarray, least: np.ndarray, alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same after a letter that each cell fixes, at no cost; leads (cells, Q)."""
    after, reached = np.full(least.transpose(0, 2, 1).shape, np.inf), np.zeros(alive.shape, dtype=bool)
    cell = np.arange(len(alive))[:, None]
    np.minimum.at(after, (cell, leads), least.transpose(0, 2, 1))
    np.logical_or.at(reached, (cell, leads), alive)
    return after.transpose(0, 2, 1), reached


def _empty() -> RejectedError:
    return RejectedError("a cell of this task holds no input; nothing is proved about it")
