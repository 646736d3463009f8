"""What floating point may take from the margins of one attention layer and one ReLU layer.

Up to the ReLU layer the model is an attention layer whose read-out is W_1, b_1: `head_loss` bounds by how much each
pre-activation errs, |p^_k - p_k| <= e_k. relu is exact and 1-Lipschitz, so where p_k <= high_k,
    |relu(p^_k) - relu(p_k)| <= l_k = min(e_k, t_k),   relu(p^_k) <= t_k = max(0, high_k + e_k).
From there on everything is linear: with K roundings on the longest path from a unit to a logit, label a loses against
b at most sum_k |beta_ka - beta_kb| l_k + (e^{K L} - 1) sum_k (s_ka + s_kb) t_k, s = |W_2| |W_R|, beta = W_2 W_R. What
the stream after attention adds by itself is an attention layer with read-out W_R, and so again `head_loss`, with the
roundings of the sums that it is added to on the way. Bias and stream may be added anywhere among the products of W_2.
A weight w_j errs by at most w_j m_j, and a head's add up to 1 but for r; so of a feature f_j, for any c, weights cost
at most sum_j w_j m_j |f_j - c| + r |c|, and the paths behind it at most sum_j w_j (1 + m_j) (e^{K L} - 1) a_j, a_j the
absolute path products. Errors of weights are the same for all logits: f_j is theirs less their mean. Such a ratio
sum_j e_j t_j / sum_j e_j is at most T + max(0, sum_j e_j (t_j - T)) / D_low for every T.
All numbers here are upper bounds, inflated as in `rounding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, Readout
from separatrix.core.domain import CellGroup
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.semantics import FloatSpec
from separatrix.kernel import head_loss
from separatrix.kernel.balls import Ball, growth, sum_high, sum_low
from separatrix.kernel.least import Words
from separatrix.kernel.rounding import SAFE, column_terms

LEVELS = 8  # values of T, each half of the one before
CHUNK = 2**21  # numbers in the largest array


@dataclass(frozen=True, slots=True)
class Budget:
    """The rounding constants of a model.

    units, stream: of the pre-activations, and of what the stream adds to the logits (None without a residual). path:
    e^{K L} - 1 from a unit to a logit. beta (F, k): W_2 W_R. sizes (F, k): |W_2| |W_R|. constant (k,): of the biases.
    underflow: of a difference of logits, behind the ReLU layer.
    """

    units: head_loss.Budget
    stream: head_loss.Budget | None
    path: float
    beta: Ball
    sizes: np.ndarray
    constant: np.ndarray
    underflow: float

    @classmethod
    def of(cls, arch: Arch, tensors: Mapping[str, np.ndarray], positions: int, spec: FloatSpec) -> Budget:
        """RejectedError where the format overflows or rounds too often, UnknownError for other models."""
        one, ff = two_layers(arch)
        w1, b1, w2, b2, wr, bias = (tensors[name].astype(np.float64) for name in NAMES)
        units = head_loss.Budget.of(*reading(arch, tensors, w1, b1), positions, spec)
        terms = column_terms(w2)
        added = 2 + min(spec.depth(len(w2)), max(0, terms - 1))  # sums that a product with W_2, or the stream, may meet
        stream = None
        if ff.residual:
            stream = head_loss.Budget.of(*reading(arch, tensors, wr, np.zeros(len(bias))), positions, spec)
            stream = head_loss.Budget(tuple(replace(r, path=r.path + added * r.unit * SAFE) for r in stream.heads))
        unit = units.heads[0].unit
        last = 2 + min(spec.depth(len(wr)), max(0, column_terms(wr) - 1))  # the product with W_R
        path = (2 + added + last + 2) * unit * SAFE
        longest = max([path, *(r.path for r in (stream.heads if stream else ()))])
        if spec.least > 0 and longest > 0.5:
            raise RejectedError("too many roundings for this floating-point format")

        # sizes of everything that is computed, for overflow and underflow
        a1, a2, ar = np.abs(w1), np.abs(w2), np.abs(wr)
        x = _stream_sizes(one, tensors)
        p = x @ a1 + np.abs(b1) + sum(r.underflow for r in units.heads)
        out = p @ a2 + np.abs(b2) + (x if ff.residual else 0.0)
        logits = out @ ar + np.abs(bias)
        biggest = max(float(np.max(a, initial=0.0)) for a in (a1, a2, ar, x, p, out, logits))
        if not 8.0 * biggest * SAFE <= spec.greatest:
            raise RejectedError("a number of this model may overflow in this floating-point format")
        of_out = p @ spec.is_tiny(a2) + (a2 > 0).sum(axis=0) + spec.is_tiny(b2)  # in units of `least`
        of_logits = of_out @ ar + (out + spec.least * of_out) @ spec.is_tiny(ar) + (ar > 0).sum(axis=0)
        of_logits = of_logits + spec.is_tiny(bias)
        return cls(
            units=units,
            stream=stream,
            path=float(growth(path)) * SAFE,
            beta=Ball.exact(w2) @ Ball.exact(wr),
            sizes=a2 @ ar * SAFE,
            constant=(np.abs(b2) @ ar + np.abs(bias)) * SAFE,
            underflow=12.0 * spec.least * float(of_logits.max()) * SAFE,  # 2 logits; e^(9/8) before the unit, e^(1/2)
        )


NAMES = (
    "layers.1.in", "layers.1.in_bias", "layers.1.out", "layers.1.out_bias", "readout.weight", "readout.bias",
)  # fmt: skip


def two_layers(arch: Arch) -> tuple[Attention, FeedForward]:
    """The layers of a model that float formats are known for; UnknownError for any other."""
    match arch.layers:
        case (Attention(norm="none") as one, FeedForward(norm="none", activation="relu") as two):
            return one, two
    raise UnknownError("in float formats the relu check decides attention and one ReLU layer, without layer norms")


def reading(
    arch: Arch, tensors: Mapping[str, np.ndarray], weight: np.ndarray, bias: np.ndarray
) -> tuple[Arch, dict[str, np.ndarray]]:
    """The attention layer alone, with another read-out (d, k) of its stream."""
    kept = {name: t for name, t in tensors.items() if name.startswith(("embed.", "layers.0."))}
    kept |= {"readout.weight": weight, "readout.bias": bias}
    return replace(arch, layers=arch.layers[:1], readout=Readout(weight.shape[1])), kept


def _stream_sizes(layer: Attention, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """(d,) above the absolute coordinates of the stream after attention, before any rounding."""
    t = {name: np.abs(tensor.astype(np.float64)) for name, tensor in tensors.items()}
    x = t["embed.token"].max(axis=0)
    if "embed.position" in t:
        x = x + t["embed.position"].max(axis=0)
    if "embed.blank" in t:
        x = np.maximum(x, t["embed.blank"])
    out = sum(x @ v @ o for v, o in zip(t["layers.0.value"], t["layers.0.output"], strict=True))
    return np.asarray(out + (x if layer.residual else 0.0)) * SAFE


@dataclass(frozen=True, slots=True)
class Loss:
    """What a group's margins may lose. units (F,): the e_k. stream (k,): of a logit, by the stream itself."""

    budget: Budget
    units: np.ndarray
    stream: np.ndarray

    @classmethod
    def of(
        cls,
        budget: Budget,
        group: CellGroup,
        words: Words,
        score: Ball,
        e: tuple[np.ndarray, np.ndarray],
        values: tuple[Ball, ...],
    ) -> Loss:
        """score (H, J, S), floats below and above e^(score - shift), and features as in `Scene`, for every cell."""
        allowed = words.only_any()
        order = np.argsort(~allowed, axis=1, kind="stable")[:, : allowed.sum(axis=1).max()]
        at = np.where(np.take_along_axis(allowed, order, 1), order, order[:, :1])[None]

        def whole(some: head_loss.Budget, first: int, answers: bool) -> np.ndarray:
            loss = head_loss.Loss.of(some, group, words.ids[:-2], score, at)
            return (
                _greatest(loss, allowed, e, values, first, answers) + loss.constant * loss.path + loss.underflow / 2
            ) * SAFE

        stream, hidden = np.zeros(len(budget.constant)), len(budget.sizes)
        if budget.stream is not None:
            stream = whole(budget.stream, hidden, True)
        return cls(budget, whole(budget.units, 0, False), stream)

    def taken(self, labels: np.ndarray, high: np.ndarray) -> np.ndarray:
        """(C, k) what the margins of labels (C,) against every rival may lose; high (C, F) above the p_k of a cell."""
        b = self.budget
        top = np.maximum(high + self.units, 0.0) * SAFE
        lift = np.minimum(self.units, top)
        apart = b.beta.pairs(labels)  # (C, k, F)
        lost = ((np.abs(apart.mid) + apart.rad) * lift[:, None]).sum(axis=2)
        once = self.stream + (top @ b.sizes + b.constant) * b.path * SAFE  # (C, k): of one logit
        own = np.take_along_axis(once, labels[:, None], axis=1)
        return (lost + once + own + b.underflow) * SAFE


