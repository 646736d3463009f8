"""Associative recall, multi-query recall, nearest neighbour: labels of the pairs must be kept, or sent, one by one.

Recurrent models keep the label of every pair. For one attention layer Alice holds the labels and Bob the keys, so this
is about encodings in which they stand at positions of their own; the key that asks is known to both, and Bob chooses
the pair that holds it (as in Sanford, Hsu, Telgarsky 2024 for induction heads).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.cannot.bound import (
    MOST_ENTRIES,
    STATE,
    Bound,
    log2_sum,
    need,
    one_way_violated,
    registry,
    state_violated,
)
from separatrix.cannot.engine.boxes import boxes_certificate
from separatrix.cannot.messages import ONE_WAY
from separatrix.cannot.reduction import INDEX, Reduction
from separatrix.core.certificate import Certificate
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.multi_query_recall import MultiQueryRecall
from separatrix.tasks.nearest_neighbour import NearestNeighbour

MOST_CELLS = 2**26  # that the kernel streams for one certificate


@dataclass(frozen=True, slots=True)
class Layout:
    """Where pairs stand: keys that may be told apart, labels, whether one token holds a pair, and the query."""

    keys: int
    labels: int
    joined: bool
    query: int
    cut: int
    distinct: bool

    @classmethod
    def of(cls, task: Task, n: int) -> Layout:
        """From the task; InputError for others."""
        match task:
            case AssociativeRecall():
                return cls(task.keys, task.labels, task.joined, task.queries(n)[0], task.splits(n)[0], True)
            case NearestNeighbour():
                return cls(2**task.dim, task.labels, task.joined, task.queries(n)[0], task.splits(n)[0], False)
            case MultiQueryRecall():
                return cls(task.keys, task.labels, False, 2 * n, 2 * n, False)
        raise InputError(f"this bound is about recall tasks, not {task.name}")

    def word(self, positions: int, keys: np.ndarray, labels: np.ndarray, asked: int) -> np.ndarray:
        """The tokens of pairs with these keys and labels (0 .. labels-1) and this key that asks."""
        word, n = np.zeros(positions, dtype=np.int64), len(keys)
        if self.joined:
            word[:n], word[n] = keys * self.labels + labels, self.keys * self.labels + asked
        else:
            word[0 : 2 * n : 2], word[1 : 2 * n : 2], word[self.query] = keys, self.keys + labels, asked
        return word

    def place(self, pair: int) -> int:
        """The position of the pair's label."""
        return pair if self.joined else 2 * pair + 1

    def symbols(self, key: int) -> list[int]:
        """What may stand there, label by label."""
        first = key * self.labels if self.joined else self.keys
        return list(range(first, first + self.labels))


def kept(task: Task, n: int) -> int:
    """Pairs whose labels a state must keep."""
    return min(n, Layout.of(task, n).keys)


def recurrent_bits(task: Task, n: int) -> float:
    """min(K, keys) log2 labels."""
    return log2_sum({Layout.of(task, n).labels: kept(task, n)})


def recurrent_certificate(task: Task, n: int) -> Certificate:
    """The last pairs have all the different keys; Bob asks for one of them."""
    layout, u, positions = Layout.of(task, n), kept(task, n), task.domain(n).positions
    _affordable(layout, n, positions, u)
    keys = np.concatenate([np.zeros(n - u, dtype=np.int64), np.arange(u)])
    blank = np.zeros(n, dtype=np.int64)
    words = np.stack([layout.word(positions, keys, blank, asked) for asked in range(u)])
    sets = {layout.place(n - u + k): layout.symbols(k) for k in range(u)}
    return boxes_certificate(task, n, layout.query, sets, words, layout.cut)


def one_way_bits(task: Task, n: int) -> float:
    """K log2 labels; 0 where a pair is one token, or all keys are one."""
    return log2_sum({Layout.of(task, n).labels: n}) if one_way_vacuous(task, n) is None else 0.0


