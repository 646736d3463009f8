"""A transformer with the columns of its stream, its hidden units and its values rescaled by powers of two.

In exact reals it computes what it did, number for number: attention, ReLU and sums commute with positive factors. In
few bits it keeps more: every column then uses its whole range, where a key of size N^2 would have left a flag of size 1
no bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.arch import Attention, FeedForward
from separatrix.core.errors import UnknownError
from separatrix.models.embed import embed
from separatrix.models.evaluate import layer_stream
from separatrix.models.model import Model
from separatrix.numbers.integers import is_known


@dataclass(frozen=True, slots=True)
class Ranges:
    """Greatest sizes met on some inputs: of every stream column, and of each layer's values or hidden units."""

    stream: np.ndarray
    inner: tuple[np.ndarray, ...]


def ranges(model: Model, tokens: np.ndarray) -> Ranges:
    """Over (batch, positions) tokens; UnknownError for layers other than softmax attention and ReLU without norms."""
    if not all(map(is_known, model.transformer.layers)):
        raise UnknownError("only softmax attention and ReLU layers without norms are rescaled")
    x = embed(model.transformer, model.tensors, tokens).astype(np.float64)
    stream, inner = np.maximum(_size(x), _first(model, tokens.shape[1])), []
    for i, layer in enumerate(model.transformer.layers):
        part = f"layers.{i}."
        if isinstance(layer, FeedForward):
            inner.append(_size(np.maximum(x @ model.tensors[part + "in"] + model.tensors[part + "in_bias"], 0.0)))
        else:  # means of values are no greater
            values = np.einsum("bjd,hdv->bjhv", x, model.tensors[part + "value"].astype(np.float64))
            inner.append(_size(values.reshape(*x.shape[:2], -1)))
        x = layer_stream(model, i, x)
        stream = np.maximum(stream, _size(x))
    return Ranges(stream, tuple(inner))


def balanced(model: Model, tokens: np.ndarray) -> Model:
    """The model whose stream columns, hidden units and values lie within -1 .. 1 on the given inputs.

    Score coefficients are at most 1 as well: the temperature goes, which only hard attention does not miss.
    """
    found = ranges(model, tokens)
    s, tensors = _factor(found.stream), {k: np.asarray(v, dtype=np.float64) for k, v in model.tensors.items()}
    for name in ("embed.token", "embed.position", "embed.blank"):
        if name in tensors:
            tensors[name] = tensors[name] * s
    layers = []
    for i, (layer, size) in enumerate(zip(model.transformer.layers, found.inner, strict=True)):
        part, inner = f"layers.{i}.", _factor(size)
        if isinstance(layer, Attention):
            inner = inner.reshape(layer.heads, -1)
            for name in ("query", "key", "value"):
                tensors[part + name] = tensors[part + name] / s[:, None]
            tensors[part + "value"] = tensors[part + "value"] * inner[:, None, :]
            tensors[part + "output"] = tensors[part + "output"] / inner[:, :, None] * s
            most = np.abs(np.einsum("hdm,hem->hde", tensors[part + "query"], tensors[part + "key"])).max(initial=0.0)
            layers.append(replace(layer, scale=float(_factor(np.array([most]))[0])))
        else:
            tensors[part + "in"] = tensors[part + "in"] / s[:, None] * inner
            tensors[part + "in_bias"] = tensors[part + "in_bias"] * inner
            tensors[part + "out"] = tensors[part + "out"] / inner[:, None] * s
            tensors[part + "out_bias"] = tensors[part + "out_bias"] * s
            layers.append(layer)
    tensors["readout.weight"] = tensors["readout.weight"] / s[:, None]
    return Model(replace(model.transformer, layers=tuple(layers)), tensors)


def _first(model: Model, positions: int) -> np.ndarray:
    """Greatest sizes of token and position vectors together, over all pairs."""
    t = {name: np.asarray(model.tensors[name], dtype=np.float64) for name in model.tensors if name.startswith("embed.")}
    place = t["embed.position"][:positions] if "embed.position" in t else np.zeros((1, t["embed.token"].shape[1]))
    most = t["embed.token"].max(axis=0) + place.max(axis=0)
    least = t["embed.token"].min(axis=0) + place.min(axis=0)
    return np.maximum(np.abs(most), np.abs(least))


def _size(x: np.ndarray) -> np.ndarray:
    return np.abs(x.reshape(-1, x.shape[-1])).max(axis=0, initial=0.0)


def _factor(size: np.ndarray) -> np.ndarray:
    """Powers of two that bring sizes into 1/2 .. 1; 1 for a size of 0."""
    return np.where(size > 0, 2.0 ** -np.ceil(np.log2(np.where(size > 0, size, 1.0))), 1.0)
