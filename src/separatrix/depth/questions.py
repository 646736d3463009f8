"""Is a circuit of logits right on a whole cell of inputs? Cells of a task as pseudo-Boolean questions.

A question is satisfiable iff some input of some cell has a rival's logit at least as great as the right one's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Sequence
from separatrix.core.errors import UnknownError
from separatrix.core.task import Task
from separatrix.depth.circuit import Circuit
from separatrix.depth.equivalence import Linear, place
from separatrix.depth.solve import Question
from separatrix.tasks.equality import Equality

MOST_CELLS = 256  # of one question


class Lanes:
    """A circuit in a question, with the bits of its tokens: variable 1 + position * bits + k.

    Every position holds a symbol of its alphabet; bits that all of them share are put into the circuit beforehand.
    """

    def __init__(
        self, circuit: Circuit, domain: Sequence, alphabets: list[np.ndarray], symbol_bits: int, queries: int
    ) -> None:
        self.question = Question(circuit.inputs)
        self.domain, self.bits = domain, symbol_bits
        fixed: dict[int, int] = {}
        for j, alphabet in enumerate(alphabets):
            fixed |= self.forces(j, alphabet)
        logits = place(self.question, circuit, list(range(1, circuit.inputs + 1)), fixed=fixed)
        size = len(logits) // queries
        self.logits: list[list[Linear]] = [logits[q * size : (q + 1) * size] for q in range(queries)]
        self._known: dict[tuple[int, int], int] = {}

    def matches(self, position: int, symbol: int) -> list[int]:
        """Literals that all hold iff the position holds the symbol."""
        first = 1 + position * self.bits
        return [first + k if symbol >> k & 1 else -(first + k) for k in range(self.bits)]

    def holds(self, position: int, symbol: int) -> int:
        """A variable that is true iff the position holds the symbol."""
        if (position, symbol) not in self._known:
            literals = self.matches(position, symbol)
            head = self.question.fresh()
            self.question.implies(head, [(1, x) for x in literals], len(literals))
            self.question.implies(-head, [(1, -x) for x in literals], 1)
            self._known[position, symbol] = head
        return self._known[position, symbol]

    def forces(self, position: int, symbols: np.ndarray) -> dict[int, int]:
        """The position holds one of the symbols; returns the variables that this fixes, with their values."""
        first, fixed = 1 + position * self.bits, {}
        for k in range(self.bits):
            values = np.unique(symbols >> k & 1)
            if len(values) == 1:
                fixed[first + k] = int(values[0])
                self.question.require([(1, first + k if values[0] else -(first + k))], 1)
        codes = np.arange(2**self.bits)
        for variable, value in fixed.items():
            codes = codes[codes >> (variable - first) & 1 == value]
        for code in np.setdiff1d(codes, symbols).tolist():
            self.question.require([(1, -x) for x in self.matches(position, code)], 1)
        return fixed

    def errs(self, query: int, label: int) -> int:
        """A variable that implies that some rival's logit is at least the label's."""
        rivals = []
        for rival, (terms, constant) in enumerate(self.logits[query]):
            if rival == label:
                continue
            right, offset = self.logits[query][label]
            flag = self.question.fresh()
            self.question.implies(flag, [*terms, *((-w, v) for w, v in right)], offset - constant)
            rivals.append(flag)
        head = self.question.fresh()
        self.question.implies(head, [(1, flag) for flag in rivals], 1)
        return head

    def obeys(self, constraint: Constraint, alphabets: list[np.ndarray]) -> None:
        """The word at the constraint's positions obeys it."""
        if constraint.kind == "product":
            return
        tied = constraint.places(self.domain.positions).tolist()
        if constraint.kind == "count":
            held = [(1, self.holds(j, constraint.symbol)) for j in tied]
            self.question.require(held, constraint.count)
            self.question.require([(-w, v) for w, v in held], -constraint.count)
        elif constraint.kind == "distinct":
            if constraint.present is not None:
                raise UnknownError("cells with a present position are not put to the solver")
            of_class: dict[int, list[int]] = {}
            for j in tied:
                for symbol in alphabets[j].tolist():
                    kind = int(constraint.class_of(np.array([symbol]))[0])
                    of_class.setdefault(kind, []).append(self.holds(j, symbol))
            for heads in of_class.values():
                self.question.require([(-1, v) for v in heads], -1)
        else:
            self._runs(constraint, tied, alphabets)

    def _runs(self, constraint: Constraint, tied: list[int], alphabets: list[np.ndarray]) -> None:
        """One variable for each state of the automaton after each symbol; it follows, and the last one accepts."""
        before: dict[int, int | None] = {0: None}  # None: true
        for j in tied:
            after: dict[int, int] = {}
            for state, here in before.items():
                for symbol in alphabets[j].tolist():
                    to = constraint.transitions[state][symbol]
                    after.setdefault(to, 0)
                    if not after[to]:
                        after[to] = self.question.fresh()
                    clause = [(1, -self.holds(j, symbol)), (1, after[to])]
                    self.question.require(clause if here is None else [*clause, (1, -here)], 1)
            before = dict(after)
        for state, here in before.items():  # the state that is reached is marked, so none that rejects may be
            if state not in constraint.accepting and here is not None:
                self.question.require([(1, -here)], 1)
        if None in before.values() and 0 not in constraint.accepting:
            self.question.require([], 1)


