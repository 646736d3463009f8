"""Multi-query associative recall: K pairs of key and label, then K keys, each to be answered with its label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import registry
from separatrix.tasks.recall_steps import Ask, Join


@registry.register("multi-query-recall")
@dataclass(frozen=True)
class MultiQueryRecall(Task):
    """x_1 y_1 .. x_K y_K q_1 .. q_K; answer q_t with its latest label, or `labels` if it has none.

    Token ids: keys 0 .. keys-1, label s is keys + s. n = K, so 3 K positions of which the last K are scored. The
    paper's inputs, where the pairs have distinct keys and the queries are these keys again, are some of these.

    >>> MultiQueryRecall(keys=3, labels=2).answer(np.array([[2, 3, 0, 4, 0, 1]]))
    array([[1, 2]])
    """

    keys: int = 64
    labels: int = 4

    name = "multi-query-recall"
    gloss = "keys with labels, then as many keys: answer each with the label of its latest pair"
    source = "Arora et al. 2024 (multi-query associative recall); Bhattamishra et al. 2024, Theorem 8"
    length_word = "pairs"

    def __post_init__(self) -> None:
        if not 1 <= self.keys <= 2**16 or not 2 <= self.labels <= 2**10:
            raise InputError(
                f"multi-query-recall: keys = {self.keys}, labels = {self.labels}; take 1 to {2**16} and 2 to {2**10}"
            )

    def domain(self, n: int) -> Sequence:
        if not 1 <= n <= 2**18:
            raise InputError(f"multi-query-recall: n = {n}; take 1 to {2**18} pairs")
        keys, labels = np.arange(self.keys), self.keys + np.arange(self.labels)
        return Sequence((keys, labels) * n + (keys,) * n, self.keys + self.labels)

    def outputs(self) -> Labels:
        return Labels(self.labels + 1)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(2 * n, 3 * n))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1] // 3
        rows = np.arange(len(tokens))
        held = np.full((len(tokens), self.keys), self.labels)  # the label of each key, as pairs are read
        for pair in range(n):
            held[rows, tokens[:, 2 * pair]] = tokens[:, 2 * pair + 1] - self.keys
        return held[rows[:, None], tokens[:, 2 * n :]]

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """For each key that asks: pair p holds it with label s and no later pair does; or no pair does."""
        keys, every = np.arange(self.keys), np.arange(self.labels)
        labels = self.keys + every
        empty = np.zeros((1, 0), dtype=np.int64)
        for asked in range(self.keys):
            others = np.delete(keys, asked)
            for p in range(n):
                background = (keys, labels) * (p + 1) + (others, labels) * (n - p - 1) + (keys,) * n
                if len(others) or p == n - 1:
                    places = np.tile([2 * p, 2 * p + 1], (self.labels, 1))
                    symbols = np.stack([np.full(self.labels, asked), labels], axis=1)
                    yield CellGroup(query, asked, places, symbols, labels=every, background=background)
            if len(others):
                background = (others, labels) * n + (keys,) * n
                yield CellGroup(query, asked, empty, empty, labels=np.array([self.labels]), background=background)

    def factors(self) -> dict[str, tuple[Task, ...]]:
        """Join each label to its key, then ask."""
        return {"induction": (Join(self.keys, self.labels), Ask(self.keys, self.labels))}

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform`; `permuted`: distinct keys, and the queries are these keys in another order (n <= keys)."""
        if distribution not in ("uniform", "permuted") or (distribution == "permuted" and n > self.keys):
            raise InputError(f"multi-query-recall: distribution {distribution!r} is not known, or n = {n} > keys")
        tokens = np.empty((size, self.domain(n).positions), dtype=np.int64)
        tokens[:, 1 : 2 * n : 2] = self.keys + rng.integers(0, self.labels, (size, n))
        if distribution == "uniform":
            tokens[:, : 2 * n : 2] = rng.integers(0, self.keys, (size, n))
            tokens[:, 2 * n :] = rng.integers(0, self.keys, (size, n))
        else:
            tokens[:, : 2 * n : 2] = rng.random((size, self.keys)).argsort(axis=1)[:, :n]
            order = rng.random((size, n)).argsort(axis=1)
            tokens[:, 2 * n :] = np.take_along_axis(tokens[:, : 2 * n : 2], order, axis=1)
        return tokens, None

    def splits(self, n: int) -> tuple[int, ...]:
        return (2 * n,)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        n = len(tokens) // 3
        pairs = (f"{k}:{s - self.keys}" for k, s in tokens[: 2 * n].reshape(n, 2).tolist())
        return " ".join(pairs) + " ? " + " ".join(map(str, tokens[2 * n :].tolist()))
