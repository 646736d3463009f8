"""A recurrent model whose state is rounded, unrolled over a word: one level of gates a position.

Its weights are dyadic and its state numbers are stored in few bits, so the circuit computes the model's own numbers and
nothing is quantised on the way. The depth grows with the length of the word: a recurrence is not in constant depth by
its definition, and for some of these models (over a group that is not solvable) by no other circuit unless TC0 = NC1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import UnknownError
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Recurrent, state_width
from separatrix.depth.builder import Builder
from separatrix.depth.circuit import Circuit
from separatrix.depth.compiler.word import rounding
from separatrix.depth.forms import Forms
from separatrix.depth.rows import exact
from separatrix.depth.words import lookup, steps
from separatrix.models.model import Model
from separatrix.numbers.integers import dyadic

MOST_STEPS = 2**12  # of one unrounded ReLU: a gate for every value that it takes


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers value / 2^exponent, the values forms of one shape."""

    value: Forms
    exponent: int


@dataclass(frozen=True, eq=False)
class Recurrence:
    """What `compile_recurrent` made: logits times 2^exponent are the circuit's outputs (queries, classes)."""

    circuit: Circuit
    exponent: int
    symbol_bits: int

    def bits_of(self, tokens: np.ndarray) -> np.ndarray:
        """(lanes, positions) tokens -> (lanes, inputs) bits, lowest first."""
        return (np.asarray(tokens)[..., None] >> np.arange(self.symbol_bits) & 1).reshape(len(tokens), -1)


def compile_recurrent(model: Model, positions: int, queries: tuple[int, ...]) -> Recurrence:
    """The model's logits at `queries` of words of so many tokens; tokens beyond the last symbol read as the last.

    UnknownError for a state that is not rounded, and for cells other than ReLU Elman and diagonal linear ones.
    """
    arch = model.arch
    if not isinstance(arch, Recurrent):
        raise UnknownError(f"this compiles recurrent models, not {arch.kind}")
    if not isinstance(arch.state, FixedPoint):
        raise UnknownError("the state of this model is not rounded: its numbers have no last bit")
    for layer in arch.layers:
        if type(layer) not in (Elman, DiagonalSsm) or (isinstance(layer, Elman) and layer.activation != "relu"):
            raise UnknownError(f"cells of kind {layer.kind} are not compiled; ReLU Elman and diagonal linear ones are")
    if arch.first.positions and positions > arch.first.positions:
        raise UnknownError("the input is longer than the model's table of positions")
    symbols = arch.first.vocabulary
    width = max(1, (symbols - 1).bit_length())
    b = Builder(positions * width)
    tokens = b.forms(np.arange(positions * width).reshape(positions, width), 2 ** np.arange(width))
    above = steps(b, tokens, np.arange(1, symbols), "token", (-1, -1, np.arange(positions)))
    states = [_start(model, i, arch.state) for i in range(len(arch.layers))]
    found: dict[int, Numbers] = {}
    for j in range(max(queries) + 1):
        x = _embedded(b, model, above[j], j)
        for i, layer in enumerate(arch.layers):
            states[i] = _step(b, model, i, layer, arch.state, states[i], x, j)
            if i + 1 < len(arch.layers) or j in queries:
                x = _output(b, model, i, layer, states[i], x, j)
        if j in queries:
            found[j] = _affine(b, [(x, model.tensors["readout.weight"])], model.tensors["readout.bias"])
    exponent = max(out.exponent for out in found.values())
    raised = [b.add([(1 << (exponent - found[j].exponent), found[j].value)]) for j in queries]
    return Recurrence(b.circuit(Forms.stack(raised)), exponent, width)


def _embedded(b: Builder, model: Model, above: np.ndarray, j: int) -> Numbers:
    """Token (and position) vectors, looked up at the thermometer of the token."""
    table = model.tensors["embed.token"].astype(np.float64)
    if model.tensors.get("embed.position") is not None:
        table = table + model.tensors["embed.position"][j]
    whole, exponent = _whole(table)
    spread = np.broadcast_to(above, (whole.shape[1], len(above)))
    return Numbers(lookup(b, spread, exact(whole.T)), exponent)


