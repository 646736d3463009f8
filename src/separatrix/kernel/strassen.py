"""Scores of Strassen attention in balls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Strassen
from separatrix.kernel.balls import Ball


def pair_scores(layer: Strassen, tensors: Mapping[str, np.ndarray], i: int, h: int, x: Ball, asking: Ball) -> Ball:
    """(queries, rows^2) scores of head h of layer i for streams `asking` over pairs of x (rows, d), the second faster.

    scale * (<q, g_j> + <g_j, h_k> + <h_k, q>).
    """
    query = asking @ Ball.exact(tensors[f"layers.{i}.query"][h])
    first, second = (x @ Ball.exact(map_[h]) for map_ in tensors[f"layers.{i}.keys"])
    one, two = query @ turned(first), query @ turned(second)
    total = one[:, :, None] + (first @ turned(second))[None] + two[:, None]
    flat = Ball(*(part.reshape(len(part), -1) for part in (total.mid, total.rad)))
    return flat if layer.scale == 1.0 else flat * Ball.exact(np.float64(layer.scale))


def turned(x: Ball) -> Ball:
    """The transpose."""
    return Ball(x.mid.T, x.rad.T)