def questions(task: Task, n: int, circuit: Circuit, symbol_bits: int) -> Iterator[tuple[Question, int]]:
    """(question, query) pairs which together ask for any input on which the circuit's greatest logit is not right.

    UnknownError where the task gives no cells and is not spelled out here.
    """
    domain, queries = task.domain(n), task.queries(n)
    if isinstance(task, Equality) and type(task) is Equality:
        yield _equality(task, n, circuit, symbol_bits), queries[0]
        return
    for column, query in enumerate(queries):
        groups = task.cells(n, query)
        if groups is None:
            raise UnknownError(f"{task.name} gives no cells, and is not spelled out for the solver")
        for group in groups:
            for start in range(0, len(group), MOST_CELLS):
                chosen = np.arange(start, min(start + MOST_CELLS, len(group)))
                yield _group(group, chosen, domain, circuit, symbol_bits, column, len(queries)), query


def _group(
    group: CellGroup, chosen: np.ndarray, domain: Sequence, circuit: Circuit, bits: int, column: int, queries: int
) -> Question:
    """Some of the cells of one group."""
    if group.labels is None or not isinstance(group.token, int | np.integer):
        raise UnknownError("only cells of labels over symbols are put to the solver")
    alphabets = [np.asarray(a) for a in (group.background or domain.alphabets)]
    cells = [dict(zip(group.positions[c].tolist(), group.symbols[c].tolist(), strict=True)) for c in chosen.tolist()]
    alphabets[group.query] = np.array([int(group.token)])
    loose = [np.array([cell[j] for cell in cells if j in cell], dtype=np.int64) for j in range(domain.positions)]
    reach = [np.union1d(alphabet, more) for alphabet, more in zip(alphabets, loose, strict=True)]
    lanes = Lanes(circuit, domain, reach, bits, queries)
    wrong = {label: lanes.errs(column, label) for label in np.unique(group.labels[chosen]).tolist()}
    picks = []
    for c, cell in zip(chosen.tolist(), cells, strict=True):
        pick = lanes.question.fresh()
        literals = [x for j, symbol in cell.items() for x in lanes.matches(j, symbol)]
        if literals:
            lanes.question.implies(pick, [(1, x) for x in literals], len(literals))
        lanes.question.implies(pick, [(1, wrong[int(group.labels[c])])], 1)
        picks.append((1, pick))
    lanes.question.require(picks, 1)
    lanes.obeys(group.constraint, reach)
    lanes.obeys(domain.constraint, reach)
    return lanes.question


def _equality(task: Equality, n: int, circuit: Circuit, bits: int) -> Question:
    """Equal halves, spelled out: differ_i iff some bit differs; the label is 1 iff no differ_i."""
    lanes = Lanes(circuit, task.domain(n), [np.arange(task.symbols)] * n, bits, 1)
    ask, half = lanes.question, n // 2
    differ = []
    for i in range(half):
        for k in range(bits):
            a, b, head = 1 + i * bits + k, 1 + (i + half) * bits + k, ask.fresh()
            for clause in ([-a, -b, -head], [a, b, -head], [a, -b, head], [-a, b, head]):
                ask.require([(1, x) for x in clause], 1)
            differ.append((1, head))
    unequal = ask.fresh()
    ask.implies(unequal, differ, 1)
    ask.implies(-unequal, [(-w, v) for w, v in differ], 0)
    says_equal, says_unequal = lanes.errs(0, 0), lanes.errs(0, 1)
    ask.implies(unequal, [(1, says_equal)], 1)
    ask.implies(-unequal, [(1, says_unequal)], 1)
    return ask
