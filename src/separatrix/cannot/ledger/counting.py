"""Parity and majority: few states suffice, and so many are needed."""

from __future__ import annotations

from separatrix.cannot.bound import STATE, Bound, need, of_kind, registry, state_violated
from separatrix.cannot.engine.readings import low, reading_certificate
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.inner_product import Parity
from separatrix.tasks.majority import Majority

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
    ),
):
    registry.register(entry.name)(entry)
