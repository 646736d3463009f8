"""Sparse propagation: what is on its way to later positions must be kept, a number for each of them."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, certificate, need, of_kind, registry, state_violated
from separatrix.cannot.reduction import EQ, Reduction
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.sparse_propagation import SparsePropagation

MOST_SIGNS = 12  # all of whose words are written down
ROOM = 2.0**-30  # what certificates leave for float64


def receivers(task: SparsePropagation, n: int) -> int:
    """floor(N/2) positions behind the cut, where the q - 1 other receivers find room before it."""
    return n // 2 if task.q <= n - n // 2 and task.eps < 1.0 - ROOM else 0


def bits(task: Task, n: int) -> float:
    """One sign for each of them."""
    return float(receivers(of_kind(SparsePropagation, task), n))


def words(task: SparsePropagation, n: int, hers: np.ndarray, his: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and real parts: Alice's j-th token and Bob's send hers[:, j] and his[:, j] to Bob's j-th position.

    The other receivers are Alice's first positions; a token of hers that is left over sends 0 there.
    """
    u, cut, q = receivers(task, n), n - receivers(task, n), task.q
    tokens = np.tile(np.arange(q), (n, 1))
    tokens[:u, q - 1] = tokens[cut:, q - 1] = np.arange(cut, n)
    reals = np.zeros((len(hers), n, task.dim))
    reals[:, :u, 0], reals[:, cut:, 0] = hers, his
    return np.repeat(tokens[None], len(hers), axis=0), reals


def signs_certificate(task: Task, n: int) -> Certificate:
    """All words of signs; Bob's tokens send to Alice's positions alone."""
    sparse = of_kind(SparsePropagation, task)
    u, cut = receivers(sparse, n), n - receivers(sparse, n)
    need(0 < u <= MOST_SIGNS, f"this bound says nothing here, or a certificate for N = {n} is too large")
    signs = 2 * (np.arange(2**u)[:, None] >> np.arange(u) & 1) - 1
    tokens, reals = words(sparse, n, signs, np.zeros_like(signs))
    tokens[:, cut:] = np.arange(sparse.q)
    return certificate(
        task,
        n,
        "communication",
        "rnn",
        "state",
        float(u),
        {"measure": "rows", "cut": cut},
        prefixes=tokens[:, :cut],
        suffixes=tokens[:1, cut:],
        prefix_reals=reals[:, :cut],
        suffix_reals=reals[:1, cut:],
    )


def equality(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """EQ: her signs and the opposite of his arrive together."""
    return words(of_kind(SparsePropagation, task), n, 2 * a - 1, 1 - 2 * b)


def nothing_arrives(task: Task, answers: np.ndarray) -> np.ndarray:
    """Whether the means behind the cut are all 0."""
    u = receivers(of_kind(SparsePropagation, task), answers.shape[1])
    return np.asarray((np.abs(answers[:, answers.shape[1] - u :, 0]) < 0.5).all(axis=1), dtype=np.int64)


registry.register("sparse-propagation-recurrent")(
    Bound(
        name="sparse-propagation-recurrent",
        task="sparse-propagation",
        arch="rnn",
        source="one message to each later position; compare Sanford, Hsu, Telgarsky 2024, appendix B",
        expression="⌊N/2⌋",
        measure="state",
        merge=STATE,
        bits=bits,
        certificate=signs_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None if bits(task, n) > 0 else "the argument needs N >= 2q - 1, and eps below 1",
        status="derived here",
        reduction=Reduction(
            EQ, lambda task, n: receivers(of_kind(SparsePropagation, task), n), equality, nothing_arrives
        ),
    )
)
