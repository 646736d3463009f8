"""What a read-once automaton says about two parties, by dynamic programming along its order of reading.

The task's answer is labels[state] after every position was read once, in `order`; Alice holds some positions, Bob the
others, and each position may hold the symbols of its set. All counts are exact integers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from separatrix.core.errors import RejectedError, UnknownError

MOST_STEPS = 5_000_000  # moves of one program, all positions together
MOST_STATES = 256  # of the automata whose products are explored
Word = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Game:
    """Two parties and an automaton.

    Attributes:
        table (states, vocabulary), labels (states,): the automaton, from state 0.
        steps: in the order of reading, whether Alice holds the position, and the number of its set in `sets`.
        sets: the different sets of allowed symbols.
    """

    table: list[list[int]]
    labels: list[int]
    steps: list[tuple[bool, int]]
    sets: list[list[int]]

    def small(self, copies: int) -> None:
        """UnknownError where so many copies of the automaton are not explored."""
        if len(self.table) > MOST_STATES or copies * len(self.steps) > MOST_STEPS:
            raise UnknownError(f"an automaton of {len(self.table)} states and {len(self.steps)} steps is too large")

    def words(self, alice: bool) -> int:
        """How many words one side has."""
        sizes = Counter(len(self.sets[number]) for own, number in self.steps if own == alice)
        return math.prod(size**times for size, times in sizes.items())

    def reaches(self, table: list[list[int]], final: list[bool]) -> list[list[bool]]:
        """[step][state]: whether the rest of some word leads from the state to a final one."""
        good = [final]
        for _, number in reversed(self.steps):
            good.append([any(good[-1][row[a]] for a in self.sets[number]) for row in table])
        return good[::-1]


class Budget:
    """Counts moves; UnknownError when there are too many."""

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def spend(self, moves: int) -> None:
        self.left -= moves
        if self.left < 0:
            raise UnknownError(f"more than {MOST_STEPS} moves of the automaton are needed")


def rows(game: Game) -> int:
    """The number of Alice's words, any two of which some word of Bob's tells apart; RejectedError if two are not.

    For two of her words, the pairs of states that Bob can lead them to are a set that her letters move as a whole and
    his letters widen. Sets that contain another one of the same step are no harder and dropped.
    """
    game.small(4)
    budget = Budget()
    known: dict[tuple[frozenset[Word], int, bool], set[tuple[bool, frozenset[Word]]]] = {}

    def after(pairs: frozenset[Word], number: int, alice: bool) -> set[tuple[bool, frozenset[Word]]]:
        table, letters = game.table, game.sets[number]
        budget.spend(len(pairs) * len(letters) ** (2 if alice else 1))
        if not alice:
            return {(False, frozenset((table[s][b], table[t][b]) for s, t in pairs for b in letters))}
        return {
            (a != c, frozenset((table[s][a], table[t][c]) for s, t in pairs)) for a, c in product(letters, repeat=2)
        }

    now: set[tuple[bool, frozenset[Word]]] = {(False, frozenset({(0, 0)}))}
    for alice, number in game.steps:
        then: set[tuple[bool, frozenset[Word]]] = set()
        for differ, pairs in now:
            key = (pairs, number, alice)
            if key not in known:
                known[key] = after(*key)
            then |= {(differ or split, moved) for split, moved in known[key]}
        budget.spend(len(then) ** 2)
        now = {(d, p) for d, p in then if not any(e == d and q < p for e, q in then)}
    for differ, pairs in now:
        if differ and all(game.labels[s] == game.labels[t] for s, t in pairs):
            raise RejectedError("two of Alice's words are told apart by no word of Bob's")
    return game.words(alice=True)


def fooling(game: Game, value: int, guard: list[list[int]], accepts: list[bool]) -> int:
    """The number of words that the automaton `guard` accepts, if they fool for `value`; RejectedError if they do not.

    All of them must have the answer `value`; of two of them, one crossing (Alice's part of one word, Bob's of the
    other) must not. Four copies of the automaton run side by side: on the two words and on their two crossings.
    """
    game.small(16)
    budget = Budget()
    right = [label == value for label in game.labels]
    kept, valued = game.reaches(guard, accepts), game.reaches(game.table, right)
    now: set[Word] = {(0, 0, 0, 0, 0)}  # guard on w, on w', crossings (w, w') and (w', w), whether w and w' differ
    known: dict[tuple[Word, bool, int], set[Word]] = {}
    for step, (alice, number) in enumerate(game.steps, start=1):
        letters, then = game.sets[number], set[Word]()
        for state in now:
            key = (state, alice, number)
            if key not in known:
                f, g, x, y, differ = state
                budget.spend(len(letters) ** 2)
                known[key] = {
                    (guard[f][a], guard[g][c], game.table[x][a if alice else c], game.table[y][c if alice else a], d)
                    for a, c in product(letters, repeat=2)
                    for d in (int(differ or a != c),)
                }
            budget.spend(1 + len(known[key]) // 8)
            then |= known[key]
        k, v = kept[step], valued[step]
        now = {t for t in then if k[t[0]] and k[t[1]] and v[t[2]] and v[t[3]]}
    if any(differ for *_, differ in now):
        raise RejectedError("two words do not fool: both crossings have the common answer")
    _all_valued(game, right, guard, kept, budget)
    return _count(game, guard, accepts, budget)


def _all_valued(game: Game, right: list[bool], guard: list[list[int]], kept: list[list[bool]], budget: Budget) -> None:
    """RejectedError unless every accepted word has the common answer."""
    now = {(0, 0)} if kept[0][0] else set()
    for step, (_, number) in enumerate(game.steps, start=1):
        letters = game.sets[number]
        budget.spend(len(now) * len(letters))
        now = {(guard[f][a], game.table[s][a]) for f, s in now for a in letters}
        now = {(f, s) for f, s in now if kept[step][f]}
    if not all(right[s] for _, s in now):
        raise RejectedError("a word of the fooling set does not have the common answer")


def _count(game: Game, guard: list[list[int]], accepts: list[bool], budget: Budget) -> int:
    """The number of accepted words."""
    return _total(game, (0,), budget, lambda state, a, _: (guard[state[0]][a],), lambda s: int(accepts[s[0]]))


def rank(game: Game, values: list[int]) -> tuple[int, int]:
    """(p, q) with rank >= p / q for the matrix M whose entries are values[label].

    rank M >= (tr M^T M)^2 / tr (M^T M)^2 by Cauchy and Schwarz on the eigenvalues of M^T M; the traces are sums over
    all cycles of two and of four words, counted by as many copies of the automaton.
    """
    game.small(16)
    budget, table, value = Budget(), game.table, [values[label] for label in game.labels]
    square = _total(game, (0,), budget, lambda s, a, _: (table[s[0]][a],), lambda s: value[s[0]] ** 2)

    def move(s: Word, letters: Word, alice: bool) -> Word:
        """States of (a, b), (a', b), (a', b'), (a, b')."""
        x, y = letters
        own = (x, y, y, x) if alice else (x, x, y, y)
        return tuple(table[state][letter] for state, letter in zip(s, own, strict=True))

    fourth = _total(
        game,
        (0, 0, 0, 0),
        budget,
        move,
        lambda s: value[s[0]] * value[s[1]] * value[s[2]] * value[s[3]],
        letters=2,
    )
    if not square:
        raise RejectedError("the matrix is 0")
    return square * square, fourth


def _total(
    game: Game,
    start: Word,
    budget: Budget,
    move: Callable[..., Word],
    weight: Callable[[Word], int],
    letters: int = 1,
) -> int:
    """The sum of weight(last state) over all words (or tuples of words, letter by letter)."""
    counts: dict[Word, int] = {start: 1}
    known: dict[tuple[Word, bool, int], dict[Word, int]] = {}
    for alice, number in game.steps:
        after: dict[Word, int] = {}
        for state, count in counts.items():
            key = (state, alice, number)
            if key not in known:
                found: dict[Word, int] = {}
                budget.spend(len(game.sets[number]) ** letters)
                for choice in product(game.sets[number], repeat=letters):
                    to = move(state, choice if letters > 1 else choice[0], alice)
                    found[to] = found.get(to, 0) + 1
                known[key] = found
            budget.spend(len(known[key]))
            for to, ways in known[key].items():
                after[to] = after.get(to, 0) + ways * count
        counts = after
    return sum(weight(state) * count for state, count in counts.items())


def classes(table: np.ndarray, labels: np.ndarray, before: list[np.ndarray], after: list[np.ndarray]) -> int:
    """The number of states reachable by the sets `before` that words over the sets `after` tell apart."""
    if len(table) * (sum(map(len, before)) + sum(map(len, after))) > 2**31:
        raise UnknownError(f"an automaton of {len(table)} states is too large here")
    reached = np.array([0])
    for symbols in before:
        reached = np.unique(table[np.ix_(reached, symbols)])
    kind = np.unique(labels, return_inverse=True)[1]
    for symbols in reversed(after):
        finer = np.zeros(len(table), dtype=np.int64)
        for symbol in symbols.tolist():
            finer = np.unique(finer * (int(kind.max()) + 1) + kind[table[:, symbol]], return_inverse=True)[1]
        kind = finer
    return len(np.unique(kind[reached]))
