"""Least sums over the words of a cell, in Arb: min over words of sum_j term_j(x_j), for every kind of constraint.

product   the sum of the least terms;
count     sum_j base_j + the r smallest of with_j - base_j, base_j = least over others, with_j = the symbol's;
distinct  weak duality for the prices b of an assignment: sum_j min_k (c_jk - b_k) + the T smallest b_k. The prices
          are those of the Hungarian method on the centres of the balls; any would do, so none is read from a file;
regular   the shortest path through the automaton.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Sequence
from separatrix.core.errors import InputError, RejectedError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs
from separatrix.kernel.arb_nets import number


@dataclass(frozen=True, slots=True)
class Words:
    """The words of the cells of a group, in columns: slot j holds one of the columns that `allowed` names.

    ids (S,): the symbol of each column: those used anywhere but at the query, then the query's own token, then -1 for
    the model's blank. allowed (J, S), never empty. places, columns (C, f): slots that a cell forces, and to which
    columns. tied (T,): increasing slots that the constraint is about.
    """

    constraint: Constraint
    ids: np.ndarray
    allowed: np.ndarray
    places: np.ndarray
    columns: np.ndarray
    tied: np.ndarray

    @classmethod
    def of(cls, group: CellGroup, domain: Sequence, vocabulary: int, slots: int) -> Words:
        """The words of a group; RejectedError where it is malformed. Slots behind the positions hold the blank."""
        where = domain.alphabets if group.background is None else group.background
        token, forced = group.token, group.positions
        if not isinstance(token, int) or not 0 <= token < vocabulary or group.labels is None:
            raise RejectedError("a cell of this task has no single symbol at its query, or no label")
        if len(where) != domain.positions or group.symbols.shape != forced.shape or len(group.labels) != len(group):
            raise RejectedError("a cell of this task has another number of positions than the task, or of symbols")
        if not 0 <= group.query < domain.positions or (forced == group.query).any():
            raise RejectedError("a cell of this task forces its own query, or has none")
        if forced.size and not 0 <= forced.min() <= forced.max() < domain.positions:
            raise RejectedError("a cell of this task forces a position that there is not")
        if any(len(set(row)) != len(row) for row in forced.tolist()):
            raise RejectedError("a cell of this task forces a position twice")
        alphabets = {id(a): np.asarray(a) for j, a in enumerate(where) if j != group.query}
        if not all(len(a) for a in alphabets.values()):
            raise RejectedError("a cell of this task allows no symbol at some position")
        used = np.unique(np.concatenate([group.symbols.reshape(-1), *alphabets.values()])).astype(np.int64)
        if len(used) and not 0 <= used[0] <= used[-1] < vocabulary:
            raise RejectedError("a cell allows a symbol that the model does not know")
        allowed = np.zeros((slots, len(used) + 2), dtype=bool)
        for j, alphabet in enumerate(where):
            if j == group.query:
                allowed[j, -2] = True
            else:
                allowed[j, :-2] = np.isin(used, alphabets[id(alphabet)])
        allowed[len(where) :, -1] = True
        try:
            tied = group.constraint.places(domain.positions)
        except InputError as error:
            raise RejectedError(f"a cell of this task is malformed: {error}") from error
        ids = np.concatenate([used, [token, -1]])
        return cls(group.constraint, ids, allowed, forced, np.searchsorted(used, group.symbols), tied)

    def only(self, cell: int) -> np.ndarray:
        """(J, S) what the slots may hold in this cell."""
        allowed = self.allowed.copy()
        allowed[self.places[cell]] = False
        allowed[self.places[cell], self.columns[cell]] = True
        return allowed

    def anywhere(self) -> np.ndarray:
        """(J, S) what the slots may hold in some cell."""
        allowed = self.allowed.copy()
        allowed[self.places.reshape(-1), self.columns.reshape(-1)] = True
        return allowed

    def least(self, terms: Arbs, cell: int, only: np.ndarray | None = None) -> Any:
        """The least sum of terms (J, S) over the words of a cell; -infinity where a term is not finite.

        only (J, S): a part of what the cell allows, never empty. NoWords where no word is left.
        """
        allowed = self.only(cell) if only is None else only
        if not ab.finite(terms[allowed]).all():
            return -ab.infinity()
        tied = np.zeros(len(allowed), dtype=bool)
        if self.constraint.kind != "product":
            tied[self.tied] = True
        whole = ab.zero()
        for row, mask in zip(terms[~tied], allowed[~tied], strict=True):
            whole += ab.least(row[mask])
        if not tied.any():
            return whole
        own, allowed = terms[tied], allowed[tied]
        match self.constraint.kind:
            case "count":
                return whole + self._count(own, allowed)
            case "distinct":
                return whole + self._distinct(own, allowed)
            case "regular":
                return whole + self._regular(own, allowed)
            case kind:
                raise RejectedError(f"a cell of this task has a constraint of unknown kind {kind!r}")

    def _count(self, terms: Arbs, allowed: np.ndarray) -> Any:
        this = self.ids == self.constraint.symbol
        wanted, gains, whole = self.constraint.count, [], ab.zero()
        for row, mask in zip(terms, allowed, strict=True):
            there, other = row[mask & this], row[mask & ~this]
            if not len(other):  # it can hold nothing else
                wanted -= 1
                whole += ab.least(there)
                continue
            base = ab.least(other)
            whole += base
            if len(there):
                gains.append((ab.least(there) - base).lower())
        if not 0 <= wanted <= len(gains):
            raise empty()
        return whole + sum(sorted(gains)[:wanted], ab.zero())

    def _distinct(self, terms: Arbs, allowed: np.ndarray) -> Any:
        kinds = self.constraint.class_of(self.ids)
        classes = np.unique(kinds[kinds >= 0])
        cost = np.full((len(terms), len(classes)), None, dtype=object)
        for t, (row, mask) in enumerate(zip(terms, allowed, strict=True)):
            for k, kind in enumerate(classes):
                here = mask & (kinds == kind)
                if here.any():
                    cost[t, k] = ab.least(row[here])
        there = cost != None  # noqa: E711
        if there.any(axis=0).sum() < len(terms) or not there.any(axis=1).all():
            raise empty()
        prices = [number(p) for p in hungarian(np.array([[_float(c) for c in row] for row in cost]))]
        whole = ab.zero()
        for row, mask in zip(cost, there, strict=True):
            whole += ab.least(np.array([row[k] - prices[k] for k in np.flatnonzero(mask)], dtype=object))
        open_ = [price for price, some in zip(prices, there.any(axis=0), strict=True) if some]
        return whole + sum(sorted(open_)[: len(terms)], ab.zero())

    def _regular(self, terms: Arbs, allowed: np.ndarray) -> Any:
        table = self.constraint.transitions
        reached: dict[int, Any] = {0: ab.zero()}
        for row, mask in zip(terms, allowed, strict=True):
            after: dict[int, list[Any]] = {}
            for column in np.flatnonzero(mask).tolist():
                symbol = int(self.ids[column])
                if not 0 <= symbol < len(table[0]):
                    raise RejectedError("a cell of this task allows a symbol that its automaton does not know")
                for state, found in reached.items():
                    after.setdefault(table[state][symbol], []).append(found + row[column])
            reached = {state: smallest(found) for state, found in after.items()}
        ends = [found for state, found in reached.items() if state in self.constraint.accepting]
        if not ends:
            raise empty()
        return smallest(ends)


def smallest(found: Iterable[Any]) -> Any:
    """The least of some numbers."""
    return ab.least(np.array(list(found), dtype=object))


def _float(cost: Any) -> float:
    return np.inf if cost is None else float(cost.mid())


def hungarian(cost: np.ndarray) -> np.ndarray:
    """(K,) prices b <= 0 of classes from cost (T, K), T <= K, inf where a row may not take a class; 0 where it fails.

    Rows join one by one along shortest paths; column 0 stands for the row that joins.
    """
    rows, classes = cost.shape
    of_row, price = np.zeros(rows + 1), np.zeros(classes + 1)
    owner = np.zeros(classes + 1, dtype=np.int64)
    for row in range(1, rows + 1):
        owner[0], last = row, 0
        reach, way = np.full(classes + 1, np.inf), np.zeros(classes + 1, dtype=np.int64)
        used = np.zeros(classes + 1, dtype=bool)
        while True:
            used[last] = True
            step = cost[owner[last] - 1] - of_row[owner[last]] - price[1:]
            shorter = ~used[1:] & (step < reach[1:])
            reach[1:][shorter], way[1:][shorter] = step[shorter], last
            left = np.where(used, np.inf, reach)
            left[0] = np.inf
            last = int(left.argmin())
            rise = left[last]
            if not np.isfinite(rise):
                return np.zeros(classes)
            of_row[owner[used]] += rise
            price[used] -= rise
            reach[~used] -= rise
            if not owner[last]:
                break
        while last:
            owner[last] = owner[way[last]]
            last = int(way[last])
    return price[1:]


class NoWords(RejectedError):
    """No word obeys the constraint."""


def empty() -> NoWords:
    """The error for a cell without words."""
    return NoWords("a cell of this task holds no input; nothing is proved about it")
