"""The steps of recall and nearest neighbour with keys and labels apart: join each label to the key before it, then ask.

Positions: key, label, key, label, .., and then keys that ask. Behind the first step a label's position holds the pair
(key k with label s is k labels + s), and a key's position the key (keys labels + k), as where pairs are one token. Not
registered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.tasks.flags import EMPTY
from separatrix.tasks.step import Step


@dataclass(frozen=True)
class Join(Step):
    """Each label's position answers with the key before it and itself, each key's position with the key.

    >>> Join(keys=5, labels=3, asked=1).answer(np.array([[4, 5, 1, 7, 1]]))
    array([[19, 12, 16,  5, 16]])
    """

    keys: int = 2
    labels: int = 2
    asked: int = 0

    name = "recall-join"
    gloss = "each label with the key before it"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 7 (induction style: the first layer)"
    length_word = "pairs"

    def asking(self, n: int) -> int:
        """How many keys ask: as many as there are pairs where `asked` is 0."""
        return self.asked or n

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**20:
            raise InputError(f"{self.name}: n = {n}; take 1 to {2**20} pairs")
        keys, labels = np.arange(self.keys), self.keys + np.arange(self.labels)
        return Sequence((keys, labels) * n + (keys,) * self.asking(n), vocabulary=self.keys + self.labels)

    def outputs(self) -> Labels:
        return Labels(self.keys * (self.labels + 1))

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(2 * n + self.asking(n)))

    def is_label(self, n: int) -> np.ndarray:
        """(positions,) where labels stand."""
        at = np.arange(2 * n + self.asking(n))
        return (at % 2 == 1) & (at < 2 * n)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1] // 3 if not self.asked else (tokens.shape[1] - self.asked) // 2
        pairs = np.roll(tokens, 1, axis=1) * self.labels + tokens - self.keys
        return np.where(self.is_label(n), pairs, self.keys * self.labels + tokens)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By own symbol; for a label by the key before it, too."""
        keys, first = np.arange(self.keys), self.keys * self.labels
        if not self.is_label(n)[query]:
            for key in range(self.keys):
                yield CellGroup(query, key, EMPTY, EMPTY, labels=np.array([first + key]))
            return
        before = np.full((self.keys, 1), query - 1)
        for label in range(self.labels):
            yield CellGroup(query, self.keys + label, before, keys[:, None], labels=keys * self.labels + label)


@dataclass(frozen=True)
class Ask(Join):
    """Reads the labels of `Join`; each key that asks answers with its pair's label, or `labels` where it has no pair.

    which: of several pairs with the key, the `latest`; or `only`, where it stands in one pair exactly (and cells speak
    of such words alone).

    >>> Ask(keys=5, labels=3, asked=1).answer(np.array([[19, 12, 16,  5, 16], [19, 12, 16, 5, 15]]))
    array([[2],
           [3]])
    """

    which: Literal["only", "latest"] = "latest"

    name = "recall-ask"
    gloss = "the label of the pair with the key that asks"

    def domain(self, n: int) -> Sequence:
        super().domain(n)
        pairs = np.arange(self.keys * self.labels)
        singles = len(pairs) + np.arange(self.keys)
        return Sequence((singles, pairs) * n + (singles,) * self.asking(n), vocabulary=self.keys * (self.labels + 1))

    def outputs(self) -> Labels:
        return Labels(self.labels + (self.which == "latest"))

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(2 * n, 2 * n + self.asking(n)))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1] // 3 if not self.asked else (tokens.shape[1] - self.asked) // 2
        keys, labels = np.divmod(tokens[:, 1 : 2 * n : 2], self.labels)
        hit = keys[:, None] == (tokens[:, 2 * n :] - self.keys * self.labels)[:, :, None]  # (batch, asking, pairs)
        latest = n - 1 - hit[:, :, ::-1].argmax(axis=2)
        return np.where(hit.any(axis=2), np.take_along_axis(labels, latest, axis=1), self.labels)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """For each key that asks: pair p holds it with label s and no later pair does (no other, for `only`)."""
        pairs, every = np.arange(self.keys * self.labels), np.arange(self.labels)
        for key in range(self.keys):
            token, others = len(pairs) + key, np.delete(pairs, slice(key * self.labels, (key + 1) * self.labels))
            pair, label = (grid.reshape(-1) for grid in np.indices((n, self.labels)))
            places, symbols = 2 * pair[:, None] + 1, (key * self.labels + label)[:, None]
            if self.which == "only":
                ground = self._background(n, n, others, others)
                yield CellGroup(query, token, places, symbols, labels=label, background=ground)
                continue
            for p in range(n):
                own = pair == p
                ground = self._background(n, p, pairs, others)
                yield CellGroup(query, token, places[own], symbols[own], labels=every, background=ground)
            ground = self._background(n, n, others, others)
            yield CellGroup(query, token, EMPTY, EMPTY, labels=np.array([self.labels]), background=ground)

    def _background(self, n: int, p: int, early: np.ndarray, late: np.ndarray) -> tuple[np.ndarray, ...]:
        """Pairs before p from `early`, from p on from `late`; any key elsewhere."""
        singles = self.keys * self.labels + np.arange(self.keys)
        return (singles, early) * p + (singles, late) * (n - p) + (singles,) * self.asking(n)
