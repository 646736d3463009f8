"""Kernelised attention with relative positions in NumPy float64, all pairs of tokens: the reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised

EPS = 1e-6  # of normalisers


def attend_relative(
    layer: Kernelised, tensors: Mapping[str, np.ndarray], i: int, x: np.ndarray, queries: np.ndarray
) -> np.ndarray:
    """(batch, queries, width) what layer i adds up to, from the stream (batch, tokens, width), without the residual."""
    query, key, value, output = (
        tensors[f"layers.{i}.{name}"].astype(np.float64) for name in ("query", "key", "value", "output")
    )
    q = _features(np.einsum("bqd,hdm->bhqm", x[:, queries], query))
    k = _features(np.einsum("bjd,hdm->bhjm", x, key))
    weights = q @ k.swapaxes(2, 3) * relative(layer, tensors[f"layers.{i}.relative_bias"], queries, x.shape[1])
    mean = weights @ np.einsum("bjd,hdv->bhjv", x, value) / (weights.sum(axis=3, keepdims=True) + EPS)
    return np.einsum("bhqv,hvd->bqd", mean, output)


def relative(layer: Kernelised, bias: np.ndarray, queries: np.ndarray, tokens: int) -> np.ndarray:
    """(heads, queries, tokens) e^(b[i - j]), and 0 for what a causal layer does not see; InputError for long inputs."""
    require_length(layer, tokens)
    gap = queries[:, None] - np.arange(tokens)
    if layer.mask == "causal":
        return np.where(gap >= 0, np.exp(bias.astype(np.float64)[:, np.maximum(gap, 0)]), 0.0)
    return np.exp(bias.astype(np.float64)[:, gap + layer.positions - 1])


def require_length(layer: Kernelised, tokens: int) -> None:
    """Raises InputError where the layer has no relative positions for so many tokens."""
    if tokens > layer.positions:
        raise InputError(f"a kernelised-attention layer of {layer.positions} positions cannot read {tokens} tokens")


def _features(x: np.ndarray) -> np.ndarray:
    """elu + 1, without its cancellation."""
    return np.exp(np.minimum(x, 0.0)) + np.maximum(x, 0.0)
