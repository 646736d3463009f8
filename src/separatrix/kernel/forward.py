"""The whole model in balls, for given inputs: any number of attention and feed-forward layers on a token table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, HigherOrder, LayerNorm, Strassen, Table
from separatrix.core.errors import UnknownError
from separatrix.kernel.balls import Ball, U, exp, gamma, up
from separatrix.kernel.norm import last, read
from separatrix.kernel.strassen import pair_scores

MOST_TUPLES = 2**22  # scores of one layer of attention over tuples


def forward(arch: Arch, tensors: Mapping[str, np.ndarray], tokens: np.ndarray, query: int) -> Ball:
    """(outputs,) of one input (positions,) at one position, before any argmax, in real semantics."""
    if not isinstance(arch.first, Table):
        raise UnknownError("the ball evaluation handles token tables only")
    x = Ball.exact(tensors["embed.token"][tokens])
    if arch.first.positions:
        if len(tokens) > arch.first.positions:
            raise UnknownError("the input is longer than the model's table of positions")
        x = x + Ball.exact(tensors["embed.position"][: len(tokens)])
    if arch.blank:
        x = _join(x, Ball.exact(tensors["embed.blank"][None]))
    for i, layer in enumerate(arch.layers):
        rows = np.arange(len(x.mid)) if i + 1 < len(arch.layers) else np.array([query])
        match layer:
            case Attention():
                out = _attend(layer, tensors, i, read(layer, tensors, i, x), rows)
            case HigherOrder():
                out = _attend_tuples(layer, tensors, i, x, rows)
            case Strassen():
                out = _attend_pairs(layer, tensors, i, x, rows)
            case FeedForward():
                out = _feed(tensors, i, read(layer, tensors, i, x[rows]))
            case LayerNorm():
                out = last(layer, tensors, i, x[rows])
            case _:
                raise UnknownError("the ball evaluation does not know a layer of this model")
        x = out + x[rows] if layer.residual else out
    return (x @ Ball.exact(tensors["readout.weight"]))[0] + Ball.exact(tensors["readout.bias"])


def _attend(layer: Attention, tensors: Mapping[str, np.ndarray], i: int, x: Ball, rows: np.ndarray) -> Ball:
    total: Ball | None = None
    for h in range(layer.heads):
        query, key, value, output = (
            Ball.exact(tensors[f"layers.{i}.{name}"][h]) for name in ("query", "key", "value", "output")
        )
        keys = x @ key
        score = (x[rows] @ query) @ Ball(keys.mid.T, keys.rad.T) * Ball.exact(np.float64(layer.scale))
        seen = np.ones(score.mid.shape, dtype=bool)
        if layer.mask == "causal":
            seen = np.arange(score.mid.shape[1])[None] <= rows[:, None]
        top = np.where(seen, score.mid, -np.inf).max(axis=1, keepdims=True)
        weight = exp(score - Ball.exact(top))
        weight = Ball(np.where(seen, weight.mid, 0.0), np.where(seen, weight.rad, 0.0))
        head = _divide(weight @ (x @ value), weight @ Ball.exact(np.ones((len(x.mid), 1)))) @ output
        total = head if total is None else total + head
    assert total is not None
    return total


def _attend_tuples(layer: HigherOrder, tensors: Mapping[str, np.ndarray], i: int, x: Ball, rows: np.ndarray) -> Ball:
    if len(x.mid) ** (layer.order - 1) * len(rows) > MOST_TUPLES:
        raise UnknownError(f"attention over tuples of {len(x.mid)} tokens is too large for the ball evaluation")
    total: Ball | None = None
    for h in range(layer.heads):
        query, output = (Ball.exact(tensors[f"layers.{i}.{name}"][h]) for name in ("query", "output"))
        keys, values = (
            [x @ Ball.exact(map_[h]) for map_ in tensors[f"layers.{i}.{name}"]] for name in ("keys", "values")
        )
        key = products(keys)
        score = (x[rows] @ query) @ Ball(key.mid.T, key.rad.T) * Ball.exact(np.float64(layer.scale))
        weight = exp(score - Ball.exact(score.mid.max(axis=1, keepdims=True)))
        head = _divide(weight @ products(values), weight @ Ball.exact(np.ones((len(key.mid), 1)))) @ output
        total = head if total is None else total + head
    assert total is not None
    return total


def _attend_pairs(layer: Strassen, tensors: Mapping[str, np.ndarray], i: int, x: Ball, rows: np.ndarray) -> Ball:
    if len(x.mid) ** 2 * len(rows) > MOST_TUPLES:
        raise UnknownError(f"attention over pairs of {len(x.mid)} tokens is too large for the ball evaluation")
    total: Ball | None = None
    for h in range(layer.heads):
        score = pair_scores(layer, tensors, i, h, x, x[rows])
        weight = exp(score - Ball.exact(score.mid.max(axis=1, keepdims=True)))
        values = products([x @ Ball.exact(map_[h]) for map_ in tensors[f"layers.{i}.values"]])
        head = _divide(weight @ values, weight @ Ball.exact(np.ones((score.mid.shape[1], 1))))
        head = head @ Ball.exact(tensors[f"layers.{i}.output"][h])
        total = head if total is None else total + head
    assert total is not None
    return total


def products(rows: list[Ball]) -> Ball:
    """(tuples, columns) entrywise products of one row from each of the (rows, columns), the last one fastest."""
    total = rows[0]
    for more in rows[1:]:
        product = total[:, None] * more[None]
        total = Ball(*(part.reshape(-1, part.shape[-1]) for part in (product.mid, product.rad)))
    return total


def _feed(tensors: Mapping[str, np.ndarray], i: int, x: Ball) -> Ball:
    inner = x @ Ball.exact(tensors[f"layers.{i}.in"]) + Ball.exact(tensors[f"layers.{i}.in_bias"])
    low, high = np.maximum(inner.low, 0.0), np.maximum(inner.high, 0.0)
    mid = (low + high) / 2
    hidden = Ball(mid, np.nextafter(np.maximum(high - mid, mid - low), np.inf))
    return hidden @ Ball.exact(tensors[f"layers.{i}.out"]) + Ball.exact(tensors[f"layers.{i}.out_bias"])


def _divide(a: Ball, b: Ball) -> Ball:
    """a / b for b > 0; infinite radius where b may be zero.

    |x/y - a/b| <= (|a| rb + |b| ra) / (b (b - rb)) for |x - a| <= ra, |y - b| <= rb.
    """
    floor = b.mid - b.rad
    safe = floor > 2.0**-500
    divisor = np.where(safe, b.mid, 1.0)
    mid = a.mid / divisor
    rad = (np.abs(a.mid) * b.rad + divisor * a.rad) / (divisor * np.where(safe, floor, 1.0))
    return Ball(mid, np.where(safe, up(rad * (1.0 + gamma(8)) + np.abs(mid) * U, 8), np.inf))


def _join(a: Ball, b: Ball) -> Ball:
    return Ball(np.concatenate([a.mid, b.mid]), np.concatenate([a.rad, b.rad]))
