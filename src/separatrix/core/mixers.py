"""Layers of recurrent models that are trained in a parallel form: linear attention and its kin, as data.

Each reads the stream x of its position (with norm `rms`: x / sqrt(mean x^2 + 1e-6), entry by entry times a stored
scale), updates a state that starts at zero, and hands on a vector of width `hidden`, to which `residual` adds x. There
are `heads` heads side by side, with queries, keys and values of their own; weights act on rows from the right (x @ W).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from separatrix.core.errors import InputError

Norm = Literal["none", "rms"]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class LinearAttention:
    """Causal attention with scores phi(q) . phi(k), phi(t) = elu(t) + 1, normalised (Katharopoulos et al. 2020).

    S <- S + phi(k)^T v, z <- z + phi(k); a head gives phi(q) S / (phi(q) . z + 1e-6). The state is (S, z).
    """

    heads: int
    key_width: int
    value_width: int
    hidden: int
    norm: Norm = "none"
    residual: bool = False
    kind: Literal["linear-attention"] = "linear-attention"


@dataclass(frozen=True, slots=True)
class Retention:
    """Multi-scale retention (Sun et al. 2023): S <- g S + k^T v with g = 1 - 2^(-5 - h) in head h = 0, 1, ..

    Keys are divided by sqrt(key_width). Queries and keys are rotated, neighbouring pairs by j base^(-2 l / key_width)
    at position j (base 0: not at all), for which the state may be turned instead. What a head gives is divided by its
    root mean square, gated by swish(x G), and mapped on.
    """

    heads: int
    key_width: int
    value_width: int
    hidden: int
    base: float = 10000.0
    norm: Norm = "none"
    residual: bool = False
    kind: Literal["retention"] = "retention"

    @property
    def factors(self) -> tuple[float, ...]:
        """What is left of the state after a position, by head."""
        return tuple(1.0 - 2.0 ** (-5 - h) for h in range(self.heads))


@dataclass(frozen=True, slots=True)
class DeltaNet:
    """The delta rule S <- S + b k^T (v - k S) with b in (0, 1) (Yang et al. 2024), or (0, 2) where `negative`.

    q and k are swish(x W) divided by their length, v is swish(x W), b is (twice) the sigmoid of x W. The transition
    I - b k^T k has the eigenvalue 1 - b, which may be negative only if b reaches beyond 1 (Grazzi et al. 2025). A head
    gives q S, divided by its root mean square, entry by entry times a stored scale that heads share.
    """

    heads: int
    key_width: int
    value_width: int
    hidden: int
    negative: bool = False
    norm: Norm = "none"
    residual: bool = False
    kind: Literal["deltanet"] = "deltanet"


@dataclass(frozen=True, slots=True)
class SelectiveSsm:
    """A selective state-space model, the block of Mamba (Gu, Dao 2023).

    (u, z) = x W; u is mixed with its last `convolution` - 1 predecessors, channel by channel, through swish (0: neither
    is done); (r, B, C) = u W', d = softplus(r W'' + bias), of `rank` numbers r; every channel carries `states` numbers:
    s <- exp(-d exp(rate)) s + d u B, and gives (C . s + u * skip) swish(z). The state is s, then the last u, oldest
    first.
    """

    units: int
    states: int
    rank: int
    hidden: int
    convolution: int = 0
    norm: Norm = "none"
    residual: bool = False
    kind: Literal["selective-ssm"] = "selective-ssm"


@dataclass(frozen=True, slots=True)
class Rwkv:
    """The time mixing of RWKV, version 4 (Peng et al. 2023).

    r, k, v are maps of x mixed with the x before it, channel by channel. A channel gives s(r) times the mean of the v
    so far, those before weighted e^k shrunk by exp(-exp(decay)) a position, the present one e^(k + first), s the
    sigmoid. The state is (means, logarithms of their weights, the x of `width` read last); weights begin at e^-1e38.
    """

    units: int
    width: int
    hidden: int
    norm: Norm = "none"
    residual: bool = False
    kind: Literal["rwkv-4"] = "rwkv-4"


@dataclass(frozen=True, slots=True)
class Dense:
    """One ReLU layer of `units`, applied to every position; it carries nothing."""

    units: int
    hidden: int
    norm: Norm = "none"
    residual: bool = False
    kind: Literal["dense"] = "dense"


Mixer = LinearAttention | Retention | DeltaNet | SelectiveSsm | Rwkv | Dense
MIXERS = (LinearAttention, Retention, DeltaNet, SelectiveSsm, Rwkv, Dense)


def mixer_sizes(layer: Mixer) -> list[int]:
    """Every number of the config that must be positive."""
    match layer:
        case LinearAttention() | Retention() | DeltaNet():
            return [layer.heads, layer.key_width, layer.value_width, layer.hidden]
        case SelectiveSsm():
            return [layer.units, layer.states, layer.rank, layer.hidden, layer.convolution + 1]
        case Rwkv():
            return [layer.units, layer.width, layer.hidden]
        case Dense():
            return [layer.units, layer.hidden]


def check_mixer(layer: Mixer, below: int) -> None:
    """Raises InputError where the layer does not fit the stream of width `below`, or contradicts itself."""
    if layer.residual and layer.hidden != below:
        raise InputError(f"a {layer.kind} layer hands on {layer.hidden} numbers and adds {below} that it reads")
    if isinstance(layer, Rwkv) and layer.width != below:
        raise InputError(f"a {layer.kind} layer is made to read {layer.width} numbers; {below} are below it")
    if isinstance(layer, Retention):
        if not (math.isfinite(layer.base) and (layer.base == 0.0 or layer.base >= 1.0)):
            raise InputError(f"the base {layer.base} of a retention layer is neither 0 nor a finite number from 1 on")
        if layer.base and layer.key_width % 2:
            raise InputError(f"a retention layer turns pairs of its keys' entries; key_width {layer.key_width} is odd")


def mixer_state(layer: Mixer) -> int:
    """Numbers that the layer carries from one position to the next."""
    match layer:
        case LinearAttention():
            return layer.heads * layer.key_width * (layer.value_width + 1)
        case Retention() | DeltaNet():
            return layer.heads * layer.key_width * layer.value_width
        case SelectiveSsm():
            return layer.units * (layer.states + max(0, layer.convolution - 1))
        case Rwkv():
            return 2 * layer.units + layer.width
        case Dense():
            return 0


def mixer_shapes(layer: Mixer, below: int) -> Shapes:
    """Name and shape of every stored tensor of a layer on a stream of width `below`."""
    norm: Shapes = {"norm_scale": (below,)} if layer.norm == "rms" else {}
    return norm | _shapes(layer, below)


def _shapes(layer: Mixer, below: int) -> Shapes:
    match layer:
        case LinearAttention() | Retention() | DeltaNet():
            keys, values = layer.heads * layer.key_width, layer.heads * layer.value_width
            own: Shapes = {"query": (below, keys), "key": (below, keys), "value": (below, values)}
            if isinstance(layer, Retention):
                own["gate"] = (below, values)
            if isinstance(layer, DeltaNet):
                own |= {"strength": (below, layer.heads), "head_scale": (layer.value_width,)}
            return own | {"out": (values, layer.hidden)}
        case SelectiveSsm():
            u, c = layer.units, layer.convolution
            own = {"in": (below, 2 * u)} | ({"mix": (c, u), "mix_bias": (u,)} if c else {})
            own |= {"select": (u, layer.rank + 2 * layer.states), "step": (layer.rank, u), "step_bias": (u,)}
            return own | {"rate": (u, layer.states), "skip_scale": (u,), "out": (u, layer.hidden)}
        case Rwkv():
            u = layer.units
            own = {f"{name}_share": (below,) for name in ("receptance", "key", "value")}
            own |= dict.fromkeys(("receptance", "key", "value"), (below, u))
            return own | {"decay": (u,), "first": (u,), "out": (u, layer.hidden)}
        case Dense():
            u, h = layer.units, layer.hidden
            return {"in": (below, u), "in_bias": (u,), "out": (u, h), "out_bias": (h,)}
