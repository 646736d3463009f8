"""A model of attention [, ReLU layer] [, layer norm] as linear functionals of what its heads return, in plain float64.

The prover's own numbers, for the normal form that `kernel.relu_net` describes; nothing here is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Attention, FeedForward, LayerNorm
from separatrix.models.model import Model


@dataclass(frozen=True, slots=True)
class Weights:
    """H heads, F hidden units, k answers; M = F + outs k + coordinates features of the stream.

    token (V, d), slot (J, d). query, key (H, d, m). mix (H, d, M), direct (d, M) or None. pre: scale, bias, eps of the
    norm that the heads read. A pre-activation is its feature + shift + slope s. beta (F, k), constant, tilt (k,): of
    the outputs. inner, outer: eps of the norms s and S, or None. outs: whether the stream is read out too. middle
    (F, d), middle_bias (d,): what the ReLU layer adds to the centred stream.
    """

    token: np.ndarray
    slot: np.ndarray
    query: np.ndarray
    key: np.ndarray
    scale: float
    pre: tuple[np.ndarray, np.ndarray, float] | None
    mix: np.ndarray
    direct: np.ndarray | None
    shift: np.ndarray
    slope: np.ndarray
    beta: np.ndarray
    constant: np.ndarray
    tilt: np.ndarray
    inner: float | None
    outer: float | None
    outs: bool
    coordinates: int
    middle: np.ndarray
    middle_bias: np.ndarray

    @classmethod
    def of(cls, model: Model, positions: int) -> Weights:
        """Of a model that the kernel's own reader accepts."""
        t = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}
        arch, d = model.transformer, model.transformer.width
        first, centre = arch.layers[0], d * np.eye(d) - np.ones((d, d))
        assert isinstance(first, Attention)
        ff = next((layer for layer in arch.layers if isinstance(layer, FeedForward)), None)
        final = arch.layers[-1] if isinstance(arch.layers[-1], LayerNorm) else None
        readout, tilt, outer = t["readout.weight"], t["readout.bias"], None
        if final is not None:
            name, outer = f"layers.{len(arch.layers) - 1}.", float(final.eps)
            if final.bias:
                tilt = tilt + t[name + "bias"] @ readout
            readout = centre @ (t[name + "scale"][:, None] * readout)
        k = readout.shape[1]
        into, shift, slope, beta = np.zeros((d, 0)), np.zeros(0), np.zeros(0), np.zeros((0, k))
        constant, inner, middle, middle_bias = np.zeros(k), None, np.zeros((0, d)), np.zeros(d)
        if ff is not None:
            into, shift, beta = t["layers.1.in"], t["layers.1.in_bias"], t["layers.1.out"] @ readout
            slope, constant = np.zeros(ff.hidden), t["layers.1.out_bias"] @ readout
            middle, middle_bias = t["layers.1.out"] @ centre, t["layers.1.out_bias"] @ centre
            if ff.norm == "pre":
                slope, shift = shift + t["layers.1.norm_bias"] @ into, slope
                into = centre @ (t["layers.1.norm_scale"][:, None] * into)
                inner = float(t["layers.1.norm_eps"])
        if outer is None:  # S = 1
            constant, tilt = constant + tilt, np.zeros(k)
        elif (tilt == tilt[0]).all():  # no margin depends on S
            tilt, outer = np.zeros(k), None
        outs = ff is None or ff.residual
        maps = [into, readout] if outs else [into]
        if inner is not None or outer is not None:
            maps.append(centre)
        features = np.concatenate(maps, axis=1)
        slot = t.get("embed.position", np.zeros((positions, d)))
        if arch.blank:
            slot = np.concatenate([slot, t["embed.blank"][None]])
        pre = None
        if first.norm == "pre":
            pre = (t["layers.0.norm_scale"], t["layers.0.norm_bias"], float(t["layers.0.norm_eps"]))
        return cls(
            token=t["embed.token"],
            slot=slot,
            query=t["layers.0.query"],
            key=t["layers.0.key"],
            scale=first.scale,
            pre=pre,
            mix=np.einsum("hdv,hve,em->hdm", t["layers.0.value"], t["layers.0.output"], features),
            direct=features if first.residual else None,
            shift=shift,
            slope=slope,
            beta=beta,
            constant=constant,
            tilt=tilt,
            inner=inner,
            outer=outer,
            outs=outs,
            coordinates=features.shape[1] - len(beta) - k * outs,
            middle=middle,
            middle_bias=middle_bias,
        )

    @property
    def heads(self) -> int:
        """H."""
        return len(self.query)

    @property
    def hidden(self) -> int:
        """F."""
        return len(self.beta)

    @property
    def answers(self) -> int:
        """k."""
        return len(self.constant)

    @property
    def width(self) -> int:
        """d."""
        return self.token.shape[1]

    @property
    def features(self) -> int:
        """M."""
        return self.mix.shape[2]

    @property
    def ranged(self) -> np.ndarray:
        """The features whose ranges are needed: pre-activations, and coordinates for the norms."""
        return np.concatenate([np.arange(self.hidden), np.arange(self.features - self.coordinates, self.features)])

    @property
    def variables(self) -> int:
        """What a tree may cut besides slots: pre-activations, denominators, and s where there is an inner norm."""
        return self.hidden + self.heads + (self.inner is not None)

    def normalised(self, rows: np.ndarray) -> np.ndarray:
        """(..., d) what the heads read of rows of the stream."""
        if self.pre is None:
            return rows
        scale, bias, eps = self.pre
        return (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + eps) * scale + bias
