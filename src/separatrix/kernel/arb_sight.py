"""What heads see from one query token, in Arb: for every slot and column an exponential and logits, cell by cell.

A slot is a position of the input, or the model's blank; a column is a symbol. Columns are those of `arb_words`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.arch import Attention, Table
from separatrix.core.domain import CellGroup
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.semantics import FloatSpec
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs
from separatrix.kernel.arb_nets import number
from separatrix.kernel.arb_words import Words
from separatrix.kernel.case import Case
from separatrix.kernel.labelled import fitting_domain

MOST_HEADS = 10
FAR = 600.0  # see `head_tables`


@dataclass(frozen=True, slots=True)
class Weights:
    """One layer of H heads. token (V, d), slot (J, d); query, key (H, d, m); logits (H, d, k) = W_V W_O W_R."""

    token: Arbs
    slot: Arbs
    query: Arbs
    key: Arbs
    logits: Arbs
    skip: Arbs | None
    bias: Arbs
    scale: Any

    @classmethod
    def of(cls, case: Case, most: int = MOST_HEADS) -> Weights:
        """Reads a model of one unmasked attention layer; UnknownError for any other, RejectedError for a misfit."""
        arch = case.model()
        domain, layer = fitting_domain(case.task, case.n, arch, case.claim.statement), arch.layers[0]
        if len(arch.layers) != 1 or not isinstance(layer, Attention) or layer.heads > most:
            raise UnknownError(f"this check decides models of one attention layer with at most {most} heads")
        if not isinstance(arch.first, Table) or arch.readout.decision != "argmax":
            raise UnknownError("this check needs a token table and an argmax read-out")
        if arch.first.positions not in (0, domain.positions):
            raise UnknownError(f"the model has {arch.first.positions} positions, the task {domain.positions}")
        if (layer.mask, layer.norm, layer.weights) != ("none", "none", "softmax"):
            raise UnknownError("this check handles unmasked softmax attention without a norm only")
        t = {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
        slot = t.get("embed.position", ab.zeros(domain.positions, arch.width))
        if arch.blank:
            slot = np.concatenate([slot, t["embed.blank"][None]])
        value, output = t["layers.0.value"], t["layers.0.output"]
        logits = [ab.dot(v, ab.dot(o, t["readout.weight"])) for v, o in zip(value, output, strict=True)]
        return cls(
            token=t["embed.token"],
            slot=slot,
            query=t["layers.0.query"],
            key=t["layers.0.key"],
            logits=np.array(logits, dtype=object),
            skip=t["readout.weight"] if layer.residual else None,
            bias=t["readout.bias"],
            scale=number(layer.scale),
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """score, e (H, J, S): scores less a shift (one float a head), and e^ of that. logits (H, J, S, k): at weight 1.

    constant (k,): bias and residual. taken (H, J, S, k), once (k,): what floating point may take from a logit, counted
    for label and rival alike; None in real arithmetic.
    """

    words: Words
    labels: np.ndarray
    score: Arbs
    e: Arbs
    logits: Arbs
    constant: Arbs
    taken: Arbs | None = None
    once: Arbs | None = None

    @classmethod
    def of(cls, weights: Weights, case: Case, group: CellGroup, spec: FloatSpec | None) -> Sight:
        """From the cells of a group; RejectedError where they are malformed."""
        domain, answers = case.task.domain(case.n), len(weights.bias)
        words = Words.of(group, domain, len(weights.token), len(weights.slot))
        labels = np.asarray(group.labels)
        if len(labels) and not 0 <= labels.min() <= labels.max() < answers:
            raise RejectedError("a cell's answer is none of the outputs")
        symbol = np.concatenate([weights.token[words.ids[:-1]], ab.zeros(1, weights.token.shape[1])])
        x = weights.token[group.token] + weights.slot[group.query]
        scores, logits = [], []
        for query, key, through in zip(weights.query, weights.key, weights.logits, strict=True):
            g = ab.dot(key, ab.dot(x, query) * weights.scale)
            scores.append(ab.dot(weights.slot, g)[:, None] + ab.dot(symbol, g))
            logits.append(ab.dot(weights.slot, through)[:, None] + ab.dot(symbol, through))
        score = np.array(scores, dtype=object)
        score = score - ab.arbs(_shift(score, words, len(group)))[:, None, None]
        constant = weights.bias
        if weights.skip is not None:
            constant = constant + ab.dot(x, weights.skip)
        taken = once = None
        if spec is not None:
            from separatrix.kernel.arb_floats import losses

            taken, once = losses(case, spec, group, words, score)
        return cls(words, labels, score, ab.exp(score), np.array(logits, dtype=object), constant, taken, once)

    def margins(self, label: int, rival: int) -> tuple[Arbs, Any]:
        """(H, J, S) what a slot and column add to logit[label] - logit[rival] at weight 1; and what all inputs add."""
        gap, constant = self.logits[..., label] - self.logits[..., rival], self.constant[label] - self.constant[rival]
        if self.taken is not None and self.once is not None:
            gap = gap - (self.taken[..., label] + self.taken[..., rival])
            constant = constant - (self.once[label] + self.once[rival])
        return gap, constant


def _shift(score: Arbs, words: Words, cells: int) -> np.ndarray:
    """(H,) floats, as in `head_tables`: there D_h is at least about 1 on every cell."""
    centre, found = ab.mid(score), np.full(len(score), np.inf)
    for cell in range(cells):
        allowed = words.only(cell)
        found = np.minimum(found, np.where(allowed, centre, np.inf).min(axis=2).max(axis=1))
    return np.maximum(found, np.where(words.anywhere(), centre, -np.inf).max(axis=(1, 2)) - FAR)
