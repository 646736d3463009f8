"""Bounded Dyck languages: recurrent models need the stack, one attention layer half of all words."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, exchange_violated, log2_sum, need, of_kind, registry, state_violated
from separatrix.cannot.engine.readings import low, reading_certificate
from separatrix.cannot.messages import EXCHANGE
from separatrix.cannot.reduction import EQ, Reduction, last_answer, numbers
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.dyck import Dyck

MOST_N = 2**14


def classes(task: Dyck, n: int) -> tuple[int, int]:
    """(cut, states that are told apart there): stacks that fit on both sides, and the lost state."""

    def at(cut: int) -> int:
        most = min(task.depth, cut, n - cut)
        stacks = sum(task.types**d for d in range(most + 1) if (cut - d) % 2 == 0)
        return stacks + 1  # a closer at the start loses

    return max(((cut, at(cut)) for cut in {n // 2, n // 2 + 1, n // 2 - 1} if 0 < cut < n), key=lambda pair: pair[1])


def recurrent_bits(task: Task, n: int) -> float:
    """log2 of the classes at the best of the middle cuts."""
    return low(classes(of_kind(Dyck, task), n)[1])


def recurrent_certificate(task: Task, n: int) -> Certificate:
    """The classes of the automaton."""
    cut, count = classes(of_kind(Dyck, task), n)
    need(n <= MOST_N, f"a certificate for N = {n} is too large")
    return reading_certificate(task, n, "rnn", "state", "classes", range(cut), count)


def words(task: Dyck, n: int) -> int:
    """Size of the fooling set: all words for depth 2, 2^(L-1) types^L; else those of depth 1, types^L (N = 2 L)."""
    half = n // 2
    return task.types**half * (2 ** (half - 1) if task.depth == 2 else 1)


def one_layer_bits(task: Task, n: int) -> float:
    """log2 of the fooling set, alternate brackets on either side."""
    dyck = of_kind(Dyck, task)
    return log2_sum({dyck.types: n // 2}) + (n // 2 - 1 if dyck.depth == 2 else 0)


def one_layer_certificate(task: Task, n: int) -> Certificate:
    """Brackets at odd places are Alice's; they determine the others, so no crossing of two words is a word."""
    dyck = of_kind(Dyck, task)
    need(one_layer_vacuous(task, n) is None, "this bound says nothing here")
    need(n <= MOST_N, f"a certificate for N = {n} is too large")
    shallow = Dyck(dyck.types, 2 if dyck.depth == 2 else 1)
    reading = shallow.reading(n, n)
    assert reading is not None
    return reading_certificate(
        task,
        n,
        "transformer",
        "exchange",
        "fooling",
        range(0, n, 2),
        words(dyck, n),
        value=1,
        guard=reading.transitions,
        accepts=reading.labels,
    )


def one_layer_vacuous(task: Task, n: int) -> str | None:
    """A sentence where the fooling set is a single word."""
    if one_layer_bits(task, n) > 0:
        return None
    return "with one type of bracket and this depth the argument has one word only"


def digits(number: int, base: int, count: int) -> list[int]:
    """The lowest first."""
    found = []
    for _ in range(count):
        number, digit = divmod(number, base)
        found.append(digit)
    return found


def stack(task: Dyck, cut: int, number: int) -> list[int]:
    """The stack of that number, among those of its parity, the shallow ones first."""
    depth = cut % 2
    while number >= task.types**depth:
        number, depth = number - task.types**depth, depth + 2
    return digits(number, task.types, depth)


def stacks(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """Alice opens the stack of number a, Bob closes that of number b; pairs () fill up either side."""
    dyck = of_kind(Dyck, task)
    cut, rows = classes(dyck, n)[0], []
    for hers, his in zip(numbers(a), numbers(b), strict=True):
        opened, closed = stack(dyck, cut, hers), [dyck.types + s for s in stack(dyck, cut, his)[::-1]]
        pair = [0, dyck.types]
        left, right = (cut - len(opened)) // 2, (n - cut - len(closed)) // 2
        rows.append([*pair * left, *opened, *closed, *pair * right, 2 * dyck.types])
    return np.array(rows), None


def stacks_bits(task: Task, n: int) -> int:
    """Whole bits of the stacks, without the lost state."""
    return (classes(of_kind(Dyck, task), n)[1] - 1).bit_length() - 1


def alternate(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """Pairs: the types of the openers are digits of a, those of the closers are digits of b."""
    dyck, half = of_kind(Dyck, task), n // 2
    tokens = np.full((len(a), n + 1), 2 * dyck.types)
    tokens[:, 0:n:2] = [digits(number, dyck.types, half) for number in numbers(a)]
    tokens[:, 1:n:2] = dyck.types + np.array([digits(number, dyck.types, half) for number in numbers(b)])
    return tokens, None


for entry in (
    Bound(
        name="dyck-recurrent",
        task="dyck",
        arch="rnn",
        source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Lemma 4 (states of the minimal automaton)",
        expression="log₂ (1 + Σ_d n^d), the stacks that fit on both sides of the middle",
        measure="state",
        merge=STATE,
        bits=recurrent_bits,
        certificate=recurrent_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None,
        reduction=Reduction(EQ, stacks_bits, stacks, last_answer),
    ),
    Bound(
        name="dyck-one-layer",
        task="dyck",
        arch="transformer",
        source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Lemma 1 and Theorem 5; other types and depths derived here",
        expression="N/2 − 1 + (N/2) log₂ n for depth 2, (N/2) log₂ n otherwise (n types)",
        measure="exchange",
        merge=EXCHANGE,
        bits=one_layer_bits,
        certificate=one_layer_certificate,
        violated=exchange_violated,
        vacuous=one_layer_vacuous,
        reduction=Reduction(
            EQ,
            lambda task, n: (of_kind(Dyck, task).types ** (n // 2)).bit_length() - 1,
            alternate,
            last_answer,
        ),
    ),
):
    registry.register(entry.name)(entry)
