"""A ReLU layer and layer norms of somebody else's model, and the biases around them, in the form of an `Arch`.

Attention has no biases here. Where the model has some, the stream becomes one column wider. Without norms that column
is 1 in every token's vector, and W_Q, W_K, W_V read the biases from it, exactly. A norm would see it: with norms the
column is the mean of the others, so that the mean stays what it is and the variance becomes d / (d + 1) of it; the
norm's eps and scale make up for that, and its bias puts a 1 into the column that the heads read. The output bias goes
through the first head, whose weights sum to 1. With norms, what is rounded is means, eps and scales, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from separatrix.core.arch import Attention, FeedForward, LayerNorm
from separatrix.core.errors import InputError

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Norm:
    """scale, bias (d,), bias None for a norm without one, and eps."""

    scale: np.ndarray
    bias: np.ndarray | None
    eps: float

    def wider(self, constant: float) -> Norm:
        """Of a stream whose last column is the mean of the others, with this number as the last output."""
        share = len(self.scale) / (len(self.scale) + 1)
        scale = np.append(self.scale.astype(np.float64) * math.sqrt(share), 0.0)
        bias = None if self.bias is None and not constant else np.append(_or_zeros(self.bias, self.scale), constant)
        return Norm(scale, bias, self.eps * share)


@dataclass(frozen=True, slots=True)
class Mlp:
    """into (d, F), into_bias (F,), back (F, d), back_bias (d,); residual: whether what it reads is added."""

    into: np.ndarray
    into_bias: np.ndarray
    back: np.ndarray
    back_bias: np.ndarray
    residual: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What a model is put together from, as here: token (V, d), place (T, d) or None; query, key (H, d, m), value
    (H, d, v), output (H, v, d); their biases (H, m), (H, v), (d,), or None; readout (d, k), readout_bias (k,)."""

    token: np.ndarray
    place: np.ndarray | None
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    output: np.ndarray
    biases: Mapping[str, np.ndarray | None]
    readout: np.ndarray
    readout_bias: np.ndarray
    mlp: Mlp | None
    attention_norm: Norm | None
    mlp_norm: Norm | None
    final_norm: Norm | None

    def check(self) -> None:
        """InputError for shapes that contradict each other."""
        d = self.token.shape[1]
        for name, norm in (("attention", self.attention_norm), ("mlp", self.mlp_norm), ("final", self.final_norm)):
            if norm is not None and norm.scale.shape != (d,):
                raise InputError(f"{name}_norm is of {norm.scale.shape} numbers; the stream has {d}")
        if self.mlp is None:
            if self.mlp_norm is not None:
                raise InputError("mlp_norm is given, and no hidden layer that reads it")
        elif (*self.mlp.into.shape, *self.mlp.back.shape) != (d, len(self.mlp.back), len(self.mlp.into_bias), d):
            raise InputError(f"hidden {self.mlp.into.shape[::-1]} and back {self.mlp.back.shape[::-1]} do not fit {d}")

    def layers(self, scale: float, mask: str, residual: bool) -> tuple[tuple, Tensors, int]:
        """The layers of the architecture, all tensors, and the width of the stream."""
        self.check()
        given = {name: bias for name, bias in self.biases.items() if bias is not None and bias.any()}
        norms = (self.attention_norm, self.mlp_norm, self.final_norm)
        normed, wide = any(norm is not None for norm in norms), bool(given)
        if wide and normed and self.attention_norm is None:
            raise InputError("biases of an attention layer that reads no norm, in a model with norms, are not handled")

        def more(rows: np.ndarray, constant: float = 0.0) -> np.ndarray:
            """(..., d + 1) what is written to the stream."""
            if not wide:
                return rows
            last = rows.astype(np.float64).mean(axis=-1) if normed else np.full(rows.shape[:-1], constant)
            return np.concatenate([rows, last[..., None].astype(rows.dtype if not normed else np.float64)], axis=-1)

        def read(weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
            """(..., d + 1, m) what reads the stream; the bias in the last row."""
            if not wide:
                return weights
            last = np.zeros((*weights.shape[:-2], weights.shape[-1])) if bias is None else bias
            return np.concatenate([weights, last[..., None, :].astype(weights.dtype)], axis=-2)

        value, output = read(self.value, given.get("value")), more(self.output)
        if (b := given.get("output")) is not None:
            one = np.zeros((*value.shape[:2], 1), dtype=value.dtype)
            one[0, -1] = 1.0
            row = np.zeros((len(output), 1, output.shape[2]), dtype=output.dtype)
            row[0, 0] = more(b)
            value, output = np.concatenate([value, one], axis=2), np.concatenate([output, row], axis=1)
        t: Tensors = {
            "embed.token": more(self.token, 1.0),
            "layers.0.query": read(self.query, given.get("query")),
            "layers.0.key": read(self.key, given.get("key")),
            "layers.0.value": value,
            "layers.0.output": output,
            "readout.weight": read(self.readout),
            "readout.bias": self.readout_bias,
        }
        if self.place is not None:
            t["embed.position"] = more(self.place)
        layers: list = [
            Attention(
                len(value),
                self.query.shape[2],
                value.shape[2],
                mask=mask,  # pyright: ignore[reportArgumentType]
                scale=scale,
                residual=residual,
                norm=_pre(t, 0, self.attention_norm, wide, 1.0),
            )
        ]
        if self.mlp is not None:
            kind = _pre(t, 1, self.mlp_norm, wide, 0.0)
            t |= {"layers.1.in": read(self.mlp.into), "layers.1.in_bias": self.mlp.into_bias}
            t |= {"layers.1.out": more(self.mlp.back), "layers.1.out_bias": more(self.mlp.back_bias)}
            layers.append(FeedForward(len(self.mlp.into_bias), residual=self.mlp.residual, norm=kind))
        if self.final_norm is not None:
            final, name = self.final_norm.wider(0.0) if wide else self.final_norm, f"layers.{len(layers)}."
            t[name + "scale"] = final.scale
            if final.bias is not None:
                t[name + "bias"] = final.bias
            layers.append(LayerNorm(final.eps, bias=final.bias is not None))
        return tuple(layers), t, t["embed.token"].shape[1]


def _pre(t: Tensors, layer: int, norm: Norm | None, wide: bool, constant: float) -> Literal["none", "pre"]:
    """Writes the tensors of a norm that a layer reads; the layer's word for it."""
    if norm is None:
        return "none"
    norm = norm.wider(constant) if wide else norm
    name = f"layers.{layer}.norm_"
    t |= {name + "scale": norm.scale, name + "bias": _or_zeros(norm.bias, norm.scale)}
    t[name + "eps"] = np.asarray(norm.eps, dtype=np.float64)
    return "pre"


def _or_zeros(bias: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    return np.zeros_like(like) if bias is None else bias
