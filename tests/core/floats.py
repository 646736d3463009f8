"""Simulated floating point: one head with every operation rounded, in chosen orders, nearest or adversarial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from separatrix.core.arch import Attention, FeedForward, Table
from separatrix.core.semantics import FloatSpec
from separatrix.models.model import Model

Order = Literal["sequential", "reverse", "random", "tree", "strided", "sorted"]
ORDERS: tuple[Order, ...] = ("sequential", "reverse", "random", "tree", "strided", "sorted")
TREES: tuple[Order, ...] = ("tree", "strided")


def nearest(x: np.ndarray, spec: FloatSpec) -> np.ndarray:
    """To the nearest number of the format, ties to even; subnormals and overflow as the format has them."""
    _, exponent = np.frexp(x)
    if spec.least_exponent is not None:
        exponent = np.maximum(exponent, spec.least_exponent + 1)
    step = np.ldexp(1.0, exponent - spec.bits)
    y = np.rint(x / step) * step
    return np.where(np.abs(y) > spec.greatest, np.copysign(np.inf, y), y)


@dataclass
class Machine:
    """Rounds every operation. `sign`: nearest; or d = +u, -u or either at random, and 0 where the result is exact."""

    spec: FloatSpec
    order: Order
    rng: np.random.Generator
    sign: Literal["nearest", "random", "up", "down"] = "nearest"

    def fl(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        if self.sign == "nearest":
            return nearest(x, self.spec)
        if self.sign == "random":
            moved = x * (1.0 + self.spec.unit * self.rng.choice([-1.0, 1.0], x.shape))
        else:
            moved = x * (1.0 + self.spec.unit * (1.0 if self.sign == "up" else -1.0))
        return np.where(nearest(x, self.spec) == x, x, moved)

    def exp(self, x: np.ndarray) -> np.ndarray:
        error = self.spec.exp_error * self.spec.unit
        if self.sign != "nearest":
            return np.exp(x) * (1.0 + error * self.rng.choice([-1.0, 1.0], x.shape))
        slack = (self.spec.exp_error - 1.0) * self.spec.unit * self.rng.uniform(-1, 1, x.shape)
        return nearest(np.exp(x) * (1.0 + slack), self.spec)

    def add(self, terms: np.ndarray) -> np.ndarray:
        """Sum along the first axis; exact zeros round nothing."""
        if self.order == "random":
            terms = self.rng.permutation(terms, axis=0)
        elif self.order == "reverse":
            terms = terms[::-1]
        elif self.order == "sorted":
            terms = np.sort(terms, axis=0)[::-1]
        if self.order in TREES:
            while len(terms) > 1:
                odd = terms[-1:] if len(terms) % 2 else terms[:0]
                even = terms[: len(terms) - len(odd)]
                half = len(even) // 2
                pairs = (even[::2], even[1::2]) if self.order == "tree" else (even[:half], even[half:])
                terms = np.concatenate([self._plus(*pairs), odd])
            return terms[0]
        total = terms[0]
        for term in terms[1:]:
            total = self._plus(total, term)
        return total

    def _plus(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where((a == 0) | (b == 0), a + b, self.fl(a + b))

    def matmul(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """(.., d) @ (d, k), each product and each partial sum rounded."""
        return self.add(np.moveaxis(self.fl(x[..., :, None] * w), -2, 0))


def simulate(
    model: Model, tokens: np.ndarray, query: int, machine: Machine, join: Literal["stacked", "heads"] = "stacked"
) -> np.ndarray:
    """(batch, outputs): logits of a one-layer model, perhaps with a ReLU layer after it, with every number at rest and
    every operation rounded.

    The outputs of several heads are added in one product with all of W_O, or head by head. Bias and stream are added
    among the products of the ReLU layer, or after them.
    """
    t, arch, fl = model.tensors, model.arch, machine.fl
    layer = arch.layers[0]
    assert isinstance(layer, Attention) and isinstance(arch.first, Table) and layer.mask == "none"
    rest = {name: fl(tensor.astype(np.float64)) for name, tensor in t.items()}
    x = rest["embed.token"][tokens]
    if arch.first.positions:
        x = machine._plus(x, np.broadcast_to(rest["embed.position"][: tokens.shape[1]], x.shape))
    if arch.blank:
        x = np.concatenate([x, np.broadcast_to(rest["embed.blank"], (len(x), 1, arch.width))], axis=1)
    heads = []
    for h in range(layer.heads):
        q = machine.matmul(x[:, query], rest["layers.0.query"][h])
        k = machine.matmul(x, rest["layers.0.key"][h])
        v = machine.matmul(x, rest["layers.0.value"][h])
        s = machine.add(np.moveaxis(fl(q[:, None] * k), -1, 0))
        if layer.scale != 1.0:
            s = fl(s * fl(np.array(layer.scale)))
        e = machine.exp(fl(s - s.max(axis=1, keepdims=True)))
        z = machine.add(e.T)
        w = fl(e / z[:, None])
        heads.append(machine.add(np.moveaxis(fl(w[..., None] * v), 1, 0)))
    if join == "stacked":
        out = machine.matmul(np.concatenate(heads, axis=1), rest["layers.0.output"].reshape(-1, arch.width))
    else:
        out = machine.add(np.stack([machine.matmul(o, w) for o, w in zip(heads, rest["layers.0.output"], strict=True)]))
    if layer.residual:
        out = machine._plus(out, x[:, query])
    for ff in arch.layers[1:]:
        assert isinstance(ff, FeedForward) and (ff.norm, ff.activation) == ("none", "relu")
        w1, b1, w2, b2 = (rest[f"layers.1.{name}"] for name in ("in", "in_bias", "out", "out_bias"))
        p = machine.matmul(out, w1)
        terms = np.moveaxis(fl(np.maximum(machine._plus(p, np.broadcast_to(b1, p.shape)), 0.0)[..., None] * w2), -2, 0)
        more = [np.broadcast_to(b2, out.shape), *([out] if ff.residual else [])]
        if join == "stacked":
            out = machine.add(np.concatenate([terms, np.stack(more)]))
        else:
            out = machine.add(terms)
            for term in more:
                out = machine._plus(out, term)
    logits = machine.matmul(out, rest["readout.weight"])
    return machine._plus(logits, np.broadcast_to(rest["readout.bias"], logits.shape))


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(batch,) logit of the label less the best other; NaN counts as wrong (-inf)."""
    logits = logits.copy()
    right = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    np.put_along_axis(logits, labels[:, None], -np.inf, axis=1)
    gap = right - logits.max(axis=1)
    return np.where(np.isnan(gap), -np.inf, gap)


