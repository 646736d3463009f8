"""One attention layer, a ReLU layer and the read-out as linear functionals of what the heads return.

With y = [x_q +] sum_h o_h the stream after attention, c = d y - sum y its centred form, and R' the read-out:
    pre-activations   p_k = <W_1k, y> + b_1k, or, where the layer reads a layer norm, s p_k = <g W_1k, c> + b'_k s with
                      s = sqrt(|c|^2 / d + d^2 eps) > 0;
    s times a margin  s (<u, [y +] b_2> + t S) + sum_k beta_k relu(s p_k),   s = 1 without a norm,
where a last layer norm is dropped up to its positive factor: u is its centred read-out, t what its bias and the
read-out's add to the margin, and S = sqrt(|c'|^2 / d + d^2 eps) of the stream that it reads; S = 1 without one. A
margin is positive iff this is. Features of y, the columns of `maps`: the pre-activations, the outputs, and c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, LayerNorm, Table
from separatrix.core.errors import UnknownError
from separatrix.core.semantics import FloatSpec
from separatrix.kernel.balls import Ball
from separatrix.kernel.norm import centring
from separatrix.kernel.relu_loss import Budget

MOST_HEADS = 10


@dataclass(frozen=True, slots=True)
class Net:
    """The weights of a model of H heads, F hidden units and k answers; M = F + outs + coordinates features.

    token (V, d), slot (J, d): embeddings; the blank, if any, is the last slot. query, key (H, d, m). mix (H, d, M):
    W_V W_O and then the features. direct (d, M): the features, where the layer has a residual. pre: scale, bias and eps
    of the norm that the heads read. shift (F,) and slope (F,): p = feature + shift + slope s. beta (F, k), constant
    (k,), tilt (k,): of the outputs; a margin is a difference of two columns. eps of the norms s and S, or None.
    outs: whether y itself is read out. middle (F, d), middle_bias (d,): what the ReLU layer adds to c'. budget: the
    roundings of a floating-point format, None for exact arithmetic.
    """

    token: Ball
    slot: Ball
    query: Ball
    key: Ball
    scale: float
    pre: tuple[Ball, Ball, Ball] | None
    mix: Ball
    direct: Ball | None
    positions: int
    shift: Ball
    slope: Ball
    beta: Ball
    constant: Ball
    tilt: Ball
    inner_eps: Ball | None
    outer_eps: Ball | None
    outs: bool
    coordinates: int
    middle: Ball
    middle_bias: Ball
    budget: Budget | None = None

    @classmethod
    def of(cls, arch: Arch, tensors: Mapping[str, np.ndarray], positions: int, spec: FloatSpec | None = None) -> Net:
        """Reads attention [, feed-forward] [, layer norm]; UnknownError for any other architecture."""
        first, ff, final = _layers(arch)
        if not isinstance(arch.first, Table) or arch.readout.decision != "argmax":
            raise UnknownError("the relu check needs a token table and an argmax read-out")
        if arch.first.positions not in (0, positions):
            raise UnknownError(f"the model has {arch.first.positions} positions, the task {positions}")
        t, d, k = {name: Ball.exact(tensor) for name, tensor in tensors.items()}, arch.width, arch.readout.outputs
        readout, tilt = t["readout.weight"], t["readout.bias"]
        outer_eps = None
        if final is not None:
            name, outer_eps = f"layers.{len(arch.layers) - 1}.", Ball.exact(np.float64(final.eps))
            if final.bias:
                tilt = tilt + (t[name + "bias"][None] @ readout)[0]
            readout = centring(d) @ (t[name + "scale"][:, None] * readout)
        hidden = ff.hidden if ff else 0
        shift = slope = Ball.exact(np.zeros(hidden))
        beta, into = Ball.exact(np.zeros((hidden, k))), Ball.exact(np.zeros((d, hidden)))
        constant, inner_eps = Ball.exact(np.zeros(k)), None
        middle, middle_bias = Ball.exact(np.zeros((hidden, d))), Ball.exact(np.zeros(d))
        if ff is not None:
            into, shift, beta = t["layers.1.in"], t["layers.1.in_bias"], t["layers.1.out"] @ readout
            constant = (t["layers.1.out_bias"][None] @ readout)[0]
            middle, middle_bias = (part @ centring(d) for part in (t["layers.1.out"], t["layers.1.out_bias"][None]))
            middle_bias = middle_bias[0]
            if ff.norm == "pre":
                slope, shift = shift + (t["layers.1.norm_bias"][None] @ into)[0], slope
                into = centring(d) @ (t["layers.1.norm_scale"][:, None] * into)
                inner_eps = t["layers.1.norm_eps"]
        if outer_eps is None:  # S = 1
            constant, tilt = constant + tilt, Ball.exact(np.zeros(k))
        elif (tilt.mid == tilt.mid[0]).all() and not tilt.rad.any():  # no margin depends on S
            tilt, outer_eps = Ball.exact(np.zeros(k)), None
        outs = ff is None or ff.residual
        maps = [into, readout] if outs else [into]
        if inner_eps is not None or outer_eps is not None:
            maps.append(centring(d))
        features = join(maps, 1)
        slot = t["embed.position"] if arch.first.positions else Ball.exact(np.zeros((positions, d)))
        if arch.blank:
            slot = join([slot, t["embed.blank"][None]], 0)
        pre = None
        if first.norm == "pre":
            pre = (t["layers.0.norm_scale"], t["layers.0.norm_bias"], t["layers.0.norm_eps"])
        return cls(
            token=t["embed.token"],
            slot=slot,
            query=t["layers.0.query"],
            key=t["layers.0.key"],
            scale=first.scale,
            pre=pre,
            mix=(t["layers.0.value"] @ t["layers.0.output"]) @ features,
            direct=features if first.residual else None,
            positions=positions,
            shift=shift,
            slope=slope,
            beta=beta,
            constant=constant,
            tilt=tilt,
            inner_eps=inner_eps,
            outer_eps=outer_eps,
            outs=outs,
            coordinates=features.mid.shape[1] - hidden - k * outs,
            middle=middle,
            middle_bias=middle_bias,
            budget=None if spec is None else Budget.of(arch, tensors, positions, spec),
        )

    @property
    def heads(self) -> int:
        """H."""
        return len(self.query.mid)

    @property
    def hidden(self) -> int:
        """F."""
        return len(self.beta.mid)

    @property
    def answers(self) -> int:
        """k."""
        return len(self.constant.mid)

    @property
    def ranged(self) -> np.ndarray:
        """The features whose ranges are needed: pre-activations and coordinates."""
        features = self.mix.mid.shape[2]
        return np.concatenate([np.arange(self.hidden), np.arange(features - self.coordinates, features)])

    @property
    def width(self) -> int:
        """d."""
        return self.token.mid.shape[1]


def _layers(arch: Arch) -> tuple[Attention, FeedForward | None, LayerNorm | None]:
    match arch.layers:
        case (Attention() as first,):
            ff = final = None
        case (Attention() as first, FeedForward() as ff):
            final = None
        case (Attention() as first, LayerNorm() as final):
            ff = None
        case (Attention() as first, FeedForward() as ff, LayerNorm() as final):
            pass
        case _:
            raise UnknownError("the relu check decides attention, then perhaps a ReLU layer, then perhaps a layer norm")
    if first.mask != "none" or first.heads > MOST_HEADS:
        raise UnknownError(f"the relu check handles unmasked attention with at most {MOST_HEADS} heads")
    if first.weights != "softmax" or (ff is not None and ff.activation != "relu"):
        raise UnknownError("the relu check handles softmax attention and ReLU units")
    return first, ff, final


def join(parts: list[Ball], axis: int) -> Ball:
    """The balls side by side."""
    return Ball(*(np.concatenate([getattr(part, name) for part in parts], axis=axis) for name in ("mid", "rad")))
