"""One softmax layer between two parties, in fixed point: the audited count of Bhattamishra et al. 2024, Theorem 4.

Whoever holds the query sends its vector (d p bits). For every head both send their greatest score (2 p), then their
part of the normaliser (2 (p + ceil(log2 T))); with the whole normaliser known, each weight is a p-bit number, and one
part of the weighted sum of values goes back (2 p a coordinate). Integers throughout, so the split changes nothing:
d p + H (2 d_v p + 4 p + 2 ceil(log2 T)) bits, and the output is that of the undivided layer in the same arithmetic.

Weights are rounded down, so that they sum to at most 1 and a weighted sum of p-bit values fits into 2 p bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from separatrix.cannot.protocols.transcript import Message, Party, Transcript
from separatrix.core.arch import Arch, Attention, Table
from separatrix.core.errors import InputError
from separatrix.core.size import Precision
from separatrix.models.embed import embed
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model


@dataclass(frozen=True, slots=True)
class Grid:
    """Signed p-bit integers k for the numbers k * step; `step` is common knowledge, from the weights."""

    bits: int
    step: float

    @classmethod
    def of(cls, bits: int, largest: float) -> Grid:
        """The grid that holds everything up to `largest`, its step a power of two."""
        exponent = math.frexp(max(largest, 2.0**-500))[1]  # largest < 2^exponent
        return cls(bits, 2.0 ** (exponent + 1 - bits))

    def integers(self, values: np.ndarray) -> np.ndarray:
        """To the nearest, clipped."""
        return self._clipped(np.rint(values / self.step))

    def above(self, value: float) -> int:
        """The least that is not below, clipped; for -inf, the least of all."""
        return int(self._clipped(np.ceil(np.float64(value) / self.step)))

    def _clipped(self, values: np.ndarray) -> np.ndarray:
        top = 2 ** (self.bits - 1)
        return np.clip(values, -top + 1, top - 1).astype(np.int64)


def run_attention(
    model: Model, tokens: np.ndarray, query: int, split: tuple[int, ...], precision: Precision
) -> Transcript:
    """Runs the protocol on one input; InputError for models that are not one attention layer on a token table."""
    arch = model.arch
    if not isinstance(arch, Arch) or not isinstance(arch.first, Table):
        raise InputError("this protocol is for attention on a table of tokens")
    if len(arch.layers) != 1 or not isinstance(arch.layers[0], Attention):
        raise InputError(f"this protocol is for one attention layer; the model has {len(arch.layers)} layers")
    if precision.kind != "fixed" or not 4 <= precision.bits <= 30:
        raise InputError(f"precision {precision}: the parties compute in fixed:P, P from 4 to 30 bits")
    layer = arch.layers[0]
    x = embed(arch, model.tensors, np.asarray(tokens)[None])[0]
    if layer.mask == "causal":
        x = x[: query + 1]
    total = len(tokens) + arch.blank
    alice = np.isin(np.arange(len(x)), split)
    alice[len(tokens) :] = alice[query]  # the model's own token is known to both
    asks: Party = "Alice" if alice[query] else "Bob"
    parts: dict[Party, np.ndarray] = {"Alice": np.flatnonzero(alice), "Bob": np.flatnonzero(~alice)}
    messages: list[Message] = []
    output = _answer(model, layer, x, query, precision.bits, parts, asks, messages, total)
    whole = _answer(model, layer, x, query, precision.bits, {asks: np.arange(len(x))}, asks, [], total)
    real = evaluate(model, np.asarray(tokens)[None], queries=[query])[0, 0]
    bits = model.size(len(tokens), precision).bits("cut")
    assert bits is not None
    formula = "d p + H (2 d_v p + 4 p + 2 ceil(log2 T))"
    stated = _stated(model, layer, x, query, precision.bits)
    return Transcript(split, query, str(precision), tuple(messages), formula, bits, output, whole, real, stated)


def _answer(
    model: Model,
    layer: Attention,
    x: np.ndarray,
    query: int,
    p: int,
    parts: dict[Party, np.ndarray],
    asks: Party,
    messages: list[Message],
    total: int,
) -> np.ndarray:
    """(outputs,) with the positions divided among the parties; what is said goes into `messages`."""
    t = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}
    other: Party = "Bob" if asks == "Alice" else "Alice"
    log = math.ceil(math.log2(total))
    vector = _vector_grid(model, p)
    sent = vector.integers(x[query])
    messages.append(Message(asks, "vector of the query token", len(sent), p, tuple(sent.tolist())))
    asked, out = sent * vector.step, x[query] if layer.residual else np.zeros(x.shape[1])
    for h in range(layer.heads):
        scores, values = _scores(t, layer, h, asked, x), np.stack([row @ t["layers.0.value"][h] for row in x])
        heights, value = _score_grid(model, layer, h, p), _value_grid(model, h, p)
        tops = {who: heights.above(scores[at].max(initial=-np.inf)) for who, at in parts.items()}
        for who in parts:
            messages.append(Message(who, f"head {h}: greatest score, rounded up", 1, p, (tops[who],)))
        top = max(tops.values()) * heights.step
        e = np.minimum(np.rint(np.exp(np.minimum(scores - top, 0.0)) * 2.0**p), 2.0**p - 1).astype(np.int64)
        sums = {who: int(e[at].sum()) for who, at in parts.items()}
        for who in parts:
            messages.append(Message(who, f"head {h}: part of the normaliser", 1, p + log, (sums[who],)))
        weights = (e << p) // max(1, sum(sums.values()))  # at most 2^p, and all of them together as well
        k = value.integers(values)
        pieces = {who: (weights[at, None] * k[at]).sum(axis=0) for who, at in parts.items()}
        if other in parts:
            piece = pieces[other]
            messages.append(Message(other, f"head {h}: part of the mean", len(piece), 2 * p, tuple(piece.tolist())))
        mean = sum(pieces.values(), np.zeros(k.shape[1], dtype=np.int64)) * (value.step * 2.0**-p)
        out = out + mean @ t["layers.0.output"][h]
    return out @ t["readout.weight"] + t["readout.bias"]


def _scores(t: dict[str, np.ndarray], layer: Attention, h: int, asked: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(positions,) one position at a time, so that nobody's scores depend on who else computes theirs."""
    g = t["layers.0.key"][h] @ (asked @ t["layers.0.query"][h]) * layer.scale
    return np.array([float(row @ g) for row in x])


