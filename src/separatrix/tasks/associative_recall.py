"""Associative recall: K keys with a label each, then one of the keys; answer with its label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.recall_steps import Ask, Join


@registry.register("associative-recall")
@dataclass(frozen=True)
class AssociativeRecall(Task):
    """x_1 y_1 .. x_K y_K x_q: distinct keys, any labels, then one of these keys; answer with its label.

    Token ids: keys 0 .. keys-1, label s is keys + s; n = K pairs, so 2 K + 1 positions. With `joined` one token holds a
    pair: key k with label s is k labels + s, the key that asks is keys labels + k, and there are K + 1 positions.
    The two encodings are two tasks: one softmax head with a linear read-out can answer right when pairs are joined, and
    never when they are not and K >= 2 (it adds up terms of single tokens, which does not tell whose label is whose).

    >>> AssociativeRecall(keys=5, labels=3).answer(np.array([[4, 5, 1, 7, 1], [4, 5, 1, 7, 4]]))
    array([[2],
           [0]])
    >>> AssociativeRecall(keys=5, labels=3, joined=True).answer(np.array([[12, 5, 16], [12, 5, 19]]))
    array([[2],
           [0]])
    """

    keys: int = 64
    labels: int = 4
    joined: bool = False

    name = "associative-recall"
    gloss = "distinct keys with labels, then one of the keys: answer with its label"
    source = "Bhattamishra, Hahn, Blunsom, Kanade 2024, Proposition 9 (associative recall, one query)"
    length_word = "pairs"

    def __post_init__(self) -> None:
        if not 1 <= self.keys <= 2**16 or not 2 <= self.labels <= 2**10:
            raise InputError(
                f"associative-recall: keys = {self.keys}, labels = {self.labels}; take 1 to {2**16} and 2 to {2**10}"
            )

    def _keys_of(self, n: int) -> tuple[int, ...]:
        """The positions that hold keys."""
        return tuple(range(n)) if self.joined else tuple(range(0, 2 * n, 2))

    def _classes(self) -> tuple[int, ...]:
        """The key of every token that has one, where tokens are pairs."""
        if not self.joined:
            return ()
        return (*np.repeat(np.arange(self.keys), self.labels).tolist(), *range(self.keys))

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= self.keys:
            raise InputError(f"associative-recall: n = {n}; take 1 to {self.keys} pairs, as many as there are keys")
        keys, labels = np.arange(self.keys), self.keys + np.arange(self.labels)
        if self.joined:
            alphabets = (np.arange(self.keys * self.labels),) * n + (self.keys * self.labels + keys,)
        else:
            alphabets = (keys, labels) * n + (keys,)
        constraint = Constraint(
            "distinct", positions=self._keys_of(n), classes=self._classes(), present=len(alphabets) - 1
        )
        return Sequence(
            alphabets, self.keys * (self.labels + 1) if self.joined else self.keys + self.labels, constraint
        )

    def outputs(self) -> Labels:
        return Labels(self.labels)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n if self.joined else 2 * n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        if self.joined:
            keys, labels = np.divmod(tokens[:, :-1], self.labels)
            asked = tokens[:, -1:] - self.keys * self.labels
        else:
            keys, labels, asked = tokens[:, :-1:2], tokens[:, 1::2] - self.keys, tokens[:, -1:]
        return np.take_along_axis(labels, (keys == asked).argmax(axis=1)[:, None], axis=1)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """For each key k that asks, K |labels| cells: it stands in pair p with label s; the keys are distinct."""
        pair, label = (grid.reshape(-1) for grid in np.divmod(np.arange(n * self.labels), self.labels))
        distinct = Constraint("distinct", positions=self._keys_of(n), classes=self._classes())
        for k in range(self.keys):
            if self.joined:
                token, places, symbols = self.keys * self.labels + k, pair[:, None], (k * self.labels + label)[:, None]
            else:
                token, places = k, np.stack([2 * pair, 2 * pair + 1], axis=1)
                symbols = np.stack([np.full(len(pair), k), self.keys + label], axis=1)
            yield CellGroup(query, token, places, symbols, labels=label, constraint=distinct)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """With keys and labels apart: join each label to its key, then ask."""
        if self.joined:
            return {}
        return {"induction": (Join(self.keys, self.labels, 1), Ask(self.keys, self.labels, 1, "only"))}

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        if distribution != "uniform":
            raise InputError(f"associative-recall: distribution {distribution!r} is not known; there is `uniform`")
        domain = self.domain(n)
        keys = rng.random((size, self.keys)).argsort(axis=1)[:, :n]
        labels, asked = rng.integers(0, self.labels, (size, n)), rng.integers(0, n, (size, 1))
        asked = np.take_along_axis(keys, asked, axis=1)
        if self.joined:
            return np.concatenate([keys * self.labels + labels, self.keys * self.labels + asked], axis=1), None
        tokens = np.empty((size, domain.positions), dtype=np.int64)
        tokens[:, :-1:2], tokens[:, 1::2], tokens[:, -1:] = keys, self.keys + labels, asked
        return tokens, None

    def splits(self, n: int) -> tuple[int, ...]:
        return (n if self.joined else 2 * n,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        if self.joined:
            pairs, asked = np.divmod(tokens[:-1], self.labels), tokens[-1] - self.keys * self.labels
        else:
            pairs, asked = (tokens[:-1:2], tokens[1::2] - self.keys), tokens[-1]
        return " ".join(f"{k}:{s}" for k, s in zip(*pairs, strict=True)) + f" ? {asked}"
