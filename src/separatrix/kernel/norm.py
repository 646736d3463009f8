"""Layer norm in balls: (x - mean) / sqrt(variance + eps) * scale + bias of every row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Attention, FeedForward, LayerNorm
from separatrix.kernel.balls import TINY, Ball, U, up


def read(layer: Attention | FeedForward, tensors: Mapping[str, np.ndarray], i: int, x: Ball) -> Ball:
    """What layer i reads of the rows (n, d) of the stream: themselves, or their layer norm."""
    if layer.norm == "none":
        return x
    scale, bias, eps = (Ball.exact(tensors[f"layers.{i}.norm_{name}"]) for name in ("scale", "bias", "eps"))
    return normalised(x, scale, bias, eps)


def last(layer: LayerNorm, tensors: Mapping[str, np.ndarray], i: int, x: Ball) -> Ball:
    """The layer norm that layer i is, of rows (n, d)."""
    bias = Ball.exact(tensors[f"layers.{i}.bias"]) if layer.bias else None
    return normalised(x, Ball.exact(tensors[f"layers.{i}.scale"]), bias, Ball.exact(np.float64(layer.eps)))


def normalised(x: Ball, scale: Ball, bias: Ball | None, eps: Ball) -> Ball:
    """(n, d) -> (n, d). With c = d x - sum x, the norm is c / sqrt(|c|^2 / d + d^2 eps): c needs no division."""
    c = x @ centring(x.mid.shape[-1])
    out = c * inverse_root(spread(c, eps)) * scale
    return out if bias is None else out + bias


def centring(d: int) -> Ball:
    """(d, d) the map x -> d x - sum x, of integers."""
    return Ball.exact(d * np.eye(d) - np.ones((d, d)))


def spread(c: Ball, eps: Ball) -> Ball:
    """(n, 1) |c|^2 / d + d^2 eps, which is d^2 (variance + eps), for centred rows c = d x - sum x."""
    d = float(c.mid.shape[-1])
    total = (c * c) @ Ball.exact(np.ones((c.mid.shape[-1], 1)))
    return divided(total, d) + eps * Ball.exact(np.float64(d * d))


def divided(a: Ball, by: float) -> Ball:
    """a / by, for a float by >= 1."""
    mid = a.mid / by
    return Ball(mid, up(a.rad / by + np.abs(mid) * U))


def inverse_root(v: Ball) -> Ball:
    """1 / sqrt(v) for v > 0; of infinite radius where v may be 0. Float64 roots and quotients err by half an ulp."""
    safe = (v.low > 2.0**-900) & np.isfinite(v.high)
    most = 1.0 / np.sqrt(np.where(safe, v.low, 1.0)) * (1.0 + 8 * U)
    least = 1.0 / np.sqrt(np.where(safe, v.high, 1.0)) * (1.0 - 8 * U)
    mid = (most + least) / 2
    return Ball(mid, np.where(safe, up((most - least) / 2 + 2 * U * mid) + TINY, np.inf))


def root(v: np.ndarray, *, above: bool) -> np.ndarray:
    """A float above, or below, the root of floats v >= 0."""
    return np.nextafter(np.sqrt(v), np.inf) if above else np.maximum(np.nextafter(np.sqrt(v), -np.inf), 0.0)
