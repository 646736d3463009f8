"""Hidden units that add to single coordinates of the stream: sharp steps and their sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Units:
    """Collects ReLU units of one feed-forward layer on a stream of some width."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._in: list[np.ndarray] = []
        self._bias: list[float] = []
        self._out: list[np.ndarray] = []

    def relu(self, weights: Mapping[int, float], bias: float, out: Mapping[int, float]) -> None:
        """Adds out[c] * relu(weights . x + bias) to each coordinate c."""
        self._in.append(self._row(weights))
        self._bias.append(bias)
        self._out.append(self._row(out))

    def clip(self, weights: Mapping[int, float], bias: float, out: Mapping[int, float]) -> None:
        """Adds out[c] times (weights . x + bias cut off at 0 and 1): two units."""
        self.relu(weights, bias, out)
        self.relu(weights, bias - 1.0, {c: -value for c, value in out.items()})

    def differs(self, own: int, fetched: int, flag: int, gates: Mapping[int, float], closed: float) -> None:
        """Adds [own != fetched] for own = +-1 and a fetched number within 1/2 of +-1: four units.

        Two steps, one for each sign of `own`; R(1/2 - r - 2(1 - b)) - R(-1/2 - r - 2(1 - b)) is 1 for b = 1, r <= -1/2
        and 0 for b = 1, r >= 1/2 or b = -1. `gates` . x + closed is 0 where the units shall work and -4 or less
        elsewhere, which closes them for fetched numbers up to 2.
        """
        for sign in (-1.0, 1.0):
            self.clip({fetched: sign, own: -2.0 * sign, **gates}, 0.5 - 2.0 + closed, {flag: 1.0})

    def tensors(self, layer: int) -> dict[str, np.ndarray]:
        """The layer's tensors by name, with no output bias."""
        return {
            f"layers.{layer}.in": np.array(self._in).T,
            f"layers.{layer}.in_bias": np.array(self._bias),
            f"layers.{layer}.out": np.array(self._out),
            f"layers.{layer}.out_bias": np.zeros(self.width),
        }

    def __len__(self) -> int:
        return len(self._bias)

    def _row(self, entries: Mapping[int, float]) -> np.ndarray:
        row = np.zeros(self.width)
        row[list(entries)] = list(entries.values())
        return row
