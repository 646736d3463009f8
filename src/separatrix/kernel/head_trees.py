"""The arrays of a `heads` certificate, read from front to back: trees, multipliers and prices, all of bounded size.

What they mean stands in `heads`; nothing in them is a bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from separatrix.core.errors import InputError, RejectedError, UnknownError

ALONE, CORNERS, MULTIPLIERS = -1, -2, -3
MOST_WORK = 2**40  # terms of all corners of all leaves
LARGEST = 2.0**1000  # of tau and prices, so that exact sums do not overflow


@dataclass(slots=True)
class Trees:
    """The arrays of a certificate, read from front to back."""

    node: np.ndarray
    split: np.ndarray
    tau: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    priced: np.ndarray | None = None
    prices: np.ndarray | None = None
    ranged: np.ndarray | None = None
    spans: np.ndarray | None = None
    at: list[int] = field(default_factory=lambda: [0] * 5)  # next node, split, leaf, leaf with multipliers, cell

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], heads: int, terms: int) -> Trees:
        """Checks names, types, shapes and numbers; `terms` bounds the terms of one separable sum."""
        names = ("node", "split", "tau", "plus", "minus")
        if set(arrays) - {"priced", "prices", "ranged", "spans"} != set(names):
            raise InputError(f"the arrays of this kind of certificate are {', '.join(names)}, and prices")
        node = arrays["node"]
        if node.dtype != np.int64 or node.ndim != 1 or ((node < MULTIPLIERS) | (node >= heads)).any():
            raise InputError("array node holds something that is neither a head nor a kind of leaf")
        leaves, several = int((node < 0).sum()), int((node == MULTIPLIERS).sum())
        shapes = ((len(node),), (len(node) - leaves,), (leaves, heads), (several, 2, heads), (several, 2, heads))
        for name, shape in zip(names[1:], shapes[1:], strict=True):
            array = arrays[name]
            if array.dtype != np.float64 or array.shape != shape or not np.isfinite(array).all():
                raise InputError(f"array {name} does not hold {shape} finite numbers")
        if (arrays["plus"] < 0).any() or (arrays["minus"] < 0).any():
            raise RejectedError("a multiplier is negative")
        if (np.abs(arrays["tau"]) > LARGEST).any():
            raise RejectedError("a number in array tau is too large for its sums")
        if leaves * terms * 2**heads > MOST_WORK:
            raise UnknownError(f"checking {leaves} leaves with {heads} heads takes more than {MOST_WORK} steps")
        prices = _prices(arrays, "priced", "prices", leaves * 2**heads, ())
        spans = _prices(arrays, "ranged", "spans", MOST_WORK, (2 * heads,))
        return cls(node, arrays["split"], arrays["tau"], arrays["plus"], arrays["minus"], *prices, *spans)

    def prices_of(self, leaves: np.ndarray, heads: int) -> np.ndarray | None:
        """(L, 2^H, classes) of these leaves; None where none has any."""
        return _rows(self.priced, self.prices, leaves[:, None] * 2**heads + np.arange(2**heads))

    def spans_of(self, cells: int) -> np.ndarray | None:
        """(cells, 2 H, classes) of the next cells; None where none has any."""
        self.at[4] += cells
        return _rows(self.ranged, self.spans, np.arange(self.at[4] - cells, self.at[4]))

    def take(
        self, low: np.ndarray, high: np.ndarray
    ) -> Iterator[tuple[int, int, np.ndarray, int, np.ndarray, np.ndarray]]:
        """The leaves of the next tree: kind, number, tau, number of its multipliers, its box (from the root's)."""
        boxes = [(low, high)]
        while boxes:
            a, b = boxes.pop()
            if self.at[0] == len(self.node):
                raise RejectedError("the certificate ends before the cells do")
            kind = int(self.node[self.at[0]])
            self.at[0] += 1
            if kind < 0:
                yield kind, self.at[2], self.tau[self.at[2]], self.at[3], a, b
                self.at[2] += 1
                self.at[3] += kind == MULTIPLIERS
                continue
            cut = self.split[self.at[1]]
            self.at[1] += 1
            if not a[kind] < cut < b[kind]:
                raise RejectedError("a denominator is split outside its range")
            upper, lower = a.copy(), b.copy()
            upper[kind] = lower[kind] = cut
            boxes += [(upper, b), (a, lower)]

    def close(self) -> None:
        """RejectedError where something is left over."""
        if self.at[0] != len(self.node):
            raise RejectedError("the certificate goes on after the last cell")
        if self.ranged is not None and self.ranged[-1] >= self.at[4]:
            raise RejectedError("the certificate has prices of cells that the task does not have")


def _prices(
    arrays: Mapping[str, np.ndarray], names: str, rows: str, most: int, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Increasing numbers below `most`, and for each an array of `shape` and classes; InputError for anything else."""
    if (names in arrays) != (rows in arrays):
        raise InputError(f"array {names} or {rows} stands alone")
    if names not in arrays:
        return None, None
    numbers, prices = arrays[names], arrays[rows]
    if numbers.dtype != np.int64 or numbers.ndim != 1 or not len(numbers) or (np.diff(numbers) <= 0).any():
        raise InputError(f"array {names} does not hold increasing numbers")
    if numbers[0] < 0 or numbers[-1] >= most:
        raise RejectedError("the certificate has prices of leaves or corners that it does not have")
    if prices.dtype != np.float64 or prices.ndim != 2 + len(shape) or prices.shape[:-1] != (len(numbers), *shape):
        raise InputError(f"array {rows} does not hold one price a class for each of {len(numbers)} numbers")
    if not (np.abs(prices) <= LARGEST).all():
        raise InputError(f"array {rows} holds a number that is too large, or none")
    return numbers, prices


def _rows(names: np.ndarray | None, rows: np.ndarray | None, wanted: np.ndarray) -> np.ndarray | None:
    """The rows with the names `wanted`, 0 where there is none; None where there is none at all."""
    if names is None or rows is None or not wanted.size:
        return None
    at = np.minimum(np.searchsorted(names, wanted), len(names) - 1)
    has = (names[at] == wanted).reshape(*wanted.shape, *(1,) * (rows.ndim - 1))
    return np.where(has, rows[at], 0.0) if has.any() else None
