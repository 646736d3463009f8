"""Handles on forms while a circuit is built: an array of integers that the circuit will compute, with bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.depth.rows import exact


@dataclass(frozen=True, eq=False)
class Forms:
    """An array of integer values: value = (form `ids`) + `offset`, with low <= value <= high on every input.

    Attributes:
        ids: rows of the builder's form table; row 0 is the empty form.
        offset, low, high: int64 or Python ints, all of the shape of `ids`.
    """

    ids: np.ndarray
    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of values."""
        return self.ids.shape

    def __getitem__(self, index: Any) -> Forms:
        return self._each(lambda array: np.asarray(array[index]))

    def __add__(self, constant: np.ndarray | int) -> Forms:
        """The values plus constants (no new form, no level)."""
        shift = np.broadcast_to(exact(constant), self.shape)
        return Forms(self.ids, exact(self.offset + shift), exact(self.low + shift), exact(self.high + shift))

    def reshape(self, *shape: int) -> Forms:
        """The same values in another shape."""
        return self._each(lambda array: array.reshape(*shape))

    def moved(self, source: int, target: int) -> Forms:
        """With one axis moved."""
        return self._each(lambda array: np.moveaxis(array, source, target))

    def broadcast(self, shape: tuple[int, ...]) -> Forms:
        """Broadcast to a shape."""
        return self._each(lambda array: np.broadcast_to(array, shape))

    def scatter(self, shape: tuple[int, ...], *index: np.ndarray) -> Forms:
        """Zeros of `shape` (before the trailing axes) with these values at an index."""

        def place(array: np.ndarray) -> np.ndarray:
            full = np.zeros((*shape, *array.shape[1:]), dtype=array.dtype)
            full[index] = array
            return full

        return self._each(place)

    def _each(self, change: Any) -> Forms:
        return Forms(change(self.ids), change(self.offset), change(self.low), change(self.high))

    @classmethod
    def constant(cls, values: Any) -> Forms:
        """Integers that depend on no input."""
        array = exact(values)
        return cls(np.zeros(array.shape, dtype=np.int64), array, array, array)

    @classmethod
    def stack(cls, parts: Sequence[Forms], axis: int = 0) -> Forms:
        """Joins arrays of forms of one shape along a new axis."""
        return cls(*(exact(np.stack([getattr(p, name) for p in parts], axis)) for name in _NAMES))

    @classmethod
    def concatenate(cls, parts: Sequence[Forms], axis: int = 0) -> Forms:
        """Joins arrays of forms along an axis they have."""
        return cls(*(exact(np.concatenate([getattr(p, name) for p in parts], axis)) for name in _NAMES))


_NAMES = ("ids", "offset", "low", "high")
