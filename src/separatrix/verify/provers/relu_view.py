"""What the heads of `Weights` see from one query token, as tables, and what inputs make of it. Plain float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Sequence
from separatrix.kernel.relu_loss import Loss
from separatrix.verify.provers.relu_weights import Weights
from separatrix.verify.provers.relu_words import Words

CHUNK = 2**21  # numbers in the largest array
FAR = 600.0  # largest exponent, as in the kernel: cuts of denominators are in units of its sums


@dataclass(frozen=True, slots=True)
class View:
    """J slots, S columns, C cells, M features.

    e (H, J, S): exponentials of scores, one shift a head. values: (H, 1, S, M) and (H, J, 1, M), or one of
    (H, J, S, M), whose sum is what a slot and column have at weight 1. own (M,): features of the residual. labels (C,).
    loss: the kernel's, what floating point may take.
    """

    net: Weights
    e: np.ndarray
    values: tuple[np.ndarray, ...]
    own: np.ndarray
    words: Words
    labels: np.ndarray
    loss: Loss | None = None

    @classmethod
    def of(cls, net: Weights, group: CellGroup, domain: Sequence, loss: Loss | None = None) -> View:
        """Of a group that the kernel's own view accepts."""
        words = Words.of(group, domain, len(net.slot))
        symbols = np.concatenate([net.token[words.ids[:-1]], np.zeros((1, net.width))])
        x = net.token[group.token] + net.slot[group.query]
        parts, asks = (symbols[None], net.slot[:, None]), net.normalised(x)
        if net.pre is not None:
            parts = (net.normalised(symbols[None] + net.slot[:, None]),)
        g = np.einsum("d,hdm,hem->he", asks, net.query, net.key) * net.scale
        score = sum(np.moveaxis(part @ g.T, -1, 0) for part in parts)
        score = np.broadcast_to(score, (net.heads, *words.cells.shape[1:]))
        allowed = words.cells.any(axis=0)
        shift = np.where(allowed, score, np.inf).min(axis=2).max(axis=1)
        shift = np.maximum(shift, np.where(allowed, score, -np.inf).max(axis=(1, 2)) - FAR)
        own = x @ net.direct if net.direct is not None else np.zeros(net.features)
        values = tuple(np.einsum("jsd,hdm->hjsm", part, net.mix) for part in parts)
        assert group.labels is not None
        return cls(net, np.exp(score - shift[:, None, None]), values, own, words, group.labels, loss)

    def functional(self, weights: np.ndarray) -> np.ndarray:
        """(L, H, J, S) from (L, M)."""
        total: np.ndarray | float = 0.0
        for values in self.values:
            part = values.reshape(-1, values.shape[-1]) @ weights.T
            total = total + np.moveaxis(part.reshape(*values.shape[:3], len(weights)), 3, 0)
        return np.asarray(total)

    def table(self, which: np.ndarray) -> np.ndarray:
        """(W, H, J, S) these features at weight 1."""
        total = sum(values[..., which] for values in self.values)
        return np.moveaxis(np.asarray(total), 3, 0)

    def sums(self, choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """N (B, H, M) and D (B, H) of the inputs (B, J)."""
        heads, slots, width = self.e.shape
        weight = self.e[:, np.arange(slots), choice]  # (H, B, J)
        count = len(choice)
        total = np.zeros((heads, count, self.values[0].shape[-1]))
        for values in self.values:
            if values.shape[2] == 1:
                total += weight @ values[:, :, 0]
            elif values.shape[1] == 1:
                cells = (np.arange(heads * count) * width).reshape(heads, count, 1) + choice
                by_column = np.bincount(cells.reshape(-1), weight.reshape(-1), minlength=heads * count * width)
                total += by_column.reshape(heads, count, width) @ values[:, 0]
            else:
                for b, one in enumerate(choice):
                    total[:, b] += np.einsum("hj,hjm->hm", weight[:, b], values[:, np.arange(slots), one])
        return total.transpose(1, 0, 2), weight.sum(axis=2).T

    def features(self, choice: np.ndarray) -> np.ndarray:
        """(B, M) of the inputs (B, J)."""
        n, d = self.sums(choice)
        return self.own + (n / d[:, :, None]).sum(axis=1)
