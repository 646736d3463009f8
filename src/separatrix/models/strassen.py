"""Strassen attention in NumPy, one query at a time: N^2 scores of pairs are held, never N^3."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Strassen

MOST = 2**22  # scores that are held at once


def attend_pairs(
    layer: Strassen, tensors: Mapping[str, np.ndarray], i: int, x: np.ndarray, queries: np.ndarray
) -> np.ndarray:
    """(batch, queries, width) what layer i adds up to, from the stream (batch, tokens, width), without the residual."""
    out = np.zeros((len(x), len(queries), x.shape[2]))
    values, output = (tensors[f"layers.{i}.{name}"].astype(np.float64) for name in ("values", "output"))
    step = max(1, MOST // x.shape[1] ** 2)
    for h in range(layer.heads):
        for start in range(0, len(x), step):
            part = x[start : start + step]
            first, second = (part @ map_[h] for map_ in values)
            for at, query in enumerate(queries):
                score = pair_scores(layer, tensors, i, h, part, part[:, [query]])[:, 0]
                weight = np.exp(score - score.max(axis=(1, 2), keepdims=True))
                total = ((weight @ second) * first).sum(axis=1) / weight.sum(axis=(1, 2))[:, None]
                out[start : start + step, at] += total @ output[h]
    return out


def pair_scores(
    layer: Strassen, tensors: Mapping[str, np.ndarray], i: int, h: int, x: np.ndarray, asking: np.ndarray
) -> np.ndarray:
    """(.., queries, tokens, tokens) scores of head h; asking (.., queries, width), x (.., tokens, width)."""
    query = asking @ tensors[f"layers.{i}.query"][h].astype(np.float64)
    first, second = (x @ map_[h] for map_ in tensors[f"layers.{i}.keys"].astype(np.float64))
    one, across, two = (a @ b.swapaxes(-1, -2) for a, b in ((query, first), (first, second), (query, second)))
    return (one[..., :, None] + across[..., None, :, :] + two[..., None, :]) * layer.scale
