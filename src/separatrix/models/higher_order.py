"""Attention over tuples of tokens in NumPy, one query at a time: N^2 scores of a pair layer are held, never N^3."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import HigherOrder, Strassen
from separatrix.models.strassen import pair_scores

MOST = 2**22  # scores that are held at once


def attend(
    layer: HigherOrder, tensors: Mapping[str, np.ndarray], i: int, x: np.ndarray, queries: np.ndarray
) -> np.ndarray:
    """(batch, queries, width) what layer i adds up to, from the stream (batch, tokens, width), without the residual."""
    out = np.zeros((len(x), len(queries), x.shape[2]))
    query, keys, values, output = (
        tensors[f"layers.{i}.{name}"].astype(np.float64) for name in ("query", "keys", "values", "output")
    )
    tuples = x.shape[1] ** (layer.order - 1)
    step = max(1, MOST // tuples)
    for h in range(layer.heads):
        for start in range(0, len(x), step):
            part = x[start : start + step]
            asked = part[:, queries] @ query[h] * layer.scale
            *first_keys, last_key = (part @ map_[h] for map_ in keys)
            *first_values, last_value = (part @ map_[h] for map_ in values)
            key, value = _products(first_keys), _products(first_values)
            for at in range(len(queries)):
                score = (key * asked[:, at, None]) @ last_key.transpose(0, 2, 1)  # (batch, tuples but the last, tokens)
                weight = np.exp(score - score.max(axis=(1, 2), keepdims=True))
                total = ((weight @ last_value) * value).sum(axis=1) / weight.sum(axis=(1, 2))[:, None]
                out[start : start + step, at] += total @ output[h]
    return out


def tuple_weights(
    layer: HigherOrder | Strassen, tensors: Mapping[str, np.ndarray], i: int, x: np.ndarray
) -> np.ndarray:
    """(heads, queries, tokens, .., tokens) weights of layer i over (order - 1)-tuples, for one stream (tokens, width).

    Holds all of them: for people's eyes, at small N.
    """
    if isinstance(layer, Strassen):
        scores = np.stack([pair_scores(layer, tensors, i, h, x, x) for h in range(layer.heads)])
        weights = np.exp(scores - scores.max(axis=(2, 3), keepdims=True))
        return weights / weights.sum(axis=(2, 3), keepdims=True)
    query, keys = (tensors[f"layers.{i}.{name}"].astype(np.float64) for name in ("query", "keys"))
    out = []
    for h in range(layer.heads):
        score = (x @ query[h] * layer.scale)[:, None]
        for map_ in keys:
            score = (score[:, :, None] * (x @ map_[h])[None, None]).reshape(len(x), -1, score.shape[-1])
        score = score.sum(axis=2)
        weight = np.exp(score - score.max(axis=1, keepdims=True))
        out.append((weight / weight.sum(axis=1, keepdims=True)).reshape(len(x), *(len(x),) * (layer.order - 1)))
    return np.stack(out)


def _products(rows: list[np.ndarray]) -> np.ndarray:
    """(batch, tuples, columns) entrywise products of one row from each of the (batch, tokens, columns)."""
    total = rows[0]
    for more in rows[1:]:
        total = (total[:, :, None] * more[:, None]).reshape(len(total), -1, total.shape[2])
    return total
