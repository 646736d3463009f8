"""The heads prover's own tables, in plain float64: what `kernel.head_tables` holds in balls, computed anew.

Shares no code with the kernel but the numbers of its rounding budget, which say what a floating-point claim means.
A group's columns: the symbols that its cells allow, increasing; the query's own token; the blank's, which adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Attention
from separatrix.core.domain import CellGroup, Sequence
from separatrix.core.semantics import FloatSpec
from separatrix.kernel.head_loss import Budget
from separatrix.models.model import Model
from separatrix.verify.provers.head_words import Words

MORE = 1.0 + 1e-5  # the kernel rounds its losses up; multipliers must be good for those
FAR = 600.0  # greatest exponent of a table, as in the kernel: multipliers are in units of its sums


@dataclass(frozen=True, slots=True)
class Weights:
    """token (V, d), slot (J, d), query, key (H, d, m), logits (H, d, k), readout (d, k) or None without a residual."""

    token: np.ndarray
    slot: np.ndarray
    query: np.ndarray
    key: np.ndarray
    logits: np.ndarray
    readout: np.ndarray | None
    bias: np.ndarray
    scale: float
    budget: Budget | None

    @classmethod
    def of(cls, model: Model, positions: int, spec: FloatSpec | None) -> Weights:
        """Of a model of one attention layer on a token table."""
        t = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}
        layer = model.arch.layers[0]
        assert isinstance(layer, Attention)
        slot = t.get("embed.position", np.zeros((positions, model.arch.width)))
        if model.arch.blank:
            slot = np.concatenate([slot, t["embed.blank"][None]])
        return cls(
            token=t["embed.token"],
            slot=slot,
            query=t["layers.0.query"],
            key=t["layers.0.key"],
            logits=np.einsum(
                "hdv,hve,ek->hdk", *(t[f"layers.0.{n}"] for n in ("value", "output")), t["readout.weight"]
            ),
            readout=t["readout.weight"] if layer.residual else None,
            bias=t["readout.bias"],
            scale=layer.scale,
            budget=None if spec is None else Budget.of(model.transformer, model.tensors, positions, spec),
        )


@dataclass(frozen=True, slots=True)
class Board:
    """One group from its query's token.

    at (C, J, W): columns allowed, the first repeated where there are fewer. ids (S,): of the columns, -1 the blank's.
    e (H, J, S). symbol (H, S, k), slot (H, J, k): what they add to the logits. constant (k,). words: None for products.
    loss: None, or what rounding takes: grown (H, J, S) times the sum of sizes (H, S, k) and (H, J, k) of two logits;
    once (k,), of their constants, and the underflow of a margin.
    """

    group: CellGroup
    at: np.ndarray
    ids: np.ndarray
    e: np.ndarray
    symbol: np.ndarray
    slot: np.ndarray
    constant: np.ndarray
    words: Words | None
    loss: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float] | None

    @classmethod
    def of(cls, weights: Weights, group: CellGroup, domain: Sequence) -> Board:
        """Of a group that the kernel's own view accepts."""
        where = group.background or domain.alphabets
        others = {id(a): np.asarray(a) for j, a in enumerate(where) if j != group.query}
        used = np.unique(np.concatenate([group.symbols.reshape(-1), *others.values()])).astype(np.int64)
        width = max((len(a) for a in others.values()), default=1)
        rows = {name: np.searchsorted(used, np.resize(a, width)) for name, a in others.items()}
        for name, a in others.items():
            rows[name][len(a) :] = rows[name][0]
        base = [np.full(width, len(used)) if j == group.query else rows[id(a)] for j, a in enumerate(where)]
        base += [np.full(width, len(used) + 1)] * (len(weights.slot) - len(where))
        at = np.repeat(np.array(base)[None], len(group), axis=0)
        forced = np.searchsorted(used, group.symbols)
        at[np.arange(len(group))[:, None], group.positions] = forced[:, :, None]

        token = np.concatenate(
            [weights.token[used], weights.token[[group.token]], np.zeros((1, weights.token.shape[1]))]
        )
        x = weights.token[group.token] + weights.slot[group.query]
        g = np.einsum("d,hdm,hem->he", x, weights.query, weights.key) * weights.scale
        score = (weights.slot @ g.T).T[:, :, None] + (token @ g.T).T[:, None]
        allowed = score[:, np.arange(at.shape[1])[:, None], at]  # (H, C, J, W)
        shift = allowed.min(axis=3).max(axis=2).min(axis=1)
        shift = np.maximum(shift, allowed.max(axis=(1, 2, 3)) - FAR)
        skip = 0.0 if weights.readout is None else x @ weights.readout
        words = None
        if group.constraint.kind != "product":
            words = Words.of(group, used, at, len(where))
        return cls(
            group=group,
            at=at,
            ids=np.concatenate([used, [group.token, -1]]),
            e=np.exp(score - shift[:, None, None]),
            symbol=np.einsum("sd,hdk->hsk", token, weights.logits),
            slot=np.einsum("jd,hdk->hjk", weights.slot, weights.logits),
            constant=weights.bias + skip,
            words=words,
            loss=None if weights.budget is None else _loss(weights, group, token, score, allowed, at),
        )

    def spans(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(cells, H) least and greatest sum of e in these cells."""
        e = self.own(cells)
        if self.words is None:
            return e.min(axis=3).sum(axis=2), e.max(axis=3).sum(axis=2)
        both = [self.words.least(int(c), np.concatenate([x, -x]))[0] for c, x in zip(cells, e, strict=True)]
        low, high = np.array(both).reshape(len(cells), 2, -1).transpose(1, 0, 2)
        return low, -high

    def span_prices(self) -> np.ndarray | None:
        """(C, 2 H, classes) prices that prove them where words are distinct; None elsewhere."""
        if self.words is None or self.words.constraint.kind != "distinct":
            return None
        e = self.own(np.arange(len(self.at)))
        return np.array([self.words.prices(c, np.concatenate([x, -x])) for c, x in enumerate(e)])

    def own(self, cells: np.ndarray) -> np.ndarray:
        """(cells, H, J, W) exponentials of what these cells allow."""
        return self.e[:, np.arange(self.at.shape[1])[:, None], self.at[cells]].transpose(1, 0, 2, 3)

    @property
    def labels(self) -> np.ndarray:
        """(C,) the right answers."""
        assert self.group.labels is not None
        return self.group.labels


def _loss(
    weights: Weights, group: CellGroup, token: np.ndarray, score: np.ndarray, allowed: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """The formulas of `kernel.head_loss`, in plain floats."""
    assert weights.budget is not None
    own = np.abs(weights.token[group.token]) + np.abs(weights.slot[group.query])
    signs, places, grown, symbol, slot = np.abs(token), np.abs(weights.slot), [], [], []
    slots = np.arange(at.shape[1])[:, None]
    for h, r in enumerate(weights.budget.heads):
        absolute = own @ np.abs(weights.query[h]) @ np.abs(weights.key[h]).T * abs(weights.scale) * r.score_error
        error = (places @ absolute)[:, None] + signs @ absolute + r.score_underflow
        worst, distance = error[slots, at].max(), np.maximum(allowed[h].max() - score[h], 0.0)
        lam = error + r.unit * (distance + 2 * worst) + r.exp_error
        mine, e = lam[slots, at], np.exp(allowed[h] - allowed[h].max())
        moved, whole = (e * _growth(mine)).max(axis=(0, 2)).sum(), e.min(axis=(0, 2)).sum()
        share = moved / whole if 2 * moved < whole else 1.0
        zeta = min(mine.max(), share / (1 - share) if share < 1 else np.inf)
        grown.append(_growth(lam + zeta + r.sum_error + r.path))
        symbol.append(signs @ r.logit_sizes)
        slot.append(places @ r.logit_sizes)
    constant = np.abs(weights.bias) + (0.0 if weights.readout is None else own @ np.abs(weights.readout))
    once = constant * _growth(np.array(max(r.path for r in weights.budget.heads)))
    underflow = sum(r.underflow for r in weights.budget.heads) * MORE
    return np.array(grown), np.array(symbol), np.array(slot), once, underflow


def _growth(x: np.ndarray) -> np.ndarray:
    """A little more than e^x - 1; by x / (1 - x/2) up to 1, as the kernel has it."""
    return MORE * np.where(x <= 1.0, x / (1.0 - np.minimum(x, 1.0) / 2), np.expm1(x))
