"""The search behind the relu prover, in plain float64: least words, features of inputs, guesses of ranges.

Nothing here is trusted: what is found is multipliers and inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.kernel.relu_tables import Scene
from separatrix.verify.provers.minimise import least_word

CHUNK = 2**21  # numbers in the largest array
STEPS = 3  # of Dinkelbach, for ranges: the kernel's own bound is then off by the square of a small error


@dataclass(frozen=True, slots=True)
class Work:
    """The middles of a scene's tables: e (H, J, S); values, whose sum is (H, J, S, M); own (M,)."""

    scene: Scene
    e: np.ndarray
    values: tuple[np.ndarray, ...]
    own: np.ndarray

    @classmethod
    def of(cls, scene: Scene) -> Work:
        """Of one group of cells."""
        return cls(scene, (scene.low + scene.high) / 2, tuple(v.mid for v in scene.values), scene.own.mid)

    def functional(self, weights: np.ndarray) -> np.ndarray:
        """(L, H, J, S) from (L, M)."""
        total: np.ndarray | float = 0.0
        for values in self.values:
            part = values.reshape(-1, values.shape[-1]) @ weights.T
            total = total + np.moveaxis(part.reshape(*values.shape[:3], len(weights)), 3, 0)
        return np.asarray(total)

    def least(self, cost: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B,) least sums and (B, J) the columns that attain them, from costs (B, J, S)."""
        words, row = self.scene.words, np.arange(len(cost))
        own = np.where(words.allowed, cost, np.inf)
        choice = own.argmin(axis=2)
        for place, column in zip(words.places[cell].T, words.columns[cell].T, strict=True):
            choice[row, place] = column
        constraint, tied = words.constraint, words.tied
        if constraint.kind != "product" and len(tied):
            own = np.where(words.only(cell)[:, tied], cost[:, tied], np.inf)
            if constraint.kind == "count":
                choice[:, tied] = _count(own, words.ids == constraint.symbol, constraint.count)
            elif constraint.kind == "distinct":
                choice[:, tied] = _distinct(own, constraint.class_of(words.ids))
            else:
                for b, one in enumerate(own):
                    choice[b, tied] = least_word(constraint, one, words.ids).word
        return np.take_along_axis(cost, choice[:, :, None], axis=2)[..., 0].sum(axis=1), choice

    def sums(self, choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """N (B, H, M) and D (B, H) of the inputs (B, J)."""
        heads, slots, width = self.e.shape
        weight = self.e[:, np.arange(slots), choice]  # (H, B, J)
        count = len(choice)
        total = np.zeros((heads, count, self.values[0].shape[-1]))
        for values in self.values:
            if values.shape[2] == 1:
                total += weight @ values[:, :, 0]
            elif values.shape[1] == 1:
                cells = (np.arange(heads * count) * width).reshape(heads, count, 1) + choice
                by_column = np.bincount(cells.reshape(-1), weight.reshape(-1), minlength=heads * count * width)
                total += by_column.reshape(heads, count, width) @ values[:, 0]
            else:
                for b, one in enumerate(choice):
                    total[:, b] += np.einsum("hj,hjm->hm", weight[:, b], values[:, np.arange(slots), one])
        return total.transpose(1, 0, 2), weight.sum(axis=2).T

    def features(self, choice: np.ndarray) -> np.ndarray:
        """(B, M) of the inputs (B, J)."""
        n, d = self.sums(choice)
        return self.own + (n / d[:, :, None]).sum(axis=1)

    def range_guess(self) -> np.ndarray:
        """(C, 2, R, H): near the least and the greatest share of each head in each feature that is ranged."""
        net, cells = self.scene.net, len(self.scene.labels)
        heads, which = net.heads, net.ranged
        if not len(which):
            return np.zeros((cells, 2, 0, heads))
        full = [np.broadcast_to(v[..., which], (*self.e.shape, len(which))) for v in self.values]
        value = np.moveaxis(np.sum(full, axis=0), 3, 0)  # (R, H, J, S)
        guess = np.empty((cells, 2, len(which), heads))
        for h in range(heads):
            for side, sign in enumerate((1.0, -1.0)):
                v, e = sign * value[:, h], self.e[h]
                weighted, rows, slots = v * e, np.arange(len(which))[:, None], np.arange(len(e))
                start = np.nan_to_num(weighted.sum(axis=(1, 2)) / e.sum())
                step = max(1, CHUNK // max(1, v.size))
                for part in (slice(i, i + step) for i in range(0, cells, step)):
                    some = np.arange(cells)[part]
                    tau = np.repeat(start[None], len(some), axis=0)
                    for _ in range(STEPS):
                        cost = weighted - tau[:, :, None, None] * e
                        _, choice = self.least(cost.reshape(-1, *e.shape), np.repeat(some, len(which)))
                        weight = e[slots, choice].reshape(len(some), len(which), -1)
                        picked = v[rows, slots, choice.reshape(weight.shape)]
                        tau = (weight * picked).sum(axis=2) / weight.sum(axis=2)
                    guess[part, side, :, h] = sign * tau
        return guess


def _count(cost: np.ndarray, this: np.ndarray, count: int) -> np.ndarray:
    """(B, T) the columns of least cost (B, T, S) with the symbol at exactly `count` places."""
    other, there = np.where(this, np.inf, cost), np.where(this, cost, np.inf)
    base, with_symbol = other.min(axis=2), there.min(axis=2)
    gain = np.where(np.isinf(base), -np.inf, with_symbol - np.where(np.isinf(base), 0.0, base))
    rank = gain.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return np.where(rank < count, there.argmin(axis=2), other.argmin(axis=2))


def _distinct(cost: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """(B, T) the columns of least cost (B, T, S) with different classes."""
    from scipy.optimize import linear_sum_assignment

    order = np.flatnonzero(kinds >= 0)
    order = order[np.argsort(kinds[order], kind="stable")]
    classes, starts = np.unique(kinds[order], return_index=True)
    by_class = np.minimum.reduceat(cost[:, :, order], starts, axis=2)
    taken = np.zeros(cost.shape[:2], dtype=np.int64)
    for b, one in enumerate(by_class):
        try:
            taken[b] = linear_sum_assignment(one)[1]
        except ValueError:  # numbers that are not finite
            continue
    return np.where(kinds == classes[taken][:, :, None], cost, np.inf).argmin(axis=2)
