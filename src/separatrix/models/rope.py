"""The RoPE transformer of Chen et al. (2024, 2411.07602): A_ij = exp(x_i W_Q R_(j-i) W_K^T x_j^T), out D^-1 A X W_V.

R_t rotates the l-th pair of coordinates by the angle t theta_l. No 1/sqrt(d); a mask and the row-wise maps between
attention layers (affine, affine-ReLU-affine, layer normalisation) are options. This is the model in real numbers;
`models.quantised` is the one whose every bit is defined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from separatrix.core.errors import InputError


@dataclass(frozen=True, eq=False)
class RopeAttention:
    """Heads of one layer: query, key (heads, d, d) and value (heads, d, d); head outputs are added.

    `weights`: `softmax`; `average-hard` (uniform over the greatest scores); `unique-hard` (the leftmost of them).
    """

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    weights: Literal["softmax", "average-hard", "unique-hard"] = "softmax"
    residual: bool = False


@dataclass(frozen=True, eq=False)
class Affine:
    """x W + bias on every row; with `hidden` a ReLU layer in between: relu(x W + bias) W_out + out_bias."""

    weight: np.ndarray
    bias: np.ndarray
    out: np.ndarray | None = None
    out_bias: np.ndarray | None = None
    residual: bool = False


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """(x - mean) / sqrt(variance + eps) * gain + bias on every row."""

    gain: np.ndarray
    bias: np.ndarray
    eps: float = 1e-5


Block = RopeAttention | Affine | LayerNorm


@dataclass(frozen=True, eq=False)
class RopeTransformer:
    """Blocks in order over rows of width d.

    Attributes:
        theta: (d / 2,) angles per step; `schedule` gives the usual ones.
        mask: `none` (the paper) or `causal`.
    """

    theta: np.ndarray
    blocks: tuple[Block, ...]
    mask: Literal["none", "causal"] = "none"

    def __post_init__(self) -> None:
        for block in self.blocks:
            if isinstance(block, RopeAttention) and {a.shape[1:] for a in (block.query, block.key)} != {(self.d,) * 2}:
                raise InputError(f"query and key maps must be (heads, {self.d}, {self.d}) for {len(self.theta)} angles")

    @property
    def d(self) -> int:
        """Width of the rows."""
        return 2 * len(self.theta)


def schedule(d: int, base: float = 10000.0) -> np.ndarray:
    """theta_l = base^(-2 (l - 1) / d), l = 1 .. d/2; InputError for odd d."""
    if d < 2 or d % 2:
        raise InputError(f"d = {d}: rotations need an even width")
    return base ** (-2 * np.arange(d // 2) / d)


def rotation(theta: np.ndarray, steps: np.ndarray | int) -> np.ndarray:
    """(..., d, d) matrices R_t = blockdiag [[cos, -sin], [sin, cos]](t theta_l)."""
    angle = np.asarray(steps)[..., None] * theta
    d = 2 * len(theta)
    out = np.zeros((*angle.shape[:-1], d, d))
    at = np.arange(len(theta))
    out[..., 2 * at, 2 * at] = out[..., 2 * at + 1, 2 * at + 1] = np.cos(angle)
    out[..., 2 * at, 2 * at + 1], out[..., 2 * at + 1, 2 * at] = -np.sin(angle), np.sin(angle)
    return out


def folded_scores(theta: np.ndarray, block: RopeAttention, n: int) -> np.ndarray:
    """(heads, n, n, d, d): M with score_ij = x_i M_ij x_j^T, that is W_Q R_(j-i) W_K^T."""
    turns = rotation(theta, np.arange(n)[None, :] - np.arange(n)[:, None])
    return np.einsum("hab,ijbc,hdc->hijad", block.query, turns, block.key)


def visible(mask: str, n: int) -> np.ndarray:
    """(n, n) whether row i attends to j."""
    return np.tril(np.ones((n, n), dtype=bool)) if mask == "causal" else np.ones((n, n), dtype=bool)


def evaluate_rope(model: RopeTransformer, x: np.ndarray) -> np.ndarray:
    """(batch, n, d) -> (batch, n, d) in float64."""
    n = x.shape[1]
    seen = visible(model.mask, n)
    for block in model.blocks:
        if isinstance(block, RopeAttention):
            scores = np.einsum("bia,hijac,bjc->bhij", x, folded_scores(model.theta, block, n), x)
            scores = np.where(seen, scores, -np.inf)
            out = np.einsum("bhij,bjd,hde->bie", _weigh(block.weights, scores), x, block.value)
            x = out + x if block.residual else out
        else:
            x = _row_wise(block, x)
    return x


def _weigh(kind: str, scores: np.ndarray) -> np.ndarray:
    top = scores == scores.max(axis=3, keepdims=True)
    if kind == "unique-hard":
        return (top & (np.cumsum(top, axis=3) == 1)).astype(np.float64)
    weights = top.astype(np.float64) if kind == "average-hard" else np.exp(scores - scores.max(axis=3, keepdims=True))
    return weights / weights.sum(axis=3, keepdims=True)


def _row_wise(block: Affine | LayerNorm, x: np.ndarray) -> np.ndarray:
    if isinstance(block, LayerNorm):
        centred = x - x.mean(axis=2, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=2, keepdims=True) + block.eps) * block.gain + block.bias
    out = x @ block.weight + block.bias
    if block.out is not None:
        out = np.maximum(out, 0) @ block.out + (0 if block.out_bias is None else block.out_bias)
    return out + x if block.residual else out
