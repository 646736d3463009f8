"""Plain evaluation of recurrent models in NumPy float64: the reference for all, and their states as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.mixers import MIXERS
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Gru, Lstm, Recurrent, state_width
from separatrix.models.mixers import mixer_output, mixer_start, mixer_step, sigmoid
from separatrix.models.model import Model


class Runner:
    """A recurrent model ready to run: float64 copies of its tensors, and its states as rows.

    A state is the states of all layers side by side, from the input upwards: (batch, state_numbers).
    """

    def __init__(self, model: Model) -> None:
        """Raises InputError for a model that is not recurrent."""
        if not isinstance(model.arch, Recurrent):
            raise InputError(f"a recurrent model is needed; this is a {model.arch.kind}")
        self.arch = model.arch
        self.t = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}
        self.own = [layer_tensors(self.t, i) for i in range(len(self.arch.layers))]

    def start(self, batch: int) -> np.ndarray:
        """(batch, state_numbers) the state before the first token."""
        layers = enumerate(self.arch.layers)
        parts = [mixer_start(x) if isinstance(x, MIXERS) else self.t[f"layers.{i}.start"] for i, x in layers]
        return np.tile(self.rounded(np.concatenate(parts)), (batch, 1))

    def step(self, states: np.ndarray, tokens: np.ndarray, position: int) -> tuple[np.ndarray, np.ndarray]:
        """One position.

        Args:
            states: (batch, state_numbers) before it.
            tokens: (batch,) ids.

        Returns:
            (batch, state_numbers) after it, and (batch, width) what the read-out sees there.
        """
        x, parts, left = self._embed(tokens, position), [], 0
        for i, layer in enumerate(self.arch.layers):
            old = states[:, left : left + state_width(layer)]
            left += state_width(layer)
            new = self.rounded(self._layer(i, old, x))
            parts.append(new)
            x = self._output(i, old, new, x)
        return np.concatenate(parts, axis=1), x

    def run(self, states: np.ndarray, tokens: np.ndarray, first: int = 0) -> np.ndarray:
        """(batch, state_numbers) after the tokens (batch, steps), the first of which stands at position `first`."""
        for j, column in enumerate(np.asarray(tokens).T):
            states, _ = self.step(states, column, first + j)
        return states

    def outputs(
        self, states: np.ndarray, tokens: np.ndarray, first: int = 0, queries: Sequence[int] | None = None
    ) -> np.ndarray:
        """(batch, queries, outputs) at the given positions of the whole input, none of them before `first`."""
        tokens = np.asarray(tokens)
        wanted = range(first, first + tokens.shape[1]) if queries is None else queries
        if outside := [j for j in wanted if not first <= j < first + tokens.shape[1]]:
            raise InputError(f"position {outside[0]} is not one of the {tokens.shape[1]} positions from {first} on")
        found: dict[int, np.ndarray] = {}
        for j in range(first, max(wanted, default=first - 1) + 1):
            states, seen = self.step(states, tokens[:, j - first], j)
            if j in wanted:
                found[j] = self.read(seen)
        empty = np.zeros((len(states), 0, self.arch.readout.outputs))
        return np.stack([found[j] for j in wanted], axis=1) if len(wanted) else empty

    def read(self, seen: np.ndarray) -> np.ndarray:
        """(batch, outputs) of what the read-out sees."""
        return seen @ self.t["readout.weight"] + self.t["readout.bias"]

    def rounded(self, states: np.ndarray) -> np.ndarray:
        """The states on the grid, where the model has one."""
        grid = self.arch.state
        if not isinstance(grid, FixedPoint):
            return states
        top = 2.0 ** (grid.bits - 1)
        return np.clip(np.rint(states * 2.0**grid.fraction), -top, top - 1) * 2.0**-grid.fraction

    def _embed(self, tokens: np.ndarray, position: int) -> np.ndarray:
        x = self.t["embed.token"][np.asarray(tokens)]
        if not self.arch.first.positions:
            return x
        if position >= self.arch.first.positions:
            raise InputError(f"the input has more than {position} positions; the model has {self.arch.first.positions}")
        return x + self.t["embed.position"][position]

    def _layer(self, i: int, old: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(batch, state) of layer i after a position where it reads x (batch, width)."""
        layer, t = self.arch.layers[i], self.t
        if isinstance(layer, MIXERS):
            return mixer_step(layer, self.own[i], old, x)
        drive, u = x @ t[f"layers.{i}.in"] + t[f"layers.{i}.bias"], layer.units
        match layer:
            case Elman():
                active = drive + old @ t[f"layers.{i}.recurrent"]
                return np.maximum(active, 0.0) if layer.activation == "relu" else np.tanh(active)
            case Lstm():
                gates = drive + old[:, :u] @ t[f"layers.{i}.recurrent"]
                enter, keep, candidate, leave = (gates[:, k * u : (k + 1) * u] for k in range(4))
                cell = sigmoid(keep) * old[:, u:] + sigmoid(enter) * np.tanh(candidate)
                return np.concatenate([sigmoid(leave) * np.tanh(cell), cell], axis=1)
            case Gru():
                back = old @ t[f"layers.{i}.recurrent"]
                reset, update = sigmoid(drive[:, :u] + back[:, :u]), sigmoid(drive[:, u : 2 * u] + back[:, u : 2 * u])
                candidate = np.tanh(drive[:, 2 * u :] + reset * (back[:, 2 * u :] + t[f"layers.{i}.candidate_bias"]))
                return (1.0 - update) * candidate + update * old
            case DiagonalSsm():
                (re, im), left, right = t[f"layers.{i}.diagonal"], old[:, :u], old[:, u:]
                return np.concatenate([re * left - im * right, re * right + im * left], axis=1) + drive

    def _output(self, i: int, old: np.ndarray, new: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(batch, width) what layer i hands on."""
        layer, t = self.arch.layers[i], self.t
        if isinstance(layer, MIXERS):
            return mixer_output(layer, self.own[i], old, new, x)
        if isinstance(layer, DiagonalSsm):
            return np.maximum(new @ t[f"layers.{i}.out"] + x @ t[f"layers.{i}.skip"] + t[f"layers.{i}.out_bias"], 0.0)
        return new[:, : layer.units]


def layer_tensors(tensors: Mapping[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    """Those of layer i, by their names without its number."""
    start = f"layers.{i}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