def _vector_grid(model: Model, p: int) -> Grid:
    return Grid.of(p, _largest(model))


def _largest(model: Model) -> float:
    """The largest entry that a token's vector can have, whatever the input."""
    t, blank = model.tensors, model.tensors.get("embed.blank", np.zeros(1))
    place = np.abs(t["embed.position"]).max() if "embed.position" in t else 0.0
    return float(max(np.abs(t["embed.token"]).max() + place, np.abs(blank).max()))


def _score_grid(model: Model, layer: Attention, h: int, p: int) -> Grid:
    """Scores are at most the longest query times the longest key; the query is rounded, hence the per cent."""
    longest = [_longest(model, model.tensors[f"layers.0.{name}"][h]) for name in ("query", "key")]
    return Grid.of(p, 1.01 * abs(layer.scale) * longest[0] * longest[1])


def _longest(model: Model, matrix: np.ndarray) -> float:
    """The largest norm of x W that a token can have, at any position."""
    t = model.tensors
    lengths = [
        float(np.linalg.norm(t[name].reshape(-1, len(matrix)) @ matrix, axis=1).max()) if name in t else 0.0
        for name in ("embed.token", "embed.position", "embed.blank")
    ]
    return max(lengths[0] + lengths[1], lengths[2])


def _value_grid(model: Model, h: int, p: int) -> Grid:
    return Grid.of(p, float(np.abs(model.tensors["layers.0.value"][h]).sum(axis=0).max()) * _largest(model))


def _stated(model: Model, layer: Attention, x: np.ndarray, query: int, p: int) -> float:
    """How far rounding can move an output on this input.

    Scores move by what the rounded query moves them, and the weights then by as much in sum; exponentials by a unit at
    most, of a normaliser that is at least that of the greatest one; weights by a unit each; values by half a step.
    """
    t = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}
    grid = _vector_grid(model, p)
    asked, moved, unit = grid.integers(x[query]) * grid.step, np.zeros(model.arch.readout.outputs), 2.0**-p
    for h in range(layer.heads):
        shift = float(np.abs(_scores(t, layer, h, x[query], x) - _scores(t, layer, h, asked, x)).max())
        floor = math.exp(-_score_grid(model, layer, h, p).step) - unit
        weights = shift + 2 * len(x) * unit / floor if floor > 0 else 2.0
        largest = np.abs(x @ t["layers.0.value"][h]).max(axis=0)
        head = (min(2.0, weights) + len(x) * unit) * largest + _value_grid(model, h, p).step / 2
        moved = moved + head @ np.abs(t["layers.0.output"][h] @ t["readout.weight"])
    return float(moved.max()) * (1 + 1e-9) + 1e-12