def one_way_certificate(task: Task, n: int) -> Certificate:
    """Key 0 asks; in Bob's k-th word pair k holds it, and the others other keys."""
    layout, positions = Layout.of(task, n), task.domain(n).positions
    need(one_way_vacuous(task, n) is None, "this bound says nothing here")
    _affordable(layout, n, positions, n)
    blank, pairs = np.zeros(n, dtype=np.int64), np.arange(n)
    words = [
        layout.word(positions, (pairs - k) % n if layout.distinct else (pairs != k).astype(np.int64), blank, 0)
        for k in range(n)
    ]
    return boxes_certificate(
        task, n, layout.query, {layout.place(k): layout.symbols(0) for k in range(n)}, np.stack(words)
    )


def one_way_vacuous(task: Task, n: int) -> str | None:
    """A sentence unless labels have tokens of their own and there are two keys."""
    layout = Layout.of(task, n)
    if layout.joined:
        return "a pair is one token: what holds its label knows its key, and sends only the label that is asked for"
    return None if layout.keys >= 2 or n == 1 else "there is one key only: the last label is all that counts"


def _affordable(layout: Layout, n: int, positions: int, words: int) -> None:
    cells = layout.keys * n * layout.labels * (1 if layout.distinct else positions)
    need(words * positions <= MOST_ENTRIES, f"a certificate for N = {n} is too large")
    need(cells <= MOST_CELLS, f"the task has too many cells to certify this at N = {n}")


def lookup(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX of min(K, keys) bits: bit k is the label of key k, and b asks for one key."""
    layout, u, positions = Layout.of(task, n), kept(task, n), task.domain(n).positions
    keys = np.concatenate([np.zeros(n - u, dtype=np.int64), np.arange(u)])
    blank = np.zeros(n - u, dtype=np.int64)
    rows = [
        layout.word(positions, keys, np.concatenate([blank, bits]), int(asked.argmax()))
        for bits, asked in zip(a, b, strict=True)
    ]
    return np.stack(rows), None


def hidden_key(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """INDEX of K bits: bit k is the label of pair k, and b says which pair holds key 0, which always asks."""
    layout, positions, pairs = Layout.of(task, n), task.domain(n).positions, np.arange(n)
    rows = []
    for bits, asked in zip(a, b, strict=True):
        keys = (pairs - asked.argmax()) % n if layout.distinct else 1 - asked
        rows.append(layout.word(positions, keys, bits, 0))
    return np.stack(rows), None


def first_answer(task: Task, answers: np.ndarray) -> np.ndarray:
    """The label at the first query."""
    return answers[:, 0]


BHATTAMISHRA = "Bhattamishra, Hahn, Blunsom, Kanade 2024"
SOURCES = {
    "associative-recall": ("K", f"{BHATTAMISHRA}, Proposition 9"),
    "multi-query-recall": ("min(K, keys)", f"{BHATTAMISHRA}, Theorem 8 (as nearest neighbour)"),
    "nearest-neighbour": ("min(K, 2^dim)", f"{BHATTAMISHRA}, Theorem 8"),
}
for name, (least, source) in SOURCES.items():
    registry.register(f"{name}-recurrent")(
        Bound(
            name=f"{name}-recurrent",
            task=name,
            arch="rnn",
            source=source,
            expression=f"{least} log₂ labels",
            measure="state",
            merge=STATE,
            bits=recurrent_bits,
            certificate=recurrent_certificate,
            violated=state_violated,
            vacuous=lambda task, n: None,
            reduction=Reduction(INDEX, kept, lookup, first_answer),
        )
    )
    registry.register(f"{name}-one-layer")(
        Bound(
            name=f"{name}-one-layer",
            task=name,
            arch="transformer",
            source="one-way argument from a known query, as in Sanford, Hsu, Telgarsky 2024 (induction heads)",
            expression="K log₂ labels",
            measure="one-way",
            merge=ONE_WAY,
            bits=one_way_bits,
            certificate=one_way_certificate,
            violated=one_way_violated,
            vacuous=one_way_vacuous,
            status="derived here",
            reduction=Reduction(
                INDEX, lambda task, n: n if one_way_vacuous(task, n) is None else 0, hidden_key, first_answer
            ),
        )
    )
