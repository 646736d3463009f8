"""Attention, a ReLU layer, layer norms as features of what the heads return, in Arb: see `relu_net` for the algebra.

With c = d x - sum x and s = sqrt(|c|^2 / d + d^2 eps) of the stream behind attention (s = 1 without an inner norm), s
times a margin is s (u y + constant + tilt S) + sum_k beta_k relu(s p_k), S the size that a last norm divides by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.arch import Attention, FeedForward, LayerNorm
from separatrix.core.domain import CellGroup
from separatrix.core.errors import RejectedError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs
from separatrix.kernel.arb_nets import number
from separatrix.kernel.arb_relu_loss import Loss
from separatrix.kernel.arb_words import Words
from separatrix.kernel.case import Case
from separatrix.kernel.relu_tables import FAR


@dataclass(frozen=True, slots=True)
class Net:
    """The weights of H heads, F hidden units, k answers; M = F + outs + coordinates features.

    token (V, d), slot (J, d); query, key (H, d, m); mix (H, d, M): W_V W_O and the features; direct (d, M) or None;
    pre: scale, bias and eps of the norm that the heads read. shift, slope (F,): p = feature + shift + slope s. beta
    (F, k), constant, tilt (k,). middle (F, d), middle_bias (d,): what the ReLU layer adds to the last norm's c.
    """

    token: Arbs
    slot: Arbs
    query: Arbs
    key: Arbs
    scale: Any
    pre: tuple[Arbs, Arbs, Any] | None
    mix: Arbs
    direct: Arbs | None
    shift: Arbs
    slope: Arbs
    beta: Arbs
    constant: Arbs
    tilt: Arbs
    inner_eps: Any
    outer_eps: Any
    outs: bool
    coordinates: int
    middle: Arbs
    middle_bias: Arbs

    @classmethod
    def of(cls, case: Case) -> Net:
        """From a model that `relu.read_model` has let pass."""
        arch, t = case.model(), {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
        first, d, k = arch.layers[0], arch.width, arch.readout.outputs
        assert isinstance(first, Attention)
        ff = next((layer for layer in arch.layers if isinstance(layer, FeedForward)), None)
        last = arch.layers[-1]
        readout, tilt, outer_eps = t["readout.weight"], t["readout.bias"], None
        centring = ab.arbs(d * np.eye(d) - np.ones((d, d)))
        if isinstance(last, LayerNorm):
            name, outer_eps = f"layers.{len(arch.layers) - 1}.", number(last.eps)
            if last.bias:
                tilt = tilt + ab.dot(t[name + "bias"], readout)
            readout = ab.dot(centring, t[name + "scale"][:, None] * readout)
        hidden = ff.hidden if ff else 0
        shift = slope = ab.zeros(hidden)
        beta, into, constant, inner_eps = ab.zeros(hidden, k), ab.zeros(d, hidden), ab.zeros(k), None
        middle, middle_bias = ab.zeros(hidden, d), ab.zeros(d)
        if ff is not None:
            into, shift, beta = t["layers.1.in"], t["layers.1.in_bias"], ab.dot(t["layers.1.out"], readout)
            constant = ab.dot(t["layers.1.out_bias"], readout)
            middle, middle_bias = (ab.dot(t[f"layers.1.{name}"], centring) for name in ("out", "out_bias"))
            if ff.norm == "pre":
                slope, shift = shift + ab.dot(t["layers.1.norm_bias"], into), slope
                into = ab.dot(centring, t["layers.1.norm_scale"][:, None] * into)
                inner_eps = t["layers.1.norm_eps"]
        if outer_eps is None:  # S = 1
            constant, tilt = constant + tilt, ab.zeros(k)
        elif all(bool(v == tilt[0]) for v in tilt):  # no margin depends on S
            tilt, outer_eps = ab.zeros(k), None
        outs = ff is None or ff.residual
        maps = [into, readout] if outs else [into]
        if inner_eps is not None or outer_eps is not None:
            maps.append(centring)
        features = np.concatenate(maps, axis=1)
        positions = case.task.domain(case.n).positions
        slot = t.get("embed.position", ab.zeros(positions, d))
        if arch.blank:
            slot = np.concatenate([slot, t["embed.blank"][None]])
        pre = None
        if first.norm == "pre":
            pre = (t["layers.0.norm_scale"], t["layers.0.norm_bias"], t["layers.0.norm_eps"])
        pairs = zip(t["layers.0.value"], t["layers.0.output"], strict=True)
        return cls(
            token=t["embed.token"],
            slot=slot,
            query=t["layers.0.query"],
            key=t["layers.0.key"],
            scale=number(first.scale),
            pre=pre,
            mix=np.array([ab.dot(v, ab.dot(o, features)) for v, o in pairs], dtype=object),
            direct=features if first.residual else None,
            shift=shift,
            slope=slope,
            beta=beta,
            constant=constant,
            tilt=tilt,
            inner_eps=inner_eps,
            outer_eps=outer_eps,
            outs=outs,
            coordinates=features.shape[1] - hidden - k * outs,
            middle=middle,
            middle_bias=middle_bias,
        )

    @property
    def hidden(self) -> int:
        """F."""
        return len(self.beta)

    @property
    def ranged(self) -> np.ndarray:
        """The features whose ranges are needed: pre-activations and coordinates."""
        features = self.mix.shape[2]
        return np.concatenate([np.arange(self.hidden), np.arange(features - self.coordinates, features)])


def normalised(x: Arbs, scale: Arbs, bias: Arbs, eps: Any) -> Arbs:
    """(.., d) the layer norm of every row."""
    d = x.shape[-1]
    centred = x - (ab.total(x) / d)[..., None]
    return centred / ab.sqrt(ab.total(centred * centred) / d + eps)[..., None] * scale + bias


@dataclass(frozen=True, slots=True)
class Scene:
    """e (H, J, S): e^(score - shift), one float a head; values (H, J, S, M): features at weight 1; own (M,).

    loss: what a floating-point format may take, None for exact arithmetic.
    """

    net: Net
    words: Words
    labels: np.ndarray
    e: Arbs
    values: Arbs
    own: Arbs
    loss: Loss | None = None

    @classmethod
    def of(cls, net: Net, case: Case, group: CellGroup) -> Scene:
        """What the heads see in the cells of a group."""
        words = Words.of(group, case.task.domain(case.n), len(net.token), len(net.slot))
        labels = np.asarray(group.labels)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(net.constant):
            raise RejectedError("a cell's answer is none of the outputs")
        symbols = np.concatenate([net.token[words.ids[:-1]], ab.zeros(1, net.token.shape[1])])
        rows, x = symbols[None] + net.slot[:, None], net.token[group.token] + net.slot[group.query]
        seen, asks = rows, x
        if net.pre is not None:
            seen, asks = normalised(rows, *net.pre), normalised(x[None], *net.pre)[0]
        pairs = zip(net.query, net.key, strict=True)
        score = np.array([ab.dot(seen, ab.dot(key, ab.dot(asks, query) * net.scale)) for query, key in pairs])
        centre, allowed = ab.mid(score), words.anywhere()
        shift = np.where(allowed, centre, np.inf).min(axis=2).max(axis=1)
        shift = np.maximum(shift, np.where(allowed, centre, -np.inf).max(axis=(1, 2)) - FAR)
        e = ab.exp(score - ab.arbs(shift)[:, None, None])
        values = np.array([ab.dot(seen, mix) for mix in net.mix], dtype=object)
        return cls(
            net=net,
            words=words,
            labels=labels,
            e=e,
            values=values,
            own=ab.dot(x, net.direct) if net.direct is not None else ab.zeros(net.mix.shape[2]),
            loss=None if case.semantics.spec is None else Loss.of(case, group, words, score, e, values),
        )
