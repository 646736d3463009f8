"""Models in balls of any precision (Arb, through python-flint): one head as tables, whole models on given inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, HigherOrder, LayerNorm, Table
from separatrix.core.errors import UnknownError

Number = Any  # flint.arb; python-flint is imported inside functions
Matrix = Any  # flint.arb_mat
BITS = (64, 128, 256, 512)  # precisions, tried in turn
MOST_TUPLES = 2**18  # scores of one layer of attention over tuples


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Arb works with `bits` bits inside."""
    from flint import ctx

    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def number(value: float) -> Number:
    """The ball that is exactly this number."""
    from flint import arb

    return arb(value)


def exact(array: np.ndarray) -> Matrix:
    """The matrix with exactly these entries, whatever the precision; a vector becomes one row."""
    from flint import arb, arb_mat

    rows = array if array.ndim == 2 else array.reshape(1, -1)
    return arb_mat(len(rows), rows.shape[1], [arb(v) for v in rows.reshape(-1).tolist()])


def entries(matrix: Matrix) -> list[list[Number]]:
    """The rows."""
    return [[matrix[i, j] for j in range(matrix.ncols())] for i in range(matrix.nrows())]


@dataclass(frozen=True, slots=True)
class Head:
    """One head at one precision, its symbols numbered as in `used`.

    key (d, m), logits (d, k) = W_V W_O W_R, skip (d, k) = W_R with a residual path: what they do to a row x (1, d).
    kinds (T,): equal for positions that add equal amounts to the logits; -1 where a position adds exactly nothing.
    """

    token: np.ndarray
    place: np.ndarray
    blank: Matrix | None
    query: Matrix
    key: Matrix
    logits: Matrix
    skip: Matrix | None
    bias: Matrix
    symbol_keys: Matrix
    place_keys: Matrix
    symbol_logits: list[list[Number]]
    place_logits: list[list[Number]]
    kinds: list[int]

    @classmethod
    def of(cls, arch: Arch, t: Mapping[str, np.ndarray], positions: int, used: np.ndarray) -> Head:
        """The tables, made with the present precision."""
        from flint import arb

        layer = arch.layers[0]
        assert isinstance(layer, Attention)
        query, key, value, output = (exact(t[f"layers.0.{name}"][0]) for name in ("query", "key", "value", "output"))
        place = t.get("embed.position", np.zeros((positions, arch.width)))
        readout, symbols, places = exact(t["readout.weight"]), exact(t["embed.token"][used]), exact(place)
        logits = value * (output * readout)
        place_logits = entries(places * logits)
        rows = np.unique(place, axis=0, return_inverse=True)[1].reshape(-1).tolist()
        return cls(
            token=t["embed.token"],
            place=place,
            blank=exact(t["embed.blank"]) if arch.blank else None,
            query=query * arb(layer.scale),
            key=key,
            logits=logits,
            skip=readout if layer.residual else None,
            bias=exact(t["readout.bias"]),
            symbol_keys=symbols * key,
            place_keys=places * key,
            symbol_logits=entries(symbols * logits),
            place_logits=place_logits,
            kinds=[-1 if all(v.is_zero() for v in u) else rows[j] for j, u in enumerate(place_logits)],
        )