def _start(model: Model, i: int, grid: FixedPoint) -> Numbers:
    top = 2 ** (grid.bits - 1)
    start = model.tensors[f"layers.{i}.start"].astype(np.float64) * 2.0**grid.fraction
    return Numbers(Forms.constant(np.clip(np.rint(start), -top, top - 1).astype(np.int64)), grid.fraction)


def _step(b: Builder, model: Model, i: int, layer, grid: FixedPoint, old: Numbers, x: Numbers, j: int) -> Numbers:
    """The state after position j: exact sums, then one level that rounds and clips."""
    part = f"layers.{i}."
    if isinstance(layer, Elman):
        back = model.tensors[part + "recurrent"].astype(np.float64)
    else:
        (re, im), u = model.tensors[part + "diagonal"].astype(np.float64), layer.units
        back = np.zeros((2 * u, 2 * u))
        at = np.arange(u)
        back[at, at], back[at + u, at], back[at, at + u], back[at + u, at + u] = re, -im, im, re
    total = _affine(b, [(x, model.tensors[part + "in"]), (old, back)], model.tensors[part + "bias"])
    if total.exponent < grid.fraction:
        total = Numbers(b.add([(1 << (grid.fraction - total.exponent), total.value)]), grid.fraction)
    top = 2 ** (grid.bits - 1)
    low = 0 if isinstance(layer, Elman) else -top
    codes = np.arange(low + 1, top)
    wires = steps(b, total.value, rounding(codes, total.exponent - grid.fraction), "state",
                  (i, -1, j, -1, np.arange(state_width(layer))))  # fmt: skip
    return Numbers(lookup(b, wires, np.arange(low, top)), grid.fraction)


def _output(b: Builder, model: Model, i: int, layer, state: Numbers, x: Numbers, j: int) -> Numbers:
    """What the layer hands on: its state, or the ReLU of an affine map of state and input, not rounded."""
    if isinstance(layer, Elman):
        return state
    part = f"layers.{i}."
    total = _affine(
        b, [(state, model.tensors[part + "out"]), (x, model.tensors[part + "skip"])], model.tensors[part + "out_bias"]
    )
    high = max(0, int(max(total.value.high.tolist(), default=0)))
    if high > MOST_STEPS:
        raise UnknownError(
            f"a ReLU that is not rounded takes up to {high:,} values; at most {MOST_STEPS:,} are compiled"
        )
    wires = steps(b, total.value, np.arange(1, high + 1), "relu", (i, -1, j, -1, np.arange(layer.hidden)))
    return Numbers(lookup(b, wires, np.arange(high + 1)), total.exponent)


def _affine(b: Builder, parts: list[tuple[Numbers, np.ndarray]], bias: np.ndarray) -> Numbers:
    """sum of x W + bias, exactly."""
    offset, last = _whole(bias)
    weights = [(x, *_whole(w)) for x, w in parts]
    exponent = max(last, *(x.exponent + e for x, _, e in weights))
    terms, scales = [], []
    for x, w, e in weights:
        units = w.shape[1]
        terms.append(x.value[None, :].broadcast((units, len(w))))
        scales.append(exact(w.T * (1 << (exponent - x.exponent - e))))
    total = b.dot(
        np.concatenate(scales, axis=1), Forms.concatenate(terms, axis=1), exact(offset * (1 << (exponent - last)))
    )
    return Numbers(total, exponent)


def _whole(values: np.ndarray) -> tuple[np.ndarray, int]:
    """(Python ints, e) with values = ints / 2^e, e as small as it can be (0 at least)."""
    whole, e = dyadic(values)
    while e and not any(int(v) & 1 for v in whole.reshape(-1)):
        whole, e = whole // 2, e - 1
    return whole, e
