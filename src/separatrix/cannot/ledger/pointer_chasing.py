"""Pointer chasing: one step of the second table needs all of it; several layers, where theorems exist."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, log2_sum, need, of_kind, one_way_violated, registry, state_violated
from separatrix.cannot.engine.boxes import boxes_certificate
from separatrix.cannot.messages import ONE_WAY
from separatrix.cannot.reduction import INDEX, Reduction
from separatrix.core.certificate import Certificate
from separatrix.core.size import Size
from separatrix.core.task import Task
from separatrix.tasks.pointer_chasing import PointerChasing

LEAST = 64.0  # H d p below this is no model anybody builds


def one_way_bits(task: Task, n: int) -> float:
    """V, for two steps: the parity of every entry of the second table can be asked for."""
    return float(n) if of_kind(PointerChasing, task).steps == 2 else 0.0


def one_way_certificate(task: Task, n: int) -> Certificate:
    """Alice holds the second table with entries 0 and 1; Bob's first entry points at one of hers."""
    need(one_way_vacuous(task, n) is None, "this bound says nothing here")
    need(n <= 40, f"a certificate for N = {n} is too large")
    words = np.zeros((n, 2 * n + 1), dtype=np.int64)
    words[:, 0], words[:, 2 * n] = np.arange(n), n
    return boxes_certificate(task, n, 2 * n, {n + k: [0, 1] for k in range(n)}, words)


def one_way_vacuous(task: Task, n: int) -> str | None:
    """A sentence unless two steps are made."""
    return None if of_kind(PointerChasing, task).steps == 2 else "this argument is about two steps"


def recurrent_bits(task: Task, n: int) -> float:
    """What the state between the tables holds: 1 for one step, log2 V for two, V - 1 for three."""
    steps = of_kind(PointerChasing, task).steps
    return {1: 1.0, 2: log2_sum({n: 1}), 3: n - 1.0}.get(steps, 0.0)


def recurrent_certificate(task: Task, n: int) -> Certificate:
    """Two steps: is a_0 = v, by b_v = 1 alone. Three: b_0 = i asks for the parity of a_i."""
    steps = of_kind(PointerChasing, task).steps
    need(recurrent_vacuous(task, n) is None, "this bound says nothing here")
    need(n <= (2**12, 32, 12)[steps - 1], f"a certificate for N = {n} is too large")
    if steps == 1:
        sets, words = {0: [0, 1]}, np.zeros((1, 2 * n + 1), dtype=np.int64)
    elif steps == 2:
        sets, words = {0: list(range(n))}, np.zeros((n, 2 * n + 1), dtype=np.int64)
        words[:, n : 2 * n] = np.eye(n)
    else:
        sets, words = {i: [0, 1] for i in range(1, n)}, np.zeros((n - 1, 2 * n + 1), dtype=np.int64)
        words[:, n] = np.arange(1, n)
    words[:, 2 * n] = n
    owners = np.zeros(len(words), dtype=np.int64) if steps == 2 else np.arange(len(words))
    return boxes_certificate(task, n, 2 * n, sets, words, n, owners)


def recurrent_vacuous(task: Task, n: int) -> str | None:
    """A sentence for more than three steps."""
    return None if of_kind(PointerChasing, task).steps <= 3 else "this argument is about up to three steps"


def composition_bits(task: Task, n: int) -> float:
    """n^(2^(-4 L)), L the steps: what H d p must exceed for L layers."""
    return float(n) ** (2.0 ** (-4 * of_kind(PointerChasing, task).steps))


def composition_vacuous(task: Task, n: int) -> str | None:
    """A sentence for every size that fits on earth."""
    bits = composition_bits(task, n)
    if bits >= LEAST:
        return None
    return f"vacuous at this size: H d p must exceed N^(2^-4L) = {bits:.3g}, which every model does"


def _none(task: Task, n: int) -> Certificate:
    need(False, "the theorem is about causal decoders of several layers; no certificate is known")
    raise AssertionError


def composition_violated(size: Size, bits: float) -> bool:
    """Never from a size alone: the theorem counts layers, and is vacuous wherever it could be tried."""
    return False


def index_inside(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """Bit k is entry k of the second table; b is the first entry of the first one."""
    tokens = np.zeros((len(a), 2 * n + 1), dtype=np.int64)
    tokens[:, n : 2 * n], tokens[:, 0], tokens[:, 2 * n] = a, b.argmax(axis=1), n
    return tokens, None


def index_between(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """One step: the bit is the first entry of the first table. Three: entry 1 + k of it, and b_0 asks for one."""
    three = of_kind(PointerChasing, task).steps == 3
    tokens = np.zeros((len(a), 2 * n + 1), dtype=np.int64)
    tokens[:, three : three + a.shape[1]], tokens[:, 2 * n] = a, n
    tokens[:, n] = 1 + b.argmax(axis=1) if three else 0
    return tokens, None


for entry in (
    Bound(
        name="pointer-chasing-recurrent",
        task="pointer-chasing",
        arch="rnn",
        source="INDEX between the tables; compare Papadimitriou and Sipser 1984",
        expression="log₂ V for two steps, V − 1 for three",
        measure="state",
        merge=STATE,
        bits=recurrent_bits,
        certificate=recurrent_certificate,
        violated=state_violated,
        vacuous=recurrent_vacuous,
        status="derived here",
        reduction=Reduction(
            INDEX,
            lambda task, n: {1: 1, 3: n - 1}.get(of_kind(PointerChasing, task).steps, 0),
            index_between,
            lambda task, answers: answers[:, 0],
        ),
    ),
    Bound(
        name="pointer-chasing-one-layer",
        task="pointer-chasing",
        arch="transformer",
        source="INDEX in the second table; compare Peng, Narayanan, Papadimitriou 2024 (function composition)",
        expression="V, for two steps",
        measure="one-way",
        merge=ONE_WAY,
        bits=one_way_bits,
        certificate=one_way_certificate,
        violated=one_way_violated,
        vacuous=one_way_vacuous,
        status="derived here",
        reduction=Reduction(
            INDEX,
            lambda task, n: n if one_way_vacuous(task, n) is None else 0,
            index_inside,
            lambda task, answers: answers[:, 0],
        ),
    ),
    Bound(
        name="pointer-chasing-decoder",
        task="pointer-chasing",
        arch="transformer",
        source="Chen, Peng, Wu 2024 (decoders of L layers on sequential composition of L functions)",
        expression="H d p > N^(2^(−4L)), L layers and steps",
        measure="exchange",
        merge="H d p of a causal decoder of L layers; unconditional, for L up to about log log N",
        bits=composition_bits,
        certificate=_none,
        violated=composition_violated,
        vacuous=composition_vacuous,
    ),
):
    registry.register(entry.name)(entry)
