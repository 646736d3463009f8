"""Regular languages and word problems: what the minimal automaton tells apart after half of the word must be kept."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, certificate, need, of_kind, registry, state_violated
from separatrix.cannot.engine.readings import low
from separatrix.cannot.reduction import EQ, Reduction, last_answer, numbers
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.regular import Regular
from separatrix.tasks.word_problem import WordProblem, products

MOST_N = 2**12
Steps = list[tuple[int, ...]]  # a vector of one number a state, after each number of symbols
NERODE = "Myhill 1957, Nerode 1958: the classes of the minimal automaton"


def reached(task: Regular, steps: int) -> Steps:
    """[j][s] = 1 + a state before s on a way of j symbols from state 0, 0 where there is none; as far as needed."""
    table, ways = task.automaton(), [tuple(int(s == 0) for s in range(len(task.automaton())))]
    for _ in range(steps):
        after = [0] * len(table)
        for state in range(len(table)):
            if ways[-1][state]:
                for to in table[state].tolist():
                    after[to] = after[to] or state + 1
        ways.append(tuple(after))
    return ways


def told(task: Regular, steps: int) -> Steps:
    """[j][s] the class of state s, where words of exactly j symbols tell the classes apart."""
    table = task.automaton()
    classes = [tuple(int(s in task.accepted()) for s in range(len(table)))]
    for _ in range(steps):
        rows = [tuple(classes[-1][to] for to in row) for row in table.tolist()]
        number = {row: k for k, row in enumerate(dict.fromkeys(rows))}
        classes.append(tuple(number[row] for row in rows))
    return classes


def middle(n: int) -> int:
    """The cut."""
    return max(1, n // 2)


def regular_classes(task: Task, n: int) -> int:
    """States after half of the word that the other half tells apart; beyond MOST_N, 1 (nothing is said)."""
    regular = of_kind(Regular, task)
    if not 2 <= n <= MOST_N:
        return 1
    ways, classes = reached(regular, middle(n))[-1], told(regular, n - middle(n))[-1]
    return len({classes[state] for state, way in enumerate(ways) if way})


def regular_certificate(task: Task, n: int) -> Certificate:
    """A prefix for each class, and suffixes that tell each from the first ones."""
    regular = of_kind(Regular, task)
    need(regular_classes(task, n) > 1, "this bound says nothing here, or a certificate is too large")
    cut, table = middle(n), regular.automaton()
    ways, classes = reached(regular, cut), told(regular, n - cut)
    states = list({classes[-1][s]: s for s in range(len(table)) if ways[-1][s]}.values())
    suffixes: list[list[int]] = []
    for i, one in enumerate(states):
        for other in states[:i]:
            word, pair = [], (one, other)
            for left in range(n - cut - 1, -1, -1):
                symbol = next(
                    k for k, (a, b) in enumerate(table[list(pair)].T.tolist()) if classes[left][a] != classes[left][b]
                )
                word.append(symbol)
                pair = (int(table[pair[0], symbol]), int(table[pair[1], symbol]))
            suffixes.append(word)
    prefixes = np.array([_way(table, ways, state) for state in states])
    return rows(task, n, cut, prefixes, np.unique(np.array(suffixes), axis=0))


def _way(table: np.ndarray, ways: Steps, state: int) -> list[int]:
    word: list[int] = []
    for step in range(len(ways) - 1, 0, -1):
        before = ways[step][state] - 1
        word.append(int((table[before] == state).argmax()))
        state = before
    return word[::-1]


def rows(task: Task, n: int, cut: int, prefixes: np.ndarray, suffixes: np.ndarray) -> Certificate:
    """The claim that so many prefixes have different rows."""
    evidence = {"measure": "rows", "cut": cut}
    bound = low(len(prefixes))
    return certificate(task, n, "communication", "rnn", "state", bound, evidence, prefixes=prefixes, suffixes=suffixes)


def word_bits(task: Task, n: int) -> float:
    """log2 of the group's order, once there are two elements."""
    return low(of_kind(WordProblem, task).order) if n >= 2 else 0.0


def word_inputs(task: WordProblem, n: int, hers: np.ndarray, his: np.ndarray) -> np.ndarray:
    """Her element first, the inverse of his in the second half, the identity elsewhere, then the end."""
    table = products(task.group)
    one = int((table == np.arange(task.order)).all(axis=1).argmax())
    made = np.full((len(hers), n + 1), one)
    made[:, 0], made[:, middle(n)], made[:, n] = hers, (table == one).argmax(axis=1)[his], task.order
    return made


def word_certificate(task: Task, n: int) -> Certificate:
    """A prefix and a suffix for each element."""
    word = of_kind(WordProblem, task)
    need(2 <= n <= MOST_N, "this bound says nothing here, or a certificate is too large")
    every, cut = np.arange(word.order), middle(n)
    made = word_inputs(word, n, every, every)
    return rows(task, n, cut, made[:, :cut], made[:, cut:])


def word_equality(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """EQ: the product is the identity iff the two numbers are the same."""
    return word_inputs(of_kind(WordProblem, task), n, np.array(numbers(a)), np.array(numbers(b))), None


def word_equality_bits(task: Task, n: int) -> int:
    """Whole bits of an element, where the identity is asked for."""
    word = of_kind(WordProblem, task)
    return word.order.bit_length() - 1 if n >= 2 and word.ask == "identity" else 0


for entry in (
    Bound(
        name="regular-recurrent",
        task="regular",
        arch="rnn",
        source=NERODE,
        expression="log₂ of the states told apart halfway",
        measure="state",
        merge=STATE,
        bits=lambda task, n: low(regular_classes(task, n)),
        certificate=regular_certificate,
        violated=state_violated,
        vacuous=lambda task, n: (
            None if regular_classes(task, n) > 1 else "one class halfway, or too long to count them"
        ),
    ),
    Bound(
        name="word-problem-recurrent",
        task="word-problem",
        arch="rnn",
        source=f"{NERODE}, which are the group's elements",
        expression="log₂ of the group's order",
        measure="state",
        merge=STATE,
        bits=word_bits,
        certificate=word_certificate,
        violated=state_violated,
        vacuous=lambda task, n: None if n >= 2 else "with one element there is nothing to carry",
        reduction=Reduction(EQ, word_equality_bits, word_equality, last_answer),
    ),
):
    registry.register(entry.name)(entry)
