"""Recurrent nets of every kind on one input, in balls of any precision (Arb).

A step multiplies the radius by about the norm of the weights, so what N steps lose is made up for by more bits. A ball
that straddles the middle between two points of a fixed-point grid is undecided at that precision, and all its logits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Gru, Lstm, Recurrent
from separatrix.kernel.arb_nets import Matrix, Number, entries, exact, number, stack

KNOWN = (Elman, Lstm, Gru, DiagonalSsm)
Row = list[Number]


class RecurrentNet:
    """A recurrent model; `logits` works with the present precision, all of [-inf, inf] where that is too low."""

    bits = (128, 512, 2048, 8192)

    def __init__(self, arch: Recurrent, tensors: Mapping[str, np.ndarray]) -> None:
        """UnknownError for layers that are not computed here."""
        if strange := [layer.kind for layer in arch.layers if not isinstance(layer, KNOWN)]:
            raise UnknownError(f"balls are not computed through {strange[0]} layers")
        self.arch, self.tensors = arch, tensors
        self.maps = {name: exact(tensor) for name, tensor in tensors.items() if not name.startswith("embed.")}

    def logits(self, tokens: np.ndarray, query: int) -> Row:
        """(outputs,) of one input (positions,) at one position, before any argmax."""
        arch, t = self.arch, self.tensors
        if arch.first.positions and len(tokens) > arch.first.positions:
            raise RejectedError("the input is longer than the model's table of positions")
        try:
            states = [self._keep(entries(self.maps[f"layers.{i}.start"])[0]) for i in range(len(arch.layers))]
            x = exact(np.zeros(1))
            for j, token in enumerate(tokens[: query + 1].tolist()):
                x = exact(t["embed.token"][token])
                if arch.first.positions:
                    x = x + exact(t["embed.position"][j])
                for i in range(len(arch.layers)):
                    states[i], x = self._step(i, states[i], x)
        except Undecided:
            return [number(0) / number(0)] * arch.readout.outputs
        return entries(x * self.maps["readout.weight"] + self.maps["readout.bias"])[0]

    def _step(self, i: int, old: Row, x: Matrix) -> tuple[Row, Matrix]:
        """State and output of layer i after a position where it reads the row x."""
        layer = self.arch.layers[i]
        assert isinstance(layer, KNOWN)
        u = layer.units
        drive = self._row(x, i, "in", "bias")
        if isinstance(layer, DiagonalSsm):
            re, im = entries(self.maps[f"layers.{i}.diagonal"])
            left = [a * s - b * r + d for a, b, s, r, d in zip(re, im, old[:u], old[u:], drive[:u], strict=True)]
            right = [a * r + b * s + d for a, b, s, r, d in zip(re, im, old[:u], old[u:], drive[u:], strict=True)]
            new = self._keep(left + right)
            out = stack([new]) * self.maps[f"layers.{i}.out"] + x * self.maps[f"layers.{i}.skip"]
            out = entries(out + self.maps[f"layers.{i}.out_bias"])[0]
            return new, stack([[v.max(number(0)) for v in out]])
        back = entries(stack([old[:u]]) * self.maps[f"layers.{i}.recurrent"])[0]
        match layer:
            case Elman():
                sums = [d + b for d, b in zip(drive, back, strict=True)]
                new = [v.max(number(0)) if layer.activation == "relu" else v.tanh() for v in sums]
            case Lstm():
                sums = [d + b for d, b in zip(drive, back, strict=True)]
                enter, keep, g, leave = (sums[k * u : (k + 1) * u] for k in range(4))
                cell = [
                    _sigmoid(f) * c + _sigmoid(e) * v.tanh() for e, f, v, c in zip(enter, keep, g, old[u:], strict=True)
                ]
                new = [_sigmoid(o) * c.tanh() for o, c in zip(leave, cell, strict=True)] + cell
            case Gru():
                bias = entries(self.maps[f"layers.{i}.candidate_bias"])[0]
                new = []
                for k in range(u):
                    reset, update = _sigmoid(drive[k] + back[k]), _sigmoid(drive[u + k] + back[u + k])
                    candidate = (drive[2 * u + k] + reset * (back[2 * u + k] + bias[k])).tanh()
                    new.append((1 - update) * candidate + update * old[k])
        new = self._keep(new)
        return new, stack([new[:u]])

    def _row(self, x: Matrix, i: int, weight: str, bias: str) -> Row:
        return entries(x * self.maps[f"layers.{i}.{weight}"] + self.maps[f"layers.{i}.{bias}"])[0]

    def _keep(self, state: Row) -> Row:
        grid = self.arch.state
        return [_rounded(v, grid) for v in state] if isinstance(grid, FixedPoint) else state


class Undecided(Exception):
    """A number may round either way."""


def _rounded(value: Number, grid: FixedPoint) -> Number:
    """To the nearest multiple of 2^-fraction, half to even, clipped."""
    scaled = value * number(2.0**grid.fraction)
    steps = (scaled + number(0.5)).floor().unique_fmpz()
    if steps is None:
        raise Undecided
    steps, top = int(steps), 1 << (grid.bits - 1)
    if number(steps) - scaled == number(0.5) and steps % 2:  # an exact tie was rounded up to an odd number
        steps -= 1
    return number(max(-top, min(top - 1, steps))) * number(2.0**-grid.fraction)


def _sigmoid(value: Number) -> Number:
    return 1 / (1 + (-value).exp())
