"""The cells of a step as rows of numbers: who asks, what it holds, what is forced, what the others may hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.domain import CellGroup, Ints, Labels, PointerSets
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.contracts.automata import Automaton
from separatrix.kernel.contracts.stream import Stream


@dataclass(frozen=True, slots=True)
class Rows:
    """Cells that force equally many positions. Classes are numbers of the stream's classes.

    Attributes:
        own: (rows,) class at the position that asks. forced: (rows, f) classes elsewhere.
        label: (rows,) the answer. ground: (rows,) number of the row of `allowed` that holds for the other positions.
        allowed: (grounds, classes).
        automaton, accepting: what ties all positions before the asking one together, and (rows, states) where its
            word may end; None where nothing does, or where it is left out, which only makes cells larger.
    """

    own: Ints
    forced: Ints
    label: Ints
    ground: Ints
    allowed: np.ndarray
    automaton: Automaton | None = None
    accepting: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.own)

    def take(self, which: Ints) -> Rows:
        """Some of the rows."""
        accepting = None if self.accepting is None else self.accepting[which]
        own, forced, label, ground = (part[which] for part in (self.own, self.forced, self.label, self.ground))
        return Rows(own, forced, label, ground, self.allowed, self.automaton, accepting)


def rows_of(task: Task, n: int, stream: Stream, queries: Iterable[int], blank: bool) -> list[Rows]:
    """All cells of the queries, and one for the model's own blank if asked; cells that hold no input are left out.

    Count and distinct constraints are left out too: they only make a cell smaller.
    """
    outputs, domain = task.outputs(), task.domain(n)
    assert isinstance(outputs, Labels)
    grounds = _Grounds(stream, domain.positions)
    kinds: dict[tuple, list[tuple[CellGroup, int]]] = {}
    for query in queries:
        groups = task.cells(n, query)
        if groups is None:
            raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
        count = 0
        for group in groups:
            count += len(group)
            if group.query != query or not isinstance(group.token, int) or group.labels is None:
                raise RejectedError(f"task {task.name}: a cell is of another query, or has no token or label")
            tie, forced = group.constraint, group.positions.shape[1]
            before = tie.kind == "regular" and not forced and tie.positions == tuple(range(query))
            key = (forced, tie.transitions if before else ())
            kinds.setdefault(key, []).append((group, grounds.number(group.background or domain.alphabets)))
        if not count:
            raise RejectedError(f"task {task.name} has no cells at position {query}, of which nothing is proved")
    found = [_rows(task, groups, table, stream, outputs.k) for (_, table), groups in kinds.items()]
    if blank:
        own, none = np.array([len(stream.place) - 1]), np.zeros((1, 0), dtype=np.int64)
        found.append(Rows(own, none, np.zeros(1, dtype=np.int64), np.array([grounds.number(None)]), np.zeros(0)))
    allowed = grounds.allowed()
    full = np.logical_or.reduceat(allowed, np.searchsorted(stream.place, np.arange(stream.positions)), axis=1)
    kept = []
    for rows in found:
        rows = replace(rows, allowed=allowed)
        rows = rows.take(np.flatnonzero((rows.own >= 0) & (rows.forced >= 0).all(axis=1)))
        open_ = ~full[rows.ground]  # a position where no class is allowed, unless it is forced
        if task.causal:
            open_ &= np.arange(stream.positions) < stream.place[rows.own][:, None]
        at = np.arange(len(rows))[:, None]
        open_[at, stream.place[np.concatenate([rows.own[:, None], rows.forced], axis=1)]] = False
        rows = rows.take(np.flatnonzero(~open_.any(axis=1)))
        if rows.automaton is not None and rows.accepting is not None:
            alive = rows.automaton.alive(allowed, stream)
            reached = alive[stream.place[rows.own], rows.ground] & rows.accepting
            rows = rows.take(np.flatnonzero(reached.any(axis=1)))
        if len(rows):
            kept.append(rows)
    return kept


def _rows(task: Task, groups: list[tuple[CellGroup, int]], table: tuple, stream: Stream, labels: int) -> Rows:
    """Groups that force equally many positions and share their automaton; -1 for classes that are not there."""
    sizes = [len(group) for group, _ in groups]
    query = np.repeat([group.query for group, _ in groups], sizes)
    token = np.repeat([group.token for group, _ in groups], sizes)
    positions = np.concatenate([group.positions for group, _ in groups])
    symbols = np.concatenate([group.symbols for group, _ in groups])
    label = np.concatenate([group.labels for group, _ in groups if group.labels is not None])
    length, vocabulary = stream.number.shape
    inside = (positions >= 0).all() and (positions < length).all() and (symbols >= 0).all() and (token >= 0).all()
    if not inside or positions.shape != symbols.shape or len(label) != len(query):
        raise RejectedError(f"task {task.name}: a cell speaks of positions or symbols that are not there")
    own = np.concatenate([query[:, None], positions], axis=1)
    if (np.diff(np.sort(own, axis=1), axis=1) == 0).any():
        raise RejectedError(f"task {task.name}: a cell forces its own query, or one position twice")
    if (label < 0).any() or (label >= labels).any() or (token >= vocabulary).any() or (symbols >= vocabulary).any():
        raise RejectedError(f"task {task.name}: a label or symbol of a cell is out of range")
    automaton = Automaton(np.array(table)) if table else None
    accepting = automaton and np.repeat([automaton.mask(group.constraint.accepting) for group, _ in groups], sizes, 0)
    return Rows(
        own=stream.number[query, token],
        forced=stream.number[positions, symbols],
        label=label,
        ground=np.repeat([ground for _, ground in groups], sizes),
        allowed=np.zeros(0),
        automaton=automaton,
        accepting=accepting,
    )


class _Grounds:
    """Backgrounds by identity, as masks over classes; None allows everything."""

    def __init__(self, stream: Stream, length: int) -> None:
        self.stream, self.length, self.seen, self.masks = stream, length, {}, {}

    def number(self, where: tuple | None) -> int:
        """The number of the row of `allowed` that stands for this background."""
        if id(where) not in self.seen:
            self.seen[id(where)] = (len(self.seen), where)  # kept, so that no other object takes the id
        return self.seen[id(where)][0]

    def allowed(self) -> np.ndarray:
        """(grounds, classes)."""
        stream = self.stream
        allowed = np.ones((len(self.seen), len(stream.place)), dtype=bool)
        for number, where in self.seen.values():
            if where is None:
                continue
            if len(where) != self.length:
                raise RejectedError("a cell's background does not have one alphabet a position")
            kinds: dict[int, int] = {}
            kind = np.array([kinds.setdefault(id(alphabet), len(kinds)) for alphabet in where] + [len(kinds)])
            first = {kinds[id(alphabet)]: alphabet for alphabet in where}
            masks = np.array(
                [self._mask(first[i]) for i in range(len(first))] + [np.ones(stream.number.shape[1], bool)]
            )
            allowed[number] = masks[kind[stream.place], stream.symbol]
        return allowed

    def _mask(self, alphabet: Ints) -> np.ndarray:
        if id(alphabet) not in self.masks:
            if isinstance(alphabet, PointerSets):
                raise UnknownError("the contract check needs one symbol a token")
            mask = np.zeros(self.stream.number.shape[1], dtype=bool)
            if len(alphabet) and (alphabet.min() < 0 or alphabet.max() >= len(mask)):
                raise RejectedError("a cell allows a symbol that is not there")
            mask[alphabet] = True
            self.masks[id(alphabet)] = (mask, alphabet)
        return self.masks[id(alphabet)][0]
