"""Least words for the relu prover: what the slots of a group's cells may hold, and least sums over parts of cells.

Costs are tables (J, S) of a slot and a column; a part of a cell is a mask (J, S). Plain float64; nothing is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Sequence
from separatrix.verify.provers.minimise import least_word
from separatrix.verify.provers.relu_loops import compiled, plain


@dataclass(frozen=True, slots=True)
class Words:
    """The columns of a group: the symbols that its cells allow, increasing, the query's own token, and the blank's.

    ids (S,): their symbols, -1 for the blank. cells (C, J, S): what the slots of each cell may hold. tied (T,): slots
    that the constraint is about. kinds (S,): the classes of distinct symbols as numbers from 0, -1 for none.
    """

    constraint: Constraint
    ids: np.ndarray
    cells: np.ndarray
    tied: np.ndarray
    kinds: np.ndarray

    @classmethod
    def of(cls, group: CellGroup, domain: Sequence, slots: int) -> Words:
        """Of a group that the kernel's own view accepts."""
        where = group.background or domain.alphabets
        alphabets = {id(a): np.asarray(a) for j, a in enumerate(where) if j != group.query}
        used = np.unique(np.concatenate([group.symbols.reshape(-1), *alphabets.values()])).astype(np.int64)
        by_alphabet = {name: np.isin(used, a) for name, a in alphabets.items()}
        allowed = np.zeros((slots, len(used) + 2), dtype=bool)
        for j, a in enumerate(where):
            if j == group.query:
                allowed[j, -2] = True
            else:
                allowed[j, :-2] = by_alphabet[id(a)]
        allowed[len(where) :, -1] = True
        cells, row = np.repeat(allowed[None], len(group), axis=0), np.arange(len(group))
        for place, symbol in zip(group.positions.T, group.symbols.T, strict=True):
            cells[row, place] = False
            cells[row, place, np.searchsorted(used, symbol)] = True
        ids = np.concatenate([used, [group.token, -1]])
        kinds = group.constraint.class_of(ids) if group.constraint.kind == "distinct" else np.full(len(ids), -1)
        numbers = np.where(kinds >= 0, np.searchsorted(np.unique(kinds[kinds >= 0]), kinds), -1)
        return cls(group.constraint, ids, cells, np.asarray(group.constraint.places(domain.positions)), numbers)

    def least(self, cost: np.ndarray, masks: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B,) least sums and (B, J) the columns that attain them: of costs (B, J, S) on the parts masks[row].

        -inf where no word was found.
        """
        kind, tied = self.constraint.kind, self.tied
        if kind == "distinct":
            value, choice = np.empty(len(cost)), np.empty(cost.shape[:2], dtype=np.int64)
            compiled("words")(*plain(cost, masks, row, self.kinds, tied), value, choice)
            return value, choice
        own = np.where(masks[row], cost, np.inf)
        choice = own.argmin(axis=2)
        if kind == "count" and len(tied):
            choice[:, tied] = _count(own[:, tied], self.ids == self.constraint.symbol, self.constraint.count)
        elif kind == "regular":
            for b, one in enumerate(own):
                choice[b, tied] = least_word(self.constraint, one[tied], self.ids).word
        value = np.take_along_axis(own, choice[:, :, None], axis=2)[..., 0].sum(axis=1)
        return np.where(value < np.inf, value, -np.inf), choice

    def worst(
        self, pick: np.ndarray, tables: np.ndarray, more: np.ndarray, masks: np.ndarray, row: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The least sum + more (B, K) over K faces, its face (B,) and its columns (B, J); -inf where no word was found.

        pick (K, T): how much of each of the tables (B, T, J, S) a face adds up.
        """
        (count, many, slots, width), b = tables.shape, np.arange(len(tables))
        if self.constraint.kind != "product":
            costs = (pick @ tables.reshape(count, many, -1)).reshape(-1, slots, width)
            least, x = self.least(costs, masks, np.repeat(row, len(pick)))
            value = least.reshape(count, -1) + more
            face = value.argmin(axis=1)
            return value[b, face], face, x.reshape(count, -1, slots)[b, face]
        turned = tables.transpose(0, 3, 2, 1).reshape(
            count, width * slots, many
        )  # faces last: least sums are fast there
        costs = (turned @ pick.T).reshape(count, width, slots, len(pick))
        costs += np.where(masks[row], 0.0, np.inf).swapaxes(1, 2)[..., None]
        value = costs.min(axis=1).sum(axis=1) + more
        value = np.where(value < np.inf, value, -np.inf)
        face = value.argmin(axis=1)
        return value[b, face], face, costs[b, :, :, face].argmin(axis=1)

    def narrowed(self, mask: np.ndarray) -> np.ndarray | None:
        """A part without what its slots cannot hold because another slot must; None where that leaves no word."""
        if self.constraint.kind == "distinct":
            mask, tied = mask.copy(), self.tied
            mask[tied] &= self.kinds >= 0
            for _ in tied:
                there = np.zeros((len(tied), self.kinds.max(initial=0) + 1), dtype=bool)
                slot, column = np.nonzero(mask[tied])
                there[slot, self.kinds[column]] = True
                sole = there & (there.sum(axis=1, keepdims=True) == 1)
                left = there & ~(sole.sum(axis=0) - sole > 0)
                if np.array_equal(left, there):
                    break
                mask[tied] &= left[:, self.kinds]
        return mask if mask.any(axis=1).all() else None


def _count(own: np.ndarray, this: np.ndarray, count: int) -> np.ndarray:
    """(B, T) the columns of least cost (B, T, S) with the symbol at exactly `count` places."""
    other, there = np.where(this, np.inf, own), np.where(this, own, np.inf)
    base, with_symbol = other.min(axis=2), there.min(axis=2)
    gain = np.where(np.isinf(base), -np.inf, with_symbol - np.where(np.isinf(base), 0.0, base))
    rank = gain.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return np.where(rank < count, there.argmin(axis=2), other.argmin(axis=2))
