"""Kind `stored` in Arb: every number of the state followed through time, then the outputs on every cell.

The first layer is diagonal, so number k becomes rounded(a_k s + drive_k(symbol) + place_k): for every step of the grid
that it may be at and every symbol the result is computed here, and either the symbol makes no difference, or what the
number was makes none (see `stored`). A ball is rounded where both its ends are rounded to one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.arch import Readout
from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.recurrent import FixedPoint, Recurrent
from separatrix.core.task import Task
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel import stored, stored_flags
from separatrix.kernel.arb_arrays import Arbs, Undecided, at_some_precision, decide
from separatrix.kernel.arb_nets import number
from separatrix.kernel.case import Case
from separatrix.kernel.needs import inside


def check_stored(case: Case) -> str:
    """The claim in a sentence, or an error."""
    (name,) = case.fields(factor=str)
    case.no_arrays()
    arch = case.recurrent()
    if arch is None:
        raise UnknownError("the stored check decides recurrent models")
    said = at_some_precision(lambda: _with_factor(case, arch, name) if name else _alone(case, arch))
    return f"the model answers {case.where} right on every input ({said}, arb)"


def _alone(case: Case, arch: Recurrent) -> str:
    task, n, outputs = case.task, case.n, case.task.outputs()
    if len(arch.layers) != 1:
        raise UnknownError("without a factor, the stored check is for one layer")
    store = Store.of(arch, case.tensors, task.domain(n))
    if not isinstance(outputs, Labels) or arch.readout != Readout(outputs.k):
        raise RejectedError("the model's read-out does not fit the task")
    weight, bias, cells = ab.arbs(case.tensors["readout.weight"]), ab.arbs(case.tensors["readout.bias"]), 0
    for query in sorted(task.queries(n)):
        while store.time <= query:
            store.advance()
        groups = task.cells(n, query)
        if groups is None:
            raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
        count = 0
        for group in groups:
            if group.query != query or group.labels is None:
                raise RejectedError("a cell of this task is not a cell of this query, or has no label")
            for cell, label in enumerate(group.labels.tolist()):
                at = f"position {query}, token {group.token}: cell {cell} is not proved right"
                seen = store.outputs(group, cell)
                rivals = np.delete(np.arange(outputs.k), label)
                gain = weight[:, [label]] - weight[:, rivals]
                margins = ab.dot(seen[None], gain)[0] + (bias[label] - bias[rivals])
                if not all(decide(m > 0, m.lower() < -(2.0**-40), at) for m in margins):
                    raise RejectedError(at)
            cells, count = cells + len(group), count + len(group)
            case.progress(f"{cells:,} cells, arb")
        if not count:
            raise RejectedError(f"task {task.name} has no cells at position {query}, of which nothing is proved")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    return f"{cells} cells, {store.sentence}"


@dataclass(slots=True)
class Store:
    """The first layer's state after some positions, as a function of the input.

    source (K,): the position that number k depends on, -1 for none. value (K, V): its step of the grid when that
    position holds each token, in whole numbers. factor (K,), drive (V, K), place (T, K). out (K, H): what the outputs
    add up; skip (V, H), place_skip (T, H): what else, bias included.
    """

    domain: Sequence
    state: FixedPoint
    source: np.ndarray
    value: np.ndarray
    factor: Arbs
    drive: Arbs
    place: Arbs
    out: Arbs
    skip: Arbs
    place_skip: Arbs
    sentence: str
    time: int = 0

    @classmethod
    def of(cls, arch: Recurrent, tensors: Mapping[str, np.ndarray], domain: Sequence) -> Store:
        """Before the first position; the float64 engine's Store says which models and tasks this is about."""
        known, state = stored.Store.of(arch, tensors, domain), arch.state
        assert isinstance(state, FixedPoint)
        t = {name: ab.arbs(tensor) for name, tensor in tensors.items() if name.startswith(("embed.", "layers.0."))}
        place = t.get("embed.position", ab.zeros(domain.positions, arch.width))
        start = [_step(s, state) for s in t["layers.0.start"]]
        factor = t["layers.0.diagonal"][0]
        return cls(
            domain=domain,
            state=state,
            source=np.full(len(start), -1),
            value=np.repeat(np.array(start)[:, None], domain.vocabulary, axis=1),
            factor=np.concatenate([factor, factor]),
            drive=ab.dot(t["embed.token"], t["layers.0.in"]),
            place=ab.dot(place, t["layers.0.in"]) + t["layers.0.bias"],
            out=t["layers.0.out"],
            skip=ab.dot(t["embed.token"], t["layers.0.skip"]),
            place_skip=ab.dot(place, t["layers.0.skip"]) + t["layers.0.out_bias"],
            sentence=known.sentence(),
        )

    def advance(self) -> None:
        """One position; UnknownError where a number would depend on two positions."""
        if self.time >= self.domain.positions:
            raise RejectedError("the task scores a position that its inputs do not have")
        alphabet = np.asarray(self.domain.alphabets[self.time])
        unit = 2.0**-self.state.fraction
        for k, j in enumerate(self.source.tolist()):
            before = self.value[k, np.asarray(self.domain.alphabets[j])] if j >= 0 else self.value[k, :1]
            held = sorted(set(before.tolist()))
            drive = self.drive[alphabet, k] + self.place[self.time, k]
            after = {u: [_step(self.factor[k] * (u * unit) + d, self.state) for d in drive] for u in held}
            if all(len(set(steps)) == 1 for steps in after.values()):  # the symbol makes no difference
                moved = {u: steps[0] for u, steps in after.items()}
                self.value[k] = [moved.get(u, u) for u in self.value[k].tolist()]
            elif len({tuple(steps) for steps in after.values()}) == 1:  # what it was makes none
                self.value[k] = after[held[0]][0]
                self.value[k, alphabet] = after[held[0]]
                self.source[k] = self.time
            else:
                raise UnknownError(f"position {self.time}: number {k} of the state would depend on two positions")
        self.time += 1

    def outputs(self, group: CellGroup, cell: int) -> Arbs:
        """(H,) balls around the outputs of the layer on a cell, at the last position read."""
        query, token = group.query, group.token
        if query != self.time - 1 or not isinstance(token, int) or group.constraint.kind != "product":
            raise UnknownError("the stored check needs product cells, at the position that was read last")
        places, held = group.positions[cell], group.symbols[cell]
        if (places == query).any() or (places < 0).any() or (places >= self.time).any():
            raise RejectedError("a cell of this task forces its own query, or a position that is not read yet")
        vocabulary = self.value.shape[1]
        if not (0 <= token < vocabulary and all(0 <= s < vocabulary for s in held.tolist())):
            raise RejectedError("a cell of this task holds a symbol that its domain does not have")
        if group.background is not None and not inside(group.background, places, held).all():
            raise UnknownError("a cell of this task forces a symbol that its background does not have")
        where = group.background or self.domain.alphabets
        forced = {query: token} | dict(zip(places.tolist(), held.tolist(), strict=True))
        unit, numbers = 2.0**-self.state.fraction, []
        for k, j in enumerate(self.source.tolist()):
            symbols = [0] if j < 0 else [forced[j]] if j in forced else np.asarray(where[j])
            steps = self.value[k, symbols]
            numbers.append(number(int(steps.min()) * unit).union(number(int(steps.max()) * unit)))
        state = np.array(numbers, dtype=object)
        return ab.relu(ab.dot(state[None], self.out)[0] + self.skip[token] + self.place_skip[query])


