"""What floating point may take from attention and one ReLU layer, in Arb: the analysis of `relu_loss`, without floats.

The attention layer alone, read out by W_1, b_1 and by W_R, errs as `arb_floats` says; from the units on all is linear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from separatrix.core.domain import CellGroup
from separatrix.core.errors import RejectedError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs
from separatrix.kernel.arb_floats import column_terms, losses
from separatrix.kernel.arb_nets import number
from separatrix.kernel.arb_words import Words
from separatrix.kernel.case import Case
from separatrix.kernel.relu_loss import NAMES, reading, two_layers

LEVELS = 8  # trial values of the ratio, each half of the one before


@dataclass(frozen=True, slots=True)
class Loss:
    """units (F,): by how much pre-activations err. stream (k,): a logit, by the stream's own part. path: e^{K L} - 1
    from a unit to a logit; sizes (F, k): |W_2| |W_R|; constant (k,): of the biases; underflow: of a difference.
    """

    units: Arbs
    stream: Arbs
    path: Any
    sizes: Arbs
    constant: Arbs
    underflow: Any

    @classmethod
    def of(cls, case: Case, group: CellGroup, words: Words, score: Arbs, e: Arbs, values: Arbs) -> Loss:
        """Of a group; score and its exponentials (H, J, S), these with any shift a head; features (H, J, S, M)."""
        spec, t = case.semantics.spec, case.tensors
        assert spec is not None
        ff = two_layers(case.model())[1]
        w1, b1, w2, b2, wr, bias = (t[name] for name in NAMES)
        a1, c1, a2, c2, ar, cr = (ab.size(ab.arbs(tensor)) for tensor in (w1, b1, w2, b2, wr, bias))
        added = 2 + min(spec.depth(len(w2)), max(0, column_terms(w2) - 1))
        last = 2 + min(spec.depth(len(wr)), max(0, column_terms(wr) - 1))
        unit, least = -(1 - number(spec.unit)).log(), number(spec.least)
        path = (2 + added + last + 2) * unit
        if spec.least > 0 and not path <= 0.5:
            raise RejectedError("too many roundings for this floating-point format")

        def err(weight: np.ndarray, bias: np.ndarray, more: int, known: Arbs) -> tuple[Arbs, Arbs]:
            arch, tensors = reading(case.model(), t, weight, bias)
            centre = ab.arbs(_centres(known, words.anywhere()))[:, None, None]
            pair = known - centre, centre[:, 0, 0]
            taken, once = losses(replace(case, arch=arch, tensors=tensors), spec, group, words, score, more, pair)
            return once, _greatest(taken, words.anywhere(), e)

        hidden = len(b1)
        units = np.add(*err(w1, b1, 0, values[..., :hidden]))
        stream = ab.zeros(len(bias))
        if ff.residual:
            own = values[..., hidden : hidden + len(bias)]
            own = own - (ab.total(own) / len(bias))[..., None]  # only differences of logits matter
            stream = np.add(*err(wr, np.zeros(len(bias)), added, own))

        x = _stream(case)
        p = ab.dot(x, a1) + c1 + ab.greatest(units)  # errors of underflow are among those of the units
        out = ab.dot(p, a2) + c2 + (x if ff.residual else 0)
        logits = ab.dot(out, ar) + cr
        biggest = ab.greatest(np.concatenate([part.reshape(-1) for part in (a1, a2, ar, x, p, out, logits)]))
        if not biggest * 8 <= spec.greatest:
            raise RejectedError("a number of this model may overflow in this floating-point format")
        tiny_2, tiny_c, tiny_r, tiny_b = (ab.arbs(spec.is_tiny(tensor)) for tensor in (w2, b2, wr, bias))
        of_out = ab.dot(p, tiny_2) + ab.arbs((w2 != 0).sum(axis=0)) + tiny_c  # in units of `least`
        of_logits = ab.dot(of_out, ar) + ab.dot(out + least * of_out, tiny_r) + ab.arbs((wr != 0).sum(axis=0)) + tiny_b
        return cls(
            units=units,
            stream=stream,
            path=path.exp() - 1,
            sizes=ab.dot(a2, ar),
            constant=ab.dot(c2, ar) + cr,
            underflow=12 * least * ab.greatest(of_logits),  # see `relu_loss`
        )

    def taken(self, apart: Arbs, label: int, rival: int, high: Arbs) -> Any:
        """What the margin of a cell's label against a rival may lose; apart, high (F,): differences of beta, and what
        the pre-activations do not exceed.
        """
        top = ab.relu(high + self.units)
        lost = ab.total(ab.size(apart) * ab.smaller(self.units, top))
        sizes = self.sizes[:, label] + self.sizes[:, rival]
        lost += self.path * (ab.total(sizes * top) + self.constant[label] + self.constant[rival])
        return lost + self.stream[label] + self.stream[rival] + self.underflow


def _greatest(taken: Arbs, allowed: np.ndarray, e: Arbs) -> Arbs:
    """(k,) above sum_h sum_j e_hj t_hj / D_h, t (H, J, S, k), on every input whose slots hold what is allowed."""
    total = ab.zeros(taken.shape[3])
    for own, values in zip(e, taken, strict=True):
        least = ab.total(np.array([ab.least(row[mask]) for row, mask in zip(own, allowed, strict=True)]))
        for k in range(len(total)):
            best = trial = ab.greatest(values[..., k][allowed])
            for _ in range(LEVELS if bool(least > 0) else 0):
                trial = trial / 2
                terms = own * (values[..., k] - trial)
                above: Any = sum((ab.greatest(row[mask]) for row, mask in zip(terms, allowed, strict=True)), ab.zero())
                best = best.min(trial + above.max(ab.zero()) / least)
            total[k] = total[k] + best
    return total


def _centres(values: Arbs, allowed: np.ndarray) -> np.ndarray:
    """(H, k) about half-way between the least and the greatest of values (H, J, S, k); any numbers are sound."""
    mid = ab.mid(values)[:, allowed]
    return (mid.min(axis=1) + mid.max(axis=1)) / 2


def _stream(case: Case) -> Arbs:
    """(d,) above the absolute coordinates of the stream after attention."""
    arch, t = case.model(), {name: ab.size(ab.arbs(tensor)) for name, tensor in case.tensors.items()}
    x = ab.greatest(t["embed.token"], axis=0)
    if "embed.position" in t:
        x = x + ab.greatest(t["embed.position"], axis=0)
    if arch.blank:
        x = ab.larger(x, t["embed.blank"])
    heads = zip(t["layers.0.value"], t["layers.0.output"], strict=True)
    out = sum((ab.dot(ab.dot(x, value), output) for value, output in heads), ab.zeros(arch.width))
    return out + (x if two_layers(arch)[0].residual else 0)
