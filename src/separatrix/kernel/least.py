"""Least sums over the words of a cell, of any constraint: floats below min over words of sum_j term_j(x_j).

Terms come as lower ends, floats l_j(s) below the real terms; so the least real sum of lower ends is below the least sum
of terms, and it is bounded from below in directed rounding:
    product   the sum of min_s l_j(s);
    count     sum_j base_j + the r smallest of with_j - base_j, base_j = min over other symbols, with_j = l_j(symbol);
    distinct  sum_j min_k (c_jk - b_k) + the T smallest b_k for prices b of the classes k: the T tied positions take T
              different classes, and c_jk is the least l_j(s) over symbols of class k (weak duality). Any prices are
              sound; those of an optimal assignment are looked for here, and need not be right;
    regular   the shortest path through the automaton.
A sum over no word at all is +inf.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Constraint
from separatrix.core.errors import RejectedError
from separatrix.kernel.balls import below, sum_low


@dataclass(frozen=True, slots=True)
class Words:
    """The words of each cell of a group, in columns: slot j holds one of the columns that `allowed` names.

    ids (S,): the symbol of each column, -1 for the blank's. allowed (J, S), never empty: what slots may hold unless the
    cell says otherwise. places, columns (C, f): slots that cell c forces, and to which columns. tied (T,): slots, in
    increasing order, that the constraint is about.
    """

    constraint: Constraint
    ids: np.ndarray
    allowed: np.ndarray
    places: np.ndarray
    columns: np.ndarray
    tied: np.ndarray

    def low(self, terms: np.ndarray, cell: np.ndarray, only: np.ndarray | None = None) -> np.ndarray:
        """(B,) from lower ends (B, J, S) and the cells (B,) that they are about; not finite where nothing is known.

        only (B, J, S): for parts of cells, see `parts`; +inf for one that is seen to hold no word.
        """
        terms = np.where(np.isfinite(terms), terms, -np.inf)
        if only is not None:
            best = np.where(only, terms, np.inf).min(axis=2)
        else:
            best = np.where(self.allowed, terms, np.inf).min(axis=2)
            row = np.arange(len(terms))
            for place, column in zip(self.places[cell].T, self.columns[cell].T, strict=True):
                best[row, place] = terms[row, place, column]
        none = np.isposinf(best).any(axis=1)  # a slot has no symbol: terms are below +inf
        if self.constraint.kind == "product" or not len(self.tied):
            return self._sum(best, none, whole=only is None)
        allowed = (self.only(cell) if only is None else only)[:, self.tied]  # (B, T, S)
        own = np.where(allowed, terms[:, self.tied], np.inf)
        best[:, self.tied] = 0.0
        match self.constraint.kind:
            case "count":
                rest = self._count(own, allowed)
            case "distinct":
                rest = self._distinct(own)
            case "regular":
                rest = self._regular(own)
            case kind:
                raise RejectedError(f"a cell of this task has a constraint of unknown kind {kind!r}")
        both = np.concatenate([best, rest[:, None]], axis=1)
        return self._sum(both, none | np.isposinf(rest), whole=only is None)

    def _sum(self, values: np.ndarray, none: np.ndarray, whole: bool) -> np.ndarray:
        if whole and none.any():
            raise RejectedError("a cell of this task holds no input; nothing is proved about it")
        return np.where(none, np.inf, sum_low(np.where(none[:, None], 0.0, values), axis=1))

    def parts(self, only: np.ndarray) -> np.ndarray:
        """(B, J, S) from what slots may hold in parts of cells: of distinct words, no slot holds what another must.

        A slot that is left without a symbol says that the part holds no word.
        """
        if self.constraint.kind != "distinct" or not len(self.tied):
            return only
        kinds, mine = self.constraint.class_of(self.ids), only[:, self.tied]
        classes = np.unique(kinds[kinds >= 0])
        is_class = kinds[:, None] == classes  # (S, K)
        there = mine.astype(np.float32) @ is_class.astype(np.float32) > 0  # (B, T, K)
        for _ in self.tied:
            sole = there & (there.sum(axis=2, keepdims=True) == 1)
            left = there & ~(sole.sum(axis=1, keepdims=True) - sole > 0)
            if np.array_equal(left, there):
                break
            there = left
        known = np.where(kinds >= 0, np.searchsorted(classes, kinds), 0)
        result = only.copy()
        result[:, self.tied] = mine & (kinds >= 0) & there[:, :, known]
        return result

    def only(self, cell: np.ndarray) -> np.ndarray:
        """(B, J, S) what the slots may hold in these cells, forced ones included."""
        allowed = np.repeat(self.allowed[None], len(cell), axis=0)
        row = np.arange(len(cell))
        for place, column in zip(self.places[cell].T, self.columns[cell].T, strict=True):
            allowed[row, place] = False
            allowed[row, place, column] = True
        return allowed

    def only_any(self) -> np.ndarray:
        """(J, S) what the slots may hold in some cell."""
        allowed = self.allowed.copy()
        allowed[self.places.reshape(-1), self.columns.reshape(-1)] = True
        return allowed

    def _count(self, terms: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """A position that can hold nothing else takes the symbol; one that cannot hold it does not."""
        this = self.ids == self.constraint.symbol
        can, must = (allowed & this).any(axis=2), ~(allowed & ~this).any(axis=2)
        may, wanted = can & ~must, self.constraint.count - must.sum(axis=1)
        none = (wanted < 0) | (wanted > may.sum(axis=1)) | (must & ~can).any(axis=1)
        other = np.where(this, np.inf, terms).min(axis=2, initial=np.inf)
        there = np.where(this, terms, np.inf).min(axis=2, initial=np.inf)
        base = np.where(must, there, other)
        gain = np.where(may, below(there - np.where(may, other, 0.0)), np.inf)
        gain = np.sort(gain, axis=1)
        taken = np.where(np.arange(gain.shape[1]) < wanted[:, None], gain, 0.0)
        both = np.where(none[:, None], 0.0, np.concatenate([base, taken], axis=1))
        return np.where(none, np.inf, sum_low(both, axis=1))

    def _distinct(self, terms: np.ndarray) -> np.ndarray:
        kinds = self.constraint.class_of(self.ids)
        known = np.flatnonzero(kinds >= 0)
        order = known[np.argsort(kinds[known], kind="stable")]
        if not len(order):
            return np.full(len(terms), np.inf)
        _, starts = np.unique(kinds[order], return_index=True)
        cost = np.minimum.reduceat(terms[:, :, order], starts, axis=2)  # (B, T, K)
        open_ = cost < np.inf
        nobody = np.any(~open_.any(axis=2), axis=1)
        none = nobody | (open_.any(axis=1).sum(axis=1) < cost.shape[1])
        price = np.where(open_.any(axis=1), _prices(cost), np.inf)  # of a class that nobody may take: never paid
        reduced = np.where(open_, below(cost - np.where(open_, price[:, None], 0.0)), np.inf)
        cheapest = np.sort(price, axis=1)[:, : cost.shape[1]]
        both = np.concatenate([reduced.min(axis=2), cheapest], axis=1)
        return np.where(none, np.inf, sum_low(np.where(none[:, None], 0.0, both), axis=1))

    def _regular(self, terms: np.ndarray) -> np.ndarray:
        table = np.array(self.constraint.transitions)
        known = np.flatnonzero((self.ids >= 0) & (self.ids < table.shape[1]))
        if (terms < np.inf)[:, :, np.setdiff1d(np.arange(len(self.ids)), known)].any():
            raise RejectedError("a cell of this task allows a symbol that its automaton does not know")
        leads = table[:, self.ids[known]].reshape(-1)
        order = np.argsort(leads, kind="stable")
        targets, starts = np.unique(leads[order], return_index=True)
        least = np.full((len(terms), len(table)), np.inf)
        least[:, 0] = 0.0
        for letter in np.moveaxis(terms[:, :, known], 1, 0):
            way = (least[:, :, None] < np.inf) & (letter[:, None] < np.inf)  # a sum that overflows is still a way
            step = below(least[:, :, None] + letter[:, None])
            step = np.where(way, step, np.inf).reshape(len(terms), -1)
            least = np.full(least.shape, np.inf)
            least[:, targets] = np.minimum.reduceat(step[:, order], starts, axis=1)
        return least[:, list(self.constraint.accepting)].min(axis=1, initial=np.inf)


@np.errstate(all="ignore")  # what is not finite becomes a price of 0
def _prices(cost: np.ndarray) -> np.ndarray:
    """(B, K) prices b <= 0 of classes, from cost (B, T, K): those of the Hungarian method, or 0 where it fails.

    Row after row joins the assignment along a shortest path, for all B at once; column 0 stands for the row that joins.
    """
    count, rows, classes = cost.shape
    of_row, price = np.zeros((count, rows + 1)), np.zeros((count, classes + 1))
    owner, at = np.zeros((count, classes + 1), dtype=np.int64), np.arange(count)
    for row in range(1, rows + 1):
        owner[:, 0] = row
        least, way = np.full((count, classes + 1), np.inf), np.zeros((count, classes + 1), dtype=np.int64)
        used, last, open_ = np.zeros((count, classes + 1), dtype=bool), np.zeros(count, dtype=np.int64), at
        for _ in range(row):
            used[open_, last[open_]] = True
            own = owner[open_, last[open_]]
            step = cost[open_, own - 1] - of_row[open_, own][:, None] - price[open_, 1:]
            shorter = ~used[open_, 1:] & (step < least[open_, 1:])
            least[open_, 1:] = np.where(shorter, step, least[open_, 1:])
            way[open_, 1:] = np.where(shorter, last[open_][:, None], way[open_, 1:])
            left = np.where(used[open_], np.inf, least[open_])
            left[:, 0] = np.inf
            last[open_], rise = left.argmin(axis=1), left.min(axis=1)
            one, column = np.nonzero(used[open_])
            of_row[open_[one], owner[open_[one], column]] += rise[one]
            price[open_] -= np.where(used[open_], rise[:, None], 0.0)
            least[open_] -= np.where(used[open_], 0.0, rise[:, None])
            open_ = open_[owner[open_, last[open_]] != 0]
            if not len(open_):
                break
        todo = at
        for _ in range(row):
            before = way[todo, last[todo]]
            owner[todo, last[todo]] = owner[todo, before]
            last[todo] = before
            todo = todo[before != 0]
    fine = np.isfinite(price).all(axis=1, keepdims=True)
    return np.where(fine, price, 0.0)[:, 1:]