def _step(value: Any, state: FixedPoint) -> int:
    """The step of the grid that all of a ball is rounded to, half to even; Undecided where that are several."""
    ends = [_whole(end * number(2.0**state.fraction)) for end in (value.lower(), value.upper())]
    top = 1 << (state.bits - 1)
    low, high = (max(-top, min(top - 1, end)) for end in ends)
    if low != high:
        raise Undecided("a rounding of the state")
    return low


def _whole(point: Any) -> int:
    """The nearest whole number, half to even."""
    if not point.is_finite():
        raise Undecided("a number of the state")
    below = point.floor().unique_fmpz()
    if below is None:
        raise Undecided("a number of the state")
    below, rest = int(below), point - int(below)
    if rest < 0.5 or rest > 0.5:
        return below + bool(rest > 0.5)
    if rest == 0.5:
        return below + below % 2
    raise Undecided("a number of the state")


def _with_factor(case: Case, arch: Recurrent, name: str) -> str:
    task, n = case.task, case.n
    inner, outer = stored_flags.steps_of(task, n, arch, name)
    domain = task.domain(n)
    store, second = Store.of(arch, case.tensors, domain), Second.of(arch, case.tensors)
    reached, moves, cells = {second.start()}, [], 0
    for position in range(domain.positions):
        store.advance()
        step, count = _moves(store, second, inner, n, position, reached)
        moves.append(step)
        reached = {to for by in step.values() for states in by.values() for to in states}
        cells += count
        if len(reached) > stored_flags.MOST_STATES:
            raise UnknownError(f"the second layer has more than {stored_flags.MOST_STATES} states")
        case.progress(f"{position + 1:,} positions, arb")
    sums = stored_flags.walk(case, second, moves, outer)
    if not cells:
        raise RejectedError("a factor has no cells at this length")
    return f"{cells} cells of the inner task, {sums} of the outer, {store.sentence}"


