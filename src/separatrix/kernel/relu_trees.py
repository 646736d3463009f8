"""Reads the trees of a `relu` certificate (see `relu`): boxes of a cell, cut by variables and by what slots hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.least import Words
from separatrix.kernel.relu_net import Net
from separatrix.kernel.relu_ranges import Ranges
from separatrix.kernel.relu_tables import Scene

ALONE, CORNERS, MULTIPLIERS = -1, -2, -3
MOST_WORK = 2**42  # terms of all sums
MOST_HELD = 2**31  # bytes that say what the slots of all leaves hold
LARGEST = 2.0**300  # of a multiplier
NAMES = ("node", "split", "symbols", "range", "slope", "tau", "plus", "minus")
# kind, number of the leaf and of its multipliers, ends of the variables, and what the slots hold where that is cut
Taken = tuple[int, int, int, np.ndarray, np.ndarray, np.ndarray | None]


@dataclass(slots=True)
class Trees:
    """The arrays of a certificate, read from front to back.

    at: the next node, split, leaf, leaf with multipliers, cell, set of symbols. variables: how many there are.
    """

    arrays: Mapping[str, np.ndarray]
    variables: int
    at: list[int] = field(default_factory=lambda: [0] * 6)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], net: Net, vocabulary: int) -> Trees:
        """Checks names, types, shapes and numbers."""
        if set(arrays) != set(NAMES):
            raise InputError(f"the arrays of this kind of certificate are {', '.join(NAMES)}")
        node, heads, hidden = arrays["node"], net.heads, net.hidden
        variables = hidden + heads + (net.inner_eps is not None)
        most = variables + net.positions
        if node.dtype != np.int64 or node.ndim != 1 or ((node < MULTIPLIERS) | (node >= most)).any():
            raise InputError("array node holds something that is neither a variable nor a kind of leaf")
        leaves, several = int((node < 0).sum()), int((node == MULTIPLIERS).sum())
        slots, symbols = int((node >= variables).sum()), arrays["symbols"]
        cells = len(arrays["range"]) if arrays["range"].ndim else 0
        shapes = {
            "split": (len(node) - leaves - slots,),
            "range": (cells, 2, len(net.ranged), heads),
            "slope": (leaves, hidden),
            "tau": (leaves, heads if heads > 1 else 0),
            "plus": (several, 2, heads),
            "minus": (several, 2, heads),
        }
        if symbols.dtype != np.uint8 or symbols.shape != (slots, -(-vocabulary // 8)):
            raise InputError(f"array symbols does not hold {slots} sets of {vocabulary} symbols")
        for name, shape in shapes.items():
            array = arrays[name]
            if array.dtype.name not in ("float64", "float32") or array.shape != shape or not np.isfinite(array).all():
                raise InputError(f"array {name} does not hold {shape} finite numbers")
            if (np.abs(array.astype(np.float64)) > LARGEST).any():
                raise RejectedError(f"a number in array {name} is too large")
        if (arrays["plus"] < 0).any() or (arrays["minus"] < 0).any():
            raise RejectedError("a multiplier is negative")
        sums = leaves * 2**heads + (cells + leaves * (slots > 0)) * 2 * len(net.ranged) * (heads + 1)
        if sums * len(net.slot.mid) * vocabulary > MOST_WORK:
            raise UnknownError(f"checking {leaves} leaves with {heads} heads takes more than {MOST_WORK} steps")
        if slots and leaves * len(net.slot.mid) * vocabulary > MOST_HELD:
            raise UnknownError(f"{leaves} leaves whose slots are cut are too many for this check")
        floats = {name: arrays[name].astype(np.float64) for name in shapes}
        return cls({"node": node, "symbols": symbols} | floats, variables)

    def ranges(self, scene: Scene) -> Ranges:
        """Those of the next cells, one group."""
        start, count = self.at[4], len(scene.labels)
        self.at[4] += count
        if self.at[4] > len(self.arrays["range"]):
            raise RejectedError("the certificate ends before the cells do")
        return Ranges.of(scene, self.arrays["range"][start : start + count])

    def take(self, words: Words, cell: int, low: np.ndarray, high: np.ndarray) -> Iterator[Taken]:
        """The leaves of the next tree, within the root's box and the cell's words."""
        node, split = self.arrays["node"], self.arrays["split"]
        boxes: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = [(low, high, None)]
        while boxes:
            a, b, only = boxes.pop()
            if self.at[0] == len(node):
                raise RejectedError("the certificate ends before the cells do")
            kind = int(node[self.at[0]])
            self.at[0] += 1
            if kind < 0:
                yield kind, self.at[2], self.at[3], a, b, only
                self.at[2] += 1
                self.at[3] += kind == MULTIPLIERS
            elif kind >= self.variables:
                slot = kind - self.variables
                only = words.only(np.array([cell]))[0] if only is None else only
                first, second = only.copy(), only.copy()
                first[slot] &= self._set(words.ids)
                second[slot] &= ~first[slot]
                if not (first[slot].any() and second[slot].any()):
                    raise RejectedError("a slot is split into what it may hold and nothing")
                boxes += [(a, b, second), (a, b, first)]
            else:
                cut = split[self.at[1]]
                self.at[1] += 1
                if not a[kind] < cut < b[kind]:
                    raise RejectedError("a variable is split outside its range")
                upper, lower = a.copy(), b.copy()
                upper[kind] = lower[kind] = cut
                boxes += [(upper, b, only), (a, lower, only)]

    def _set(self, ids: np.ndarray) -> np.ndarray:
        """(S,) the columns whose symbols are in the next set."""
        bits = np.unpackbits(self.arrays["symbols"][self.at[5]])
        self.at[5] += 1
        return (ids >= 0) & (bits[np.maximum(ids, 0)] > 0)

    def close(self) -> None:
        """RejectedError where something is left over."""
        if self.at[0] != len(self.arrays["node"]) or self.at[4] != len(self.arrays["range"]):
            raise RejectedError("the certificate goes on after the last cell")
