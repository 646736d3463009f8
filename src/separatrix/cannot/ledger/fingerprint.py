"""Fingerprints: the residue of the first half must be kept, and nothing else."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, need, of_kind, registry, state_violated
from separatrix.cannot.engine.readings import low
from separatrix.cannot.engine.rows import rows_certificate
from separatrix.cannot.reduction import EQ, Reduction, last_answer
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.fingerprint import Fingerprint

MOST_N, MOST_RESIDUES = 2**12, 2**13


def residues(task: Fingerprint, n: int) -> int:
    """Residues that N/2 bits can have: the numbers below 2^(N/2), or all."""
    return min(task.prime, 1 << min(n // 2, 30))


def bits(task: Task, n: int) -> float:
    """log2 of these."""
    return low(residues(of_kind(Fingerprint, task), n))


def certificate(task: Task, n: int) -> Certificate:
    """The numbers below the prime, or below 2^(N/2), in the one half and in the other."""
    fingerprint, half = of_kind(Fingerprint, task), n // 2
    count = residues(fingerprint, n)
    need(n <= MOST_N and count <= MOST_RESIDUES, f"a certificate for N = {n} and {count} residues is too large")
    words = np.arange(count)[:, None] >> np.minimum(np.arange(half), 62) & 1
    return rows_certificate(task, n, half, words, words)


def equality_bits(task: Task, n: int) -> int:
    """Whole bits of a residue."""
    return min(n // 2, of_kind(Fingerprint, task).prime.bit_length() - 1)


def equality(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """EQ: two numbers below the prime are congruent iff they are equal."""
    tokens, k = np.zeros((len(a), n), dtype=np.int64), a.shape[1]
    tokens[:, :k], tokens[:, n // 2 : n // 2 + k] = a, b
    return tokens, None


registry.register("fingerprint-recurrent")(
    Bound(
        name="fingerprint-recurrent",
        task="fingerprint",
        arch="rnn",
        source="Myhill 1957, Nerode 1958: residues of the first half (the O(log N) bits of randomised equality)",
        expression="log₂ of the prime, for 2^(N/2) beyond it",
        measure="state",
        merge=STATE,
        bits=bits,
        certificate=certificate,
        violated=state_violated,
        vacuous=lambda task, n: None,
        status="derived here",
        reduction=Reduction(EQ, equality_bits, equality, last_answer),
    )
)