def _moves(
    store: Store, second: Second, inner: Task, n: int, position: int, reached: set[stored_flags.State]
) -> tuple[stored_flags.Moves, int]:
    """What every inner label at `position` does to every state reached so far, and the number of cells."""
    moves: stored_flags.Moves = {}
    count = 0
    for group in stored_flags.cells_of(inner, n, position):
        assert group.labels is not None
        for cell, label in enumerate(group.labels.tolist()):
            drive = second.drive(store.outputs(group, cell))
            by = moves.setdefault(label, {state: set() for state in reached})
            for state in reached:
                by[state].add(second.step(state, drive))
        count += len(group)
    return moves, count


@dataclass(frozen=True, slots=True)
class Second:
    """The second layer and the read-out."""

    state: FixedPoint
    t: dict[str, Arbs]
    factor: Arbs

    @classmethod
    def of(cls, arch: Recurrent, tensors: Mapping[str, np.ndarray]) -> Second:
        """UnknownError for another kind of layer, or one that hands on what it reads."""
        stored_flags.Second.of(arch, tensors)
        assert isinstance(arch.state, FixedPoint)
        t = {name: ab.arbs(tensor) for name, tensor in tensors.items() if not name.startswith("embed.")}
        factor = t["layers.1.diagonal"][0]
        return cls(arch.state, t, np.concatenate([factor, factor]))

    def start(self) -> stored_flags.State:
        """Before the first position."""
        return self._rounded(self.t["layers.1.start"])

    def drive(self, outputs: Arbs) -> Arbs:
        """(numbers,) what outputs of the first layer do to the state."""
        return ab.dot(outputs[None], self.t["layers.1.in"])[0] + self.t["layers.1.bias"]

    def step(self, state: stored_flags.State, drive: Arbs) -> stored_flags.State:
        """From `state` under this drive."""
        return self._rounded(self.factor * ab.arbs(np.array(state)) + drive)

    def right(self, state: stored_flags.State, label: int) -> bool:
        """Whether the read-out of this state prefers the label to every other; Undecided where that is not known."""
        seen = ab.dot(ab.arbs(np.array([state])), self.t["layers.1.out"])[0] + self.t["layers.1.out_bias"]
        logits = ab.dot(ab.relu(seen)[None], self.t["readout.weight"])[0] + self.t["readout.bias"]
        margins = [logits[label] - other for c, other in enumerate(logits) if c != label]
        return all(decide(m > 0, m <= 0, "the answer of a state") for m in margins)

    def _rounded(self, values: Arbs) -> stored_flags.State:
        return tuple(_step(value, self.state) * 2.0**-self.state.fraction + 0.0 for value in values)