class Net:
    """A model of any number of layers on a token table; `logits` works with the present precision."""

    bits = BITS

    def __init__(self, arch: Arch, tensors: Mapping[str, np.ndarray]) -> None:
        if not isinstance(arch.first, Table):
            raise UnknownError("the arb evaluation handles token tables only")
        if not all(isinstance(layer, Attention | FeedForward | HigherOrder | LayerNorm) for layer in arch.layers):
            raise UnknownError("the arb evaluation does not know a layer of this model")
        self.arch = arch
        self.tensors = tensors
        self.maps = {
            name: [exact(part) for part in (tensor.reshape(-1, *tensor.shape[-2:]) if tensor.ndim > 2 else [tensor])]
            for name, tensor in tensors.items()
            if not name.startswith("embed.") and tensor.ndim
        }

    def logits(self, tokens: np.ndarray, query: int) -> list[Number]:
        """(outputs,) of one input (positions,) at one position, before any argmax."""
        t, first = self.tensors, self.arch.first
        assert isinstance(first, Table)
        x = exact(t["embed.token"][tokens])
        if first.positions:
            if len(tokens) > first.positions:
                raise UnknownError("the input is longer than the model's table of positions")
            x = x + exact(t["embed.position"][: len(tokens)])
        if self.arch.blank:
            x = stack([*entries(x), *entries(exact(t["embed.blank"]))])
        for i, layer in enumerate(self.arch.layers):
            rows = list(range(x.nrows())) if i + 1 < len(self.arch.layers) else [query]
            here = stack([[x[r, c] for c in range(x.ncols())] for r in rows])
            if isinstance(layer, LayerNorm):
                x = self._norm(here, f"layers.{i}.", layer.eps)
                continue
            if isinstance(layer, HigherOrder):
                out = self._attend_tuples(i, layer, x, here)
                x = out + here if layer.residual else out
                continue
            seen, asks = x, here
            if layer.norm != "none":
                eps = t[f"layers.{i}.norm_eps"].item()  # an integer stays one
                seen, asks = (self._norm(part, f"layers.{i}.norm_", eps) for part in (x, here))
            out = self._attend(i, layer, seen, asks, rows) if isinstance(layer, Attention) else self._feed(i, asks)
            x = out + here if layer.residual else out
        return entries(x * self.maps["readout.weight"][0] + self.maps["readout.bias"][0])[0]

    def _norm(self, x: Matrix, name: str, eps: float | int) -> Matrix:
        """The layer norm of every row, by the scale and perhaps the bias that `name` begins."""
        from flint import arb

        scale = entries(self.maps[f"{name}scale"][0])[0]
        bias = entries(self.maps[f"{name}bias"][0])[0] if f"{name}bias" in self.maps else [arb(0)] * len(scale)
        rows = []
        for row in entries(x):
            mean = sum(row, arb(0)) / len(row)
            centred = [v - mean for v in row]
            root = (sum((v * v for v in centred), arb(0)) / len(row) + arb(eps)).sqrt()
            rows.append([v / root * s + b for v, s, b in zip(centred, scale, bias, strict=True)])
        return stack(rows)

    def _attend(self, i: int, layer: Attention, x: Matrix, here: Matrix, rows: list[int]) -> Matrix:
        from flint import arb, arb_mat

        total = arb_mat(here.nrows(), here.ncols())
        for h in range(layer.heads):
            query, key, value, output = (self.maps[f"layers.{i}.{n}"][h] for n in ("query", "key", "value", "output"))
            scores = entries((here * query) * (x * key).transpose() * arb(layer.scale))
            weights = []
            for row, place in zip(scores, rows, strict=True):
                e = [s.exp() if layer.mask == "none" or j <= place else arb(0) for j, s in enumerate(row)]
                whole = sum(e, arb(0))
                weights.append([w / whole for w in e])
            total = total + stack(weights) * (x * value) * output
        return total

    def _attend_tuples(self, i: int, layer: HigherOrder, x: Matrix, here: Matrix) -> Matrix:
        from flint import arb, arb_mat

        slots = layer.order - 1
        if x.nrows() ** slots * here.nrows() > MOST_TUPLES:
            raise UnknownError(f"attention over tuples of {x.nrows()} tokens is too large for the arb evaluation")
        total = arb_mat(here.nrows(), here.ncols())
        for h in range(layer.heads):
            query, output = (self.maps[f"layers.{i}.{n}"][h] for n in ("query", "output"))
            keys, values = (
                _products([entries(x * self.maps[f"layers.{i}.{n}"][s * layer.heads + h]) for s in range(slots)])
                for n in ("keys", "values")
            )
            scores = entries((here * query) * stack(keys).transpose() * arb(layer.scale))
            weights = []
            for row in scores:
                e = [s.exp() for s in row]
                whole = sum(e, arb(0))
                weights.append([w / whole for w in e])
            total = total + stack(weights) * stack(values) * output
        return total

    def _feed(self, i: int, here: Matrix) -> Matrix:
        from flint import arb

        maps = {name: self.maps[f"layers.{i}.{name}"][0] for name in ("in", "in_bias", "out", "out_bias")}
        hidden, bias = entries(here * maps["in"]), entries(maps["in_bias"])[0]
        active = stack([[(v + b).max(arb(0)) for v, b in zip(row, bias, strict=True)] for row in hidden])
        bias = entries(maps["out_bias"])[0]
        return stack([[v + b for v, b in zip(row, bias, strict=True)] for row in entries(active * maps["out"])])


def _products(rows: list[list[list[Number]]]) -> list[list[Number]]:
    """Entrywise products of one row from each list, the last one fastest."""
    total = rows[0]
    for more in rows[1:]:
        total = [[a * b for a, b in zip(one, two, strict=True)] for one in total for two in more]
    return total


def stack(rows: list[list[Number]]) -> Matrix:
    """The matrix with these rows."""
    from flint import arb_mat

    return arb_mat(len(rows), len(rows[0]), [v for row in rows for v in row])
