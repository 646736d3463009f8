"""Read-once automata: a task that is answered by reading every position once, in an order of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer at a query is labels[state] after the symbols at `order` took the automaton from state 0.

    Attributes:
        order: every position once, in the order of reading.
        transitions: (states, vocabulary) the next state; complete.
        labels: (states,) the answer if the word ends here.
    """

    order: tuple[int, ...]
    transitions: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        table, labels = self.transitions, self.labels
        if sorted(self.order) != list(range(len(self.order))):
            raise InputError("a reading takes every position once")
        if table.ndim != 2 or labels.shape != table.shape[:1] or {table.dtype.kind, labels.dtype.kind} != {"i"}:
            raise InputError("a reading needs one transition a state and symbol, and one label a state")
        if not len(table) or table.min() < 0 or table.max() >= len(table) or labels.min() < 0:
            raise InputError("a reading moves between states that it has, to labels from 0 on")

    def run(self, tokens: np.ndarray) -> np.ndarray:
        """(batch,) the labels of the words (batch, positions)."""
        state = np.zeros(len(tokens), dtype=np.int64)
        for position in self.order:
            state = self.transitions[state, tokens[:, position]]
        return self.labels[state]

    @classmethod
    def of_pairs(cls, n: int, pairs: np.ndarray, labels: np.ndarray) -> Reading:
        """Reads x_i and x_{i + n/2} together, i increasing: from state s the pair (a, b) leads to pairs[s, a, b].

        State s of m stands between pairs; m + s k + a remembers the first symbol a of the next one.
        """
        m, k, _ = pairs.shape
        table = np.empty((m + m * k, k), dtype=np.int64)
        table[:m] = m + np.arange(m * k).reshape(m, k)
        table[m:] = pairs.reshape(m * k, k)
        order = np.arange(n).reshape(2, n // 2).T.reshape(-1)
        return cls(tuple(order.tolist()), table, np.concatenate([labels, np.repeat(labels, k)]))
