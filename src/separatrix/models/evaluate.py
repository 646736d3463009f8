"""Plain evaluation of a model in NumPy float64 (scores exact where the keys are integers), the reference for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from separatrix.core.arch import Attention, HigherOrder, LayerNorm, Strassen
from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.core.recurrent import Recurrent
from separatrix.models.embed import embed, rationals
from separatrix.models.higher_order import attend
from separatrix.models.kernelised import attend_relative
from separatrix.models.model import Model
from separatrix.models.numeric import evaluate_numeric
from separatrix.models.positional import evaluate_positional
from separatrix.models.recurrent import Runner
from separatrix.models.strassen import attend_pairs


def evaluate(
    model: Model,
    tokens: np.ndarray,
    reals: np.ndarray | None = None,
    queries: Sequence[int] | None = None,
) -> np.ndarray:
    """Outputs before any argmax.

    Args:
        tokens: (batch, positions) ids, or (batch, positions, q) pointers.
        reals: (batch, positions, dim), where the model reads real parts.
        queries: positions to read out; all by default.

    Returns:
        (batch, queries, outputs) float64.
    """
    if isinstance(model.arch, Recurrent):
        runner = Runner(model)
        return runner.outputs(runner.start(len(tokens)), tokens, queries=queries)
    if isinstance(model.arch, Positional | Numeric):
        if reals is None:
            raise InputError("this model reads real parts, and none were given")
        if isinstance(model.arch, Positional):
            outputs = evaluate_positional(model.arch, model.tensors, reals)
        else:
            outputs = evaluate_numeric(model.arch, model.tensors, reals)
        return outputs if queries is None else outputs[:, list(queries)]
    x = embed(model.arch, model.tensors, np.asarray(tokens), reals)
    length = np.shape(tokens)[1]
    wanted = np.arange(length) if queries is None else np.asarray(queries)
    *inner, last = model.arch.layers
    for i, layer in enumerate(inner):
        x = _layer(model, i, layer, x, np.arange(x.shape[1]))
    x = _layer(model, len(inner), last, x, wanted)
    return np.asarray(x @ _weight(model.tensors, "readout.weight", x.dtype), dtype=np.float64) + model.tensors[
        "readout.bias"
    ].astype(np.float64)


def attention_weights(model: Model, tokens: np.ndarray, reals: np.ndarray | None, query: int) -> np.ndarray:
    """(batch, heads, positions) weights of the first layer at one query."""
    x = embed(model.transformer, model.tensors, np.asarray(tokens), reals)
    layer = model.transformer.layers[0]
    assert isinstance(layer, Attention), "the first layer is no attention layer"
    scores = _scores(model, 0, layer, _read(model, 0, layer, x), np.array([query]))[:, :, 0]
    return _softmax(scores)


def layer_weights(model: Model, i: int, x: np.ndarray) -> np.ndarray:
    """(batch, heads, queries, keys) weights of attention layer i on the stream x (batch, tokens, width)."""
    layer = model.transformer.layers[i]
    assert isinstance(layer, Attention), f"layer {i} is no attention layer"
    return _softmax(_scores(model, i, layer, _read(model, i, layer, x), np.arange(x.shape[1])))


def layer_stream(model: Model, i: int, x: np.ndarray) -> np.ndarray:
    """(batch, tokens, width) the stream after layer i, from the stream x before it."""
    return _layer(model, i, model.transformer.layers[i], x, np.arange(x.shape[1]))


def _layer(model: Model, i: int, layer: object, x: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The stream after the layer at `queries`."""
    tensors, kept = model.tensors, x[:, queries]
    if isinstance(layer, LayerNorm):
        return normalised(kept, tensors[f"layers.{i}.scale"], tensors.get(f"layers.{i}.bias"), layer.eps)
    read = _read(model, i, layer, x)
    if isinstance(layer, Attention):
        weights = _softmax(_scores(model, i, layer, read, queries))  # batch head query key
        values = _map("bjd,hdv->bhjv", read, tensors, f"layers.{i}.value")
        heads = np.einsum("bhqj,bhjv->bhqv", weights, values.astype(np.float64))
        out = np.einsum("bhqv,hvd->bqd", heads, tensors[f"layers.{i}.output"].astype(np.float64))
    elif isinstance(layer, HigherOrder):
        out = attend(layer, tensors, i, x.astype(np.float64), queries)
    elif isinstance(layer, Strassen):
        out = attend_pairs(layer, tensors, i, x.astype(np.float64), queries)
    elif isinstance(layer, Kernelised):
        out = attend_relative(layer, tensors, i, x.astype(np.float64), queries)
    else:
        hidden = read[:, queries] @ tensors[f"layers.{i}.in"].astype(np.float64) + tensors[f"layers.{i}.in_bias"]
        out = np.maximum(hidden, 0.0) @ tensors[f"layers.{i}.out"].astype(np.float64) + tensors[f"layers.{i}.out_bias"]
    return out + kept if layer.residual else out  # pyright: ignore[reportAttributeAccessIssue]


def _read(model: Model, i: int, layer: object, x: np.ndarray) -> np.ndarray:
    """What the layer reads of the stream: itself, or its layer norm."""
    if layer.norm == "none":  # pyright: ignore[reportAttributeAccessIssue]
        return x
    scale, bias, eps = (model.tensors[f"layers.{i}.norm_{name}"] for name in ("scale", "bias", "eps"))
    return normalised(x, scale, bias, float(eps))


def normalised(x: np.ndarray, scale: np.ndarray, bias: np.ndarray | None, eps: float) -> np.ndarray:
    """The layer norm of each row, in float64."""
    x = x.astype(np.float64)
    centred = x - x.mean(axis=-1, keepdims=True)
    out = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps) * scale.astype(np.float64)
    return out if bias is None else out + bias.astype(np.float64)


def _scores(model: Model, i: int, layer: Attention, x: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(batch, head, query, key); for integer keys differences to the row maximum are exact rationals."""
    exact = x.dtype.kind == "O"
    q = np.einsum(
        "bqd,hdm->bhqm", x[:, queries], _weight(model.tensors, f"layers.{i}.query", x.dtype), optimize=not exact
    )
    k = np.einsum("bjd,hdm->bhjm", x, _weight(model.tensors, f"layers.{i}.key", x.dtype), optimize=not exact)
    scores = np.einsum("bhqm,bhjm->bhqj", q, k, optimize=not exact)
    if exact:
        scores = (scores - scores.max(axis=3, keepdims=True)).astype(np.float64)
        scores = scores * float(model.tensors["embed.temperature"])
    scores = scores * layer.scale
    if layer.mask == "causal":
        scores = np.where(np.arange(x.shape[1]) > queries[:, None], -np.inf, scores)
    return scores


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def _map(spec: str, x: np.ndarray, tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return np.einsum(spec, x, _weight(tensors, name, x.dtype), optimize=x.dtype.kind != "O")


def _weight(tensors: Mapping[str, np.ndarray], name: str, dtype: np.dtype) -> np.ndarray:
    """The tensor as float64; as exact rationals where the stream is."""
    weight = tensors[name].astype(np.float64)
    return rationals(weight) if dtype.kind == "O" else weight
