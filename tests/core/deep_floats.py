"""Simulated floating point of models of any depth: every operation rounded, in chosen orders, at every position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.floats import Machine
from separatrix.core.arch import Attention, FeedForward, Table
from separatrix.models.model import Model

Join = Literal["stacked", "heads"]


@dataclass
class Calls(Machine):
    """Rounds all numbers of one operation the same way, up or down in size, each operation anew; or column by column.

    What errs together adds up: such evaluations come closer to the bounds than random ones.
    """

    columns: bool = False

    def fl(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        if self.sign == "nearest":
            return super().fl(x)
        shape = x.shape[-1:] if self.columns else ()
        return np.where(self.exact(x), x, x * (1.0 + self.spec.unit * self.rng.choice([-1.0, 1.0], shape)))

    def exact(self, x: np.ndarray) -> np.ndarray:
        """Where the format holds a number."""
        return Machine(self.spec, self.order, self.rng).fl(x) == x


def simulate_deep(
    model: Model, tokens: np.ndarray, machine: Machine, join: Join
) -> tuple[list[np.ndarray], np.ndarray]:
    """Streams (batch, positions, d) of the first map and behind every layer, and logits (batch, positions, outputs).

    The outputs of several heads are added in one product with all of W_O, or head by head. Biases and streams are added
    among the products of a sum (`stacked`), or after them.
    """
    arch, fl = model.arch, machine.fl
    assert isinstance(arch.first, Table)
    rest = {name: fl(tensor.astype(np.float64)) for name, tensor in model.tensors.items()}
    x = rest["embed.token"][tokens]
    if arch.first.positions:
        x = machine._plus(x, np.broadcast_to(rest["embed.position"], x.shape))
    if arch.blank:
        x = np.concatenate([x, np.broadcast_to(rest["embed.blank"], (len(x), 1, arch.width))], axis=1)
    found = [x]
    for i, layer in enumerate(arch.layers):
        if isinstance(layer, Attention):
            x = _attend(machine, rest, i, layer, x, join)
        else:
            assert isinstance(layer, FeedForward)
            x = _feed(machine, rest, i, layer, x, join)
        found.append(x)
    return found, _plus_all(machine, _products(machine, x, rest["readout.weight"]), [rest["readout.bias"]], join)


def _products(machine: Machine, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(d, .., k) what a matrix product adds."""
    return np.moveaxis(machine.fl(x[..., :, None] * w), -2, 0)


def _plus_all(machine: Machine, terms: np.ndarray, more: list[np.ndarray], join: Join) -> np.ndarray:
    """The sum of (terms, ..) and more, which stand among the terms or behind them."""
    more = [np.broadcast_to(m, terms.shape[1:]) for m in more]
    if join == "stacked" and more:
        return machine.add(np.concatenate([terms, np.stack(more)]))
    total = machine.add(terms)
    for m in more:
        total = machine._plus(total, m)
    return total


def _attend(
    machine: Machine, rest: dict[str, np.ndarray], i: int, layer: Attention, x: np.ndarray, join: Join
) -> np.ndarray:
    fl, outputs = machine.fl, []
    for h in range(layer.heads):
        q, k, v = (machine.matmul(x, rest[f"layers.{i}.{name}"][h]) for name in ("query", "key", "value"))
        s = machine.add(np.moveaxis(fl(q[:, :, None] * k[:, None]), -1, 0))
        if layer.scale != 1.0:
            s = fl(s * fl(np.array(layer.scale)))
        rows = []
        for at in range(x.shape[1]):
            seen = at + 1 if layer.mask == "causal" else x.shape[1]
            own = s[:, at, :seen]
            e = machine.exp(fl(own - own.max(axis=1, keepdims=True)))
            w = fl(e / machine.add(e.T)[:, None])
            rows.append(machine.add(np.moveaxis(fl(w[..., None] * v[:, :seen]), 1, 0)))
        outputs.append(np.stack(rows, axis=1))
    more = [x] if layer.residual else []
    w_o = rest[f"layers.{i}.output"]
    if join == "stacked":
        terms = _products(machine, np.concatenate(outputs, axis=2), w_o.reshape(-1, x.shape[2]))
        return _plus_all(machine, terms, more, "stacked" if machine.rng.random() < 0.5 else "heads")
    each = np.stack([machine.matmul(o, w) for o, w in zip(outputs, w_o, strict=True)])
    return _plus_all(machine, each, more, "heads")


def _feed(
    machine: Machine, rest: dict[str, np.ndarray], i: int, layer: FeedForward, x: np.ndarray, join: Join
) -> np.ndarray:
    inner, bias, out, out_bias = (rest[f"layers.{i}.{name}"] for name in ("in", "in_bias", "out", "out_bias"))
    units = np.maximum(_plus_all(machine, _products(machine, x, inner), [bias], join), 0.0)
    return _plus_all(machine, _products(machine, units, out), [out_bias, *([x] if layer.residual else [])], join)
