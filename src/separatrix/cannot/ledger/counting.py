"""Parity and majority: few states suffice, and so many are needed."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, need, of_kind, registry, state_violated
from separatrix.cannot.engine.readings import low, reading_certificate
from separatrix.cannot.reduction import EQ, GT, Reduction, last_answer, numbers
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.inner_product import Parity
from separatrix.tasks.majority import ASK, Majority

MOST_N = 2**12 + 1


def parity_bits(task: Task, n: int) -> float:
    """One bit, once there are two."""
    of_kind(Parity, task)
    return float(n >= 2)


def parity_certificate(task: Task, n: int) -> Certificate:
    """Two classes at any cut."""
    need(n >= 2 and n <= 2**16, "this bound says nothing here, or a certificate is too large")
    return reading_certificate(task, n, "rnn", "state", "classes", range(n // 2), 2)


def majority_bits(task: Task, n: int) -> float:
    """log2 (N + 3)/2: after (N + 1)/2 bits every number of ones has a future of its own."""
    of_kind(Majority, task)
    return low((n + 3) // 2)


def majority_certificate(task: Task, n: int) -> Certificate:
    """The classes after (N + 1)/2 bits."""
    need(n <= MOST_N, f"a certificate for N = {n} is too large")
    return reading_certificate(task, n, "rnn", "state", "classes", range((n + 1) // 2), (n + 3) // 2)


def one_bit_each(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """Alice's bit first, the opposite of Bob's last: the sum is odd iff they are equal."""
    tokens = np.zeros((len(a), n), dtype=np.int64)
    tokens[:, 0], tokens[:, -1] = a[:, 0], 1 - b[:, 0]
    return tokens, None


def unary(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """a ones of Alice's c = (N + 1)/2 bits, c - 1 - b of Bob's c - 1: a majority of N iff a > b."""
    c = (n + 1) // 2
    hers, his = np.array(numbers(a))[:, None], np.array(numbers(b))[:, None]
    ones = np.concatenate([np.arange(c) < hers, np.arange(c - 1) < c - 1 - his], axis=1)
    return np.concatenate([ones, np.full((len(a), 1), ASK)], axis=1), None


for entry in (
    Bound(
        name="parity-recurrent",
        task="parity",
        arch="rnn",
        source="Myhill 1957, Nerode 1958: the two states of the minimal automaton",
        expression="1",
        measure="state",
        merge=STATE,
        bits=parity_bits,
        certificate=parity_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None if n >= 2 else "with one bit there is nothing to carry",
        reduction=Reduction(EQ, lambda task, n: int(n >= 2), one_bit_each, last_answer),
    ),
    Bound(
        name="majority-recurrent",
        task="majority",
        arch="rnn",
        source="Myhill 1957, Nerode 1958: counts up to the threshold",
        expression="log₂ (N + 3)/2",
        measure="state",
        merge=STATE,
        bits=majority_bits,
        certificate=majority_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None,
        reduction=Reduction(GT, lambda task, n: ((n + 1) // 2).bit_length() - 1, unary, last_answer),
    ),
):
    registry.register(entry.name)(entry)