def _greatest(
    loss: head_loss.Loss,
    allowed: np.ndarray,
    e: tuple[np.ndarray, np.ndarray],
    values: tuple[Ball, ...],
    first: int,
    answers: bool,
) -> np.ndarray:
    """(k,) what the heads' errors cost the k features from `first` on, where the slots hold what is allowed (J, S).

    answers: only differences of these features matter.
    """
    heads, slots, width = e[0].shape
    total = np.zeros(loss.symbol.shape[2])
    step = max(1, CHUNK // (slots * width))
    common = [np.zeros(e[0].shape[1:])] * heads
    if answers:  # any numbers will do
        common = [_features(values, h, slice(first, first + len(total))).mid.mean(axis=0) for h in range(heads)]
    for h in range(heads):
        low, high = e[0][h], e[1][h]
        least = float(sum_low(np.where(allowed, low, np.inf).min(axis=1)))
        for part in (slice(i, i + step) for i in range(0, len(total), step)):
            f = _features(values, h, slice(first + part.start, min(first + part.stop, first + len(total))))
            f = f - Ball.exact(common[h])
            ends = np.where(allowed, f.mid, np.inf).min(axis=(1, 2)), np.where(allowed, f.mid, -np.inf).max(axis=(1, 2))
            centre = (ends[0] + ends[1]) / 2
            size = np.abs(f.mid - centre[:, None, None]) + f.rad
            paths = (loss.symbol[h].T[part, None, :] + loss.slot[h].T[part, :, None]) * loss.paths[h]
            t = (loss.moved[h] * size + (1.0 + loss.moved[h]) * paths) * SAFE
            total[part] += loss.sums[h] * np.abs(centre) * SAFE
            best = np.where(allowed, t, -np.inf).max(axis=(1, 2))
            trial = best
            for _ in range(LEVELS if least > 0 else 0):
                trial = trial / 2
                gap = t - trial[:, None, None]
                term = np.where(gap >= 0, high, low) * gap
                term = np.where(allowed, term + np.abs(term) * 2.0**-50, -np.inf).max(axis=2)
                best = np.minimum(best, (trial + np.maximum(sum_high(term, axis=1), 0.0) / least) * SAFE)
            total[part] += best
    return total * SAFE


def _features(values: tuple[Ball, ...], h: int, which: slice) -> Ball:
    """(k, J, S) the features of a head at weight 1."""
    parts = [Ball(np.moveaxis(v.mid[h, ..., which], 2, 0), np.moveaxis(v.rad[h, ..., which], 2, 0)) for v in values]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
