"""Which rows are known already: a hash index that takes whole batches (sorted runs, merged as they pile up)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]


class HashIndex:
    """64-bit hash -> id of the first row with it. Rows of equal hash are never taken for equal without comparison."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def find(self, hashes: np.ndarray, size: int, equal: Compare, known: Compare) -> tuple[np.ndarray, np.ndarray]:
        """(id of every row, rows that are new); new rows get ids from `size` on, in order, and are remembered.

        Args:
            equal: (rows, other rows of the batch) -> whether they are the same.
            known: (rows, ids) -> whether a row is the stored row of that id.
        """
        rows = np.arange(len(hashes))
        unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        old, leader = self._ids(unique)[inverse], first[inverse]
        ids = np.full(len(hashes), -1, dtype=np.int64)
        stored = np.flatnonzero(old >= 0)
        if len(stored):
            right = stored[known(stored, old[stored])]
            ids[right] = old[right]
        follower = np.flatnonzero((old < 0) & (leader != rows))
        right = follower[equal(follower, leader[follower])] if len(follower) else follower
        is_new = ids < 0
        is_new[right] = False
        new = np.flatnonzero(is_new)
        ids[new] = size + np.arange(len(new))
        ids[right] = ids[leader[right]]
        own = first[is_new[first]]  # of several new rows with one hash, the first is remembered; old ones stay
        own = own[old[own] < 0]
        self._remember(hashes[own], ids[own])
        return ids, new

    def _ids(self, unique: np.ndarray) -> np.ndarray:
        out = np.full(len(unique), -1, dtype=np.int64)
        for keys, ids in self._runs:
            at = np.minimum(np.searchsorted(keys, unique), len(keys) - 1)
            hit = keys[at] == unique
            out[hit] = ids[at[hit]]
        return out

    def _remember(self, keys: np.ndarray, ids: np.ndarray) -> None:
        """Takes sorted new keys; runs keep sizes that at least double, so that there are few."""
        if not len(keys):
            return
        while self._runs and len(self._runs[-1][0]) < 2 * len(keys):
            other, theirs = self._runs.pop()
            keys, ids = np.concatenate([other, keys]), np.concatenate([theirs, ids])
            order = np.argsort(keys, kind="stable")
            keys, ids = keys[order], ids[order]
        self._runs.append((keys, ids))
