"""Regular languages and word problems: what the minimal automaton tells apart after half of the word must be kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from separatrix.cannot.bound import STATE, Bound, need, of_kind, registry, state_violated
from separatrix.cannot.engine.readings import low
from separatrix.cannot.engine.rows import rows_certificate
from separatrix.cannot.reduction import EQ, Reduction, last_answer, numbers
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.tasks.regular import Regular
from separatrix.tasks.word_problem import WordProblem, products

MOST_N = 2**12
Vector = tuple[int, ...]  # a number for each state
Step = Callable[[Vector], Vector]
NERODE = "Myhill 1957, Nerode 1958: the classes of the minimal automaton"


def reached(task: Regular) -> Step:
    """From [s] = 1 + a state before s on a way from state 0 (0: no way) to the same with one symbol more."""
    table = task.automaton().tolist()

    def step(ways: Vector) -> Vector:
        after = [0] * len(table)
        for state, way in enumerate(ways):
            for to in table[state] if way else ():
                after[to] = after[to] or state + 1
        return tuple(after)

    return step


def told(task: Regular) -> Step:
    """From the classes that words of j symbols tell apart, [s] the class of state s, to those of j + 1 symbols."""
    table = task.automaton().tolist()

    def step(classes: Vector) -> Vector:
        rows = [tuple(classes[to] for to in row) for row in table]
        number = {row: k for k, row in enumerate(dict.fromkeys(rows))}
        return tuple(number[row] for row in rows)

    return step


def starts(task: Regular) -> tuple[Vector, Vector]:
    """The vectors of no symbol."""
    every = range(len(task.automaton()))
    return tuple(int(s == 0) for s in every), tuple(int(s in task.accepted()) for s in every)


def after(step: Step, start: Vector, steps: int) -> list[Vector]:
    """All vectors up to that many symbols, or up to the first that comes again, with it."""
    found, seen = [start], {start}
    while len(found) <= min(steps, MOST_N) and (len(found) < 2 or found[-1] not in seen):
        seen.add(found[-1])
        found.append(step(found[-1]))
    return found


def last(step: Step, start: Vector, steps: int) -> Vector | None:
    """The vector of that many symbols, by the period of the sequence; None where it is longer than MOST_N."""
    found = after(step, start, steps)
    if len(found) == steps + 1:
        return found[-1]
    first = found.index(found[-1])
    period = len(found) - 1 - first
    return found[first + (steps - first) % period] if period else None


def middle(n: int) -> int:
    """The cut."""
    return max(1, n // 2)


def regular_classes(task: Task, n: int) -> int:
    """States after half of the word that the other half tells apart; 1 (nothing is said) where periods are long."""
    regular = of_kind(Regular, task)
    start, end = starts(regular)
    ways = last(reached(regular), start, middle(n))
    classes = last(told(regular), end, n - middle(n)) if n >= 2 else None
    return 1 if ways is None or classes is None else len({c for c, way in zip(classes, ways, strict=True) if way})


def regular_certificate(task: Task, n: int) -> Certificate:
    """A prefix for each class, and suffixes that tell each from the first ones."""
    regular = of_kind(Regular, task)
    need(n <= MOST_N and regular_classes(task, n) > 1, "this bound says nothing here, or a certificate is too large")
    cut, table = middle(n), regular.automaton()
    ways, classes = ([start] for start in starts(regular))
    for _ in range(cut):
        ways.append(reached(regular)(ways[-1]))
    for _ in range(n - cut):
        classes.append(told(regular)(classes[-1]))
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
    return rows_certificate(task, n, cut, prefixes, np.unique(np.array(suffixes), axis=0))


def _way(table: np.ndarray, ways: list[Vector], state: int) -> list[int]:
    word: list[int] = []
    for step in range(len(ways) - 1, 0, -1):
        before = ways[step][state] - 1
        word.append(int((table[before] == state).argmax()))
        state = before
    return word[::-1]


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
    return rows_certificate(task, n, cut, made[:, :cut], made[:, cut:])


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
