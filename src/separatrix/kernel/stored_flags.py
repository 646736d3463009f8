"""Certificates of kind `stored` with a factor: a second layer of few states reads what the first has remembered.

The task factors as answer = outer.answer(inner.answer(x)). On every cell of the inner task the first layer's outputs
are enclosed; they must move the second layer's rounded state in one way only, so that it is an automaton (perhaps with
several ways to go) that reads the inner labels. The kernel walks it through every cell of the outer task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from separatrix.core.arch import Readout
from separatrix.core.domain import CellGroup, Labels
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.recurrent import DiagonalSsm, FixedPoint, Recurrent
from separatrix.core.task import Task
from separatrix.kernel.balls import Ball, sum_high, sum_low, times_low
from separatrix.kernel.case import Case
from separatrix.kernel.stored import Store

State = tuple[float, ...]
Moves = dict[int, dict[State, set[State]]]  # by inner label
MOST_STATES = 64
MOST_STEPS = 2**24


def check(case: Case, arch: Recurrent, name: str) -> str:
    """The claim in a sentence, or an error."""
    task, n = case.task, case.n
    inner, outer = steps_of(task, n, arch, name)
    domain = task.domain(n)
    store, second = Store.of(arch, case.tensors, domain), Second.of(arch, case.tensors)
    reached, moves, cells = {second.start()}, [], 0
    for position in range(domain.positions):
        store.advance()
        step, count = _moves(store, second, inner, n, position, reached)
        moves.append(step)
        reached = {to for by in step.values() for states in by.values() for to in states}
        cells += count
        if len(reached) > MOST_STATES:
            raise UnknownError(f"the second layer has more than {MOST_STATES} states")
        case.progress(f"{position + 1:,} positions")
    sums = walk(case, second, moves, outer)
    if not cells:
        raise RejectedError("a factor has no cells at this length")
    cover = f"{cells} cells of the inner task, {sums} of the outer"
    return f"the model answers {case.where} right on every input ({cover}, {store.sentence()})"


def steps_of(task: Task, n: int, arch: Recurrent, name: str) -> tuple[Task, Task]:
    """The inner and the outer task of a factor that fits the model; an error for any other."""
    factors, outputs = task.factors(), task.outputs()
    if name not in factors:
        raise InputError(f"task {task.name} has no factor {name!r}; it has {', '.join(factors) or 'none'}")
    if len(factors[name]) != 2:
        raise UnknownError("the stored check is for factors of two steps")
    inner, outer = factors[name]
    if not isinstance(outputs, Labels) or outer.outputs() != outputs or arch.readout != Readout(outputs.k):
        raise RejectedError("the model's read-out, the task and its outer factor do not have the same labels")
    if outer.queries(n) != task.queries(n) or inner.queries(n) != tuple(range(task.domain(n).positions)):
        raise RejectedError("the factors do not fit: inner answers everywhere, outer where the task is scored")
    if len(arch.layers) != 2:
        raise UnknownError("with a factor, the stored check is for two layers")
    domain, own, read, labels = task.domain(n), inner.domain(n), outer.domain(n), inner.outputs()
    pairs = {(id(a), id(b)): (a, b) for a, b in zip(own.alphabets, domain.alphabets, strict=False)}.values()
    same = all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
    if not same or {own.positions, read.positions} != {domain.positions}:
        raise RejectedError("the factors do not have the task's positions and tokens")
    if own.constraint.kind != "product" or read.constraint.kind != "product":
        raise UnknownError("the stored check is for factors whose domains are products")
    if not isinstance(labels, Labels) or read.vocabulary != labels.k:
        raise RejectedError("the factors do not fit: outer reads the labels of inner")
    return inner, outer


def cells_of(factor: Task, n: int, query: int) -> Iterator[CellGroup]:
    """The factor's cells at a position; UnknownError where it knows none, RejectedError where there is no cell at all.

    What has no cells is proved by no walk: neither may pass for a position that no input reaches.
    """
    groups, count = factor.cells(n, query), 0
    if groups is None:
        raise UnknownError(f"task {factor.name} has no cells at position {query}")
    for group in groups:
        if group.query != query or group.labels is None:
            raise RejectedError(f"task {factor.name} gave cells of another position for position {query}")
        count += len(group)
        yield group
    if not count:
        raise RejectedError(f"task {factor.name} has no cells at position {query}, of which nothing is proved")


class Looks(Protocol):
    """A second layer, as the walk needs it."""

    def start(self) -> State:
        """Before the first position."""
        ...

    def right(self, state: State, label: int) -> bool:
        """Whether the read-out of this state prefers the label."""
        ...


def walk(case: Case, second: Looks, moves: list[Moves], outer: Task) -> int:
    """How many cells of the outer task were walked, all of them right; RejectedError where one is not, or none is."""
    positions, sums = len(moves), 0
    for step, alphabet in zip(moves, outer.domain(case.n).alphabets, strict=True):
        if not np.isin(list(step), np.asarray(alphabet)).all():
            raise RejectedError(f"task {outer.name} does not read every label of the task before")
    for query in outer.queries(case.n):
        for group in cells_of(outer, case.n, query):
            for cell in range(len(group)):
                sums += 1
                if sums * positions > MOST_STEPS:
                    raise UnknownError(f"the walk takes more than {MOST_STEPS} steps")
                _walk(second, moves, outer, case.n, group, cell)
    if not sums:
        raise RejectedError("a factor has no cells at this length")
    return sums


@dataclass(frozen=True, slots=True)
class Second:
    """The second layer and the read-out."""

    state: FixedPoint
    factor: Ball
    enter: Ball
    bias: Ball
    first: np.ndarray
    out: Ball
    out_bias: Ball
    readout: Ball
    readout_bias: Ball

    @classmethod
    def of(cls, arch: Recurrent, tensors: Mapping[str, np.ndarray]) -> Second:
        """UnknownError for another kind of layer, or one that hands on what it reads."""
        layer, state = arch.layers[1], arch.state
        if not isinstance(layer, DiagonalSsm) or not isinstance(state, FixedPoint):
            raise UnknownError("the stored check needs a diagonal second layer and a state in fixed point")
        if tensors["layers.1.diagonal"][1].any() or tensors["layers.1.skip"].any():
            raise UnknownError("the stored check needs real factors, and a second layer that hands on its state alone")
        t = {name: Ball.exact(tensor) for name, tensor in tensors.items() if not name.startswith("embed.")}
        factors = tensors["layers.1.diagonal"][0]
        return cls(
            state,
            Ball.exact(np.concatenate([factors, factors])),
            t["layers.1.in"],
            t["layers.1.bias"],
            tensors["layers.1.start"].astype(np.float64),
            t["layers.1.out"],
            t["layers.1.out_bias"],
            t["readout.weight"],
            t["readout.bias"],
        )

    def start(self) -> State:
        """Before the first position."""
        return self._rounded(self.first, self.first)[0]

    def step(self, state: State, low: np.ndarray, high: np.ndarray) -> set[State]:
        """From `state` under drives in [low, high] (cells, numbers); RejectedError where a rounding is not decided."""
        own = self.factor * Ball.exact(np.array(state))
        return set(self._rounded(np.nextafter(own.low + low, -np.inf), np.nextafter(own.high + high, np.inf)))

    def drive(self, active: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(cells, numbers) floats below and above what outputs in [low, high] (cells, active) do to the state."""
        weight = self.enter[active]
        below = times_low(low[:, :, None], high[:, :, None], weight.low[None])
        above = -times_low(low[:, :, None], high[:, :, None], -weight.high[None])
        bias = np.ones((len(low), 1, 1))
        return (
            sum_low(np.concatenate([below, bias * self.bias.low], axis=1), axis=1),
            sum_high(np.concatenate([above, bias * self.bias.high], axis=1), axis=1),
        )

    def right(self, state: State, label: int) -> bool:
        """Whether the read-out of this state prefers the label to every other."""
        seen = Ball.exact(np.array(state))[None] @ self.out + self.out_bias[None]
        low, high = np.maximum(seen.low, 0.0), np.maximum(seen.high, 0.0)
        mid = (low + high) / 2
        relu = Ball(mid, np.nextafter(np.maximum(high - mid, mid - low), np.inf))
        logits = (relu @ self.readout)[0] + self.readout_bias
        others = np.delete(np.arange(len(logits.mid)), label)
        return bool(((logits[[label] * len(others)] - logits[others]).low > 0).all())

    def _rounded(self, low: np.ndarray, high: np.ndarray) -> list[State]:
        """The grid points of rows of intervals, each of which must be rounded to one."""
        scale, top = 2.0**self.state.fraction, 2.0 ** (self.state.bits - 1)
        steps = [np.clip(np.rint(v * scale), -top, top - 1) for v in (low, high)]
        if not (steps[0] == steps[1]).all():
            raise RejectedError("a rounding in the second layer is not decided")
        return list(map(tuple, (np.atleast_2d(steps[0]) / scale + 0.0).tolist()))