def adversary(model: Model, tokens: np.ndarray, query: int, label: int, rival: int, spec: FloatSpec) -> float:
    """Margin of label against rival on one input when each rounding is +-u, chosen to hurt; a legal evaluation order.

    Every operation that belongs to one position alone errs towards a larger weight where that position votes against
    the label, towards a smaller one where it votes for it; sums run sequentially.
    """
    t, arch, u = model.tensors, model.arch, spec.unit
    layer = arch.layers[0]
    assert isinstance(layer, Attention) and isinstance(arch.first, Table)

    def push(x: np.ndarray, direction: np.ndarray | float) -> np.ndarray:
        """One rounding, up where direction > 0, down where < 0."""
        return np.where(nearest(x, spec) == x, x, x + np.abs(x) * u * np.sign(direction))

    def add(terms: np.ndarray, direction: np.ndarray | float) -> np.ndarray:
        total = terms[0]
        for term in terms[1:]:
            total = np.where((total == 0) | (term == 0), total + term, push(total + term, direction))
        return total

    x = t["embed.token"].astype(float)[tokens]
    place = t["embed.position"].astype(float) if "embed.position" in t else np.zeros((len(tokens), arch.width))
    wq, wk, wv, wo = (t[f"layers.0.{n}"][0].astype(float) for n in ("query", "key", "value", "output"))
    wr, bias = t["readout.weight"].astype(float), t["readout.bias"].astype(float)
    apart = wr[:, label] - wr[:, rival]
    const = bias[label] - bias[rival] + ((x[query] + place[query]) @ apart if layer.residual else 0.0)
    rows = x + place
    if arch.blank:
        rows = np.concatenate([rows, t["embed.blank"][None].astype(float)])
    vote = rows @ wv @ wo @ apart + const
    toward = -np.sign(vote)  # raise the weight of those who vote against
    q = rows[query] @ wq
    g = wk @ q * layer.scale
    moved = np.where((x != 0) & (place != 0), push(x + push(place, toward[: len(x), None] * np.sign(g)[None]),
                     toward[: len(x), None] * np.sign(g)[None]),
                     x + push(place, toward[: len(x), None] * np.sign(g)[None]))  # fmt: skip
    if arch.blank:
        moved = np.concatenate([moved, rows[-1:]])
    side = toward[:, None] * np.sign(q * layer.scale)[None]
    k = add(np.moveaxis(push(moved[:, :, None] * wk[None], side[:, None, :]), 1, 0), side)
    turn = toward * np.sign(layer.scale)
    s = add(push(q[None] * k, turn[:, None]).T, turn)
    if layer.scale != 1.0:
        s = push(s * layer.scale, toward)
    e = np.exp(push(s - s.max(), toward)) * (1.0 + toward * spec.exp_error * u)
    z = add(np.sort(e)[::-1], 1.0)
    down = np.sign(wo @ apart)
    value = np.where(np.sign(vote)[:, None] > 0, -down[None], down[None] * -1.0)
    v = add(np.moveaxis(push(rows[:, :, None] * wv[None], value[:, None, :]), 1, 0), value)
    w = push(e / z, toward)
    o = add(push(w[:, None] * v, value), -down)
    out = add(push(o[:, None] * wo, -np.sign(apart)[None]), -np.sign(apart))
    if layer.residual:
        out = push(out + x[query] + place[query], -np.sign(apart))
    logits = [
        float(push(add(push(out * wr[:, c], way), way) + bias[c], way)) for c, way in ((label, -1.0), (rival, 1.0))
    ]
    return logits[0] - logits[1]
