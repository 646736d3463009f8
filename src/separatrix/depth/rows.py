"""Ragged rows in compressed form (ptr, entries): picking, merging, growing. All vectorised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LIMIT = 2**62


def expand(ptr: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(which of `rows`, entry index) of all entries of these rows, in order.

    >>> [array.tolist() for array in expand(np.array([0, 2, 2, 3]), np.array([2, 0]))]
    [[0, 1, 1], [2, 0, 1]]
    """
    start, length = ptr[rows], ptr[rows + 1] - ptr[rows]
    which = np.repeat(np.arange(len(rows)), length)
    ends = np.cumsum(length)
    entry = np.arange(len(which)) - np.repeat(ends - length, length) + np.repeat(start, length)
    return which, entry


def merge_terms(
    owner: np.ndarray, wire: np.ndarray, weight: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ptr, wire, weight) of `rows` rows: equal wires of a row added up, zeros dropped, wires in increasing order."""
    order = np.lexsort((wire, owner))
    owner, wire, weight = owner[order], wire[order], weight[order]
    if len(owner):
        fresh = np.concatenate([[True], (owner[1:] != owner[:-1]) | (wire[1:] != wire[:-1])])
        if not fresh.all():
            weight = np.add.reduceat(weight, np.flatnonzero(fresh))
            owner, wire = owner[fresh], wire[fresh]
        kept = (weight != 0).astype(bool)
        if not kept.all():
            owner, wire, weight = owner[kept], wire[kept], weight[kept]
    ptr = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=rows), out=ptr[1:])
    return ptr, wire, weight


def segment_sum(ptr: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(rows,) sums of consecutive entries; empty rows give 0."""
    rows = len(ptr) - 1
    if values.dtype == object:
        total = np.zeros(rows, dtype=object)
        np.add.at(total, np.repeat(np.arange(rows), np.diff(ptr)), values)
        return total
    running = np.concatenate([np.zeros(1, dtype=values.dtype), np.cumsum(values)])  # wraps, and differences unwrap
    return running[ptr[1:]] - running[ptr[:-1]]


def exact(values: np.ndarray | int | Sequence[int]) -> np.ndarray:
    """int64 where every number is below 2^62 in size, Python ints otherwise."""
    array = np.asarray(values)
    if array.dtype == np.uint64:  # what NumPy makes of 2^63 and more
        array = array.astype(object)
    if array.dtype != object and array.dtype.kind in "iub":
        narrow = array.astype(np.int64)
        small = not array.size or (int(narrow.min()) > -LIMIT and int(narrow.max()) < LIMIT)
        return narrow if small else array.astype(object)
    array = np.array(values, dtype=object) if array.dtype.kind == "f" else array
    if all(-LIMIT < int(v) < LIMIT for v in array.ravel().tolist()):
        return array.astype(np.int64)
    return array


def safe(weights: np.ndarray) -> np.ndarray:
    """The same numbers, as Python ints where some sum of them could pass 2^62."""
    if weights.dtype == object or float(np.abs(weights).sum(dtype=np.float64)) < LIMIT:
        return weights
    return weights.astype(object)


class Grow:
    """An array that grows at its end (amortised), becoming an object array when a wide batch arrives."""

    def __init__(self, dtype: type, tail: tuple[int, ...] = ()) -> None:
        self._array = np.zeros((16, *tail), dtype=dtype)
        self.size = 0

    def add(self, values: np.ndarray) -> None:
        """Appends along the first axis."""
        need = self.size + len(values)
        if values.dtype == object and self._array.dtype != object:
            self._array = self._array.astype(object)
        if need > len(self._array):
            bigger = np.zeros((max(need, 2 * len(self._array)), *self._array.shape[1:]), dtype=self._array.dtype)
            bigger[: self.size] = self._array[: self.size]
            self._array = bigger
        self._array[self.size : need] = values
        self.size = need

    @property
    def values(self) -> np.ndarray:
        """A view of what was added."""
        return self._array[: self.size]