def _moves(store: Store, second: Second, inner: Task, n: int, position: int, reached: set[State]) -> tuple[Moves, int]:
    """What every inner label at `position` does to every state reached so far, and the number of cells."""
    moves: Moves = {}
    count = 0
    for group in cells_of(inner, n, position):
        assert group.labels is not None
        low, high = second.drive(*store.outputs(group))
        for label in np.unique(group.labels).tolist():
            rows = group.labels == label
            by = moves.setdefault(label, {state: set() for state in reached})
            for state in reached:
                by[state] |= second.step(state, low[rows], high[rows])
        count += len(group)
    return moves, count


def _walk(second: Looks, moves: list[Moves], outer: Task, n: int, group: CellGroup, cell: int) -> None:
    """RejectedError unless the model answers right wherever the inner labels lie in this cell of the outer task."""
    if group.labels is None or not isinstance(group.token, int) or group.constraint.kind != "product":
        raise UnknownError("the outer factor's cells must be products of labels")
    where = group.background or outer.domain(n).alphabets
    forced = dict(zip(group.positions[cell].tolist(), group.symbols[cell].tolist(), strict=True))
    forced[group.query] = group.token
    states = {second.start()}
    for position, step in enumerate(moves):
        labels = [forced[position]] if position in forced else np.asarray(where[position]).tolist()
        possible = [step[label] for label in labels if label in step]
        states = {to for by in possible for state in states for to in by[state]}
        if position == group.query and not all(second.right(state, int(group.labels[cell])) for state in states):
            raise RejectedError(f"a word of inner labels of cell {cell} is not answered right")
