"""Communication problems, and reductions: vectorised maps from the inputs of two parties to the tokens of a task."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from separatrix.core.task import Task


@dataclass(frozen=True, slots=True)
class Problem:
    """A function of two inputs. alice, bob: how many inputs each has for k bits; value: (a, b) rows of bits -> bit.

    `index`: Bob's input is a number below k, one-hot; everywhere else both hold k bits.
    """

    name: str
    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    one_hot: bool = False

    def inputs(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """All pairs: two arrays (pairs, k) of bits."""
        a = np.array(list(itertools.product((0, 1), repeat=k)))
        b = np.eye(k, dtype=np.int64) if self.one_hot else a
        return np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))

    def sample(self, k: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Random pairs: independent, equal, apart in one place, or without a common element but for perhaps one."""
        a = rng.integers(0, 2, (size, k))
        if self.one_hot:
            return a, np.eye(k, dtype=np.int64)[rng.integers(0, k, size)]
        place, kind = np.arange(k) == rng.integers(0, k, (size, 1)), rng.integers(0, 5, (size, 1))
        choices = [rng.integers(0, 2, (size, k)), a, np.where(place, 1 - a, a), 1 - a, np.where(place, 1, 1 - a)]
        return a, np.choose(kind, choices)


INDEX = Problem("INDEX", lambda a, b: np.asarray((a * b).sum(axis=1)), one_hot=True)
EQ = Problem("EQ", lambda a, b: np.asarray((a == b).all(axis=1), dtype=np.int64))
DISJ = Problem("DISJ", lambda a, b: np.asarray((a * b).any(axis=1), dtype=np.int64))
IP = Problem("IP", lambda a, b: np.asarray((a * b).sum(axis=1) % 2))
GT = Problem(
    "GT", lambda a, b: np.array([int(x > y) for x, y in zip(a.tolist(), b.tolist(), strict=True)], dtype=np.int64)
)


def last_answer(task: Task, answers: np.ndarray) -> np.ndarray:
    """The label at the last query, which is the bit."""
    return answers[:, -1]


def numbers(bits: np.ndarray) -> list[int]:
    """What rows of bits are as numbers, the first bit the highest."""
    return [int("".join(map(str, row)) or "0", 2) for row in bits.tolist()]


@dataclass(frozen=True, slots=True)
class Reduction:
    """A problem of k bits inside a task.

    Attributes:
        bits: (task, n) -> k.
        tokens: (task, n, a, b) -> tokens, or (tokens, reals); each token depends on one party's input.
        decode: (task, answers (batch, queries[, dim])) -> the problem's bit.
    """

    problem: Problem
    bits: Callable[[Task, int], int]
    tokens: Callable[[Task, int, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray | None]]
    decode: Callable[[Task, np.ndarray], np.ndarray]

    def run(self, task: Task, n: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The task's answers, read as the problem's."""
        tokens, reals = self.tokens(task, n, a, b)
        return self.decode(task, task.answer(tokens, reals))
