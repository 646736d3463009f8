"""Words that are lattice polynomials of the inputs, checked on all 0-1 inputs (the zero-one principle).

Minima and maxima of words commute with increasing maps, and so do order statistics; two such functions that agree on
all inputs from {0, 1}^n agree on all reals (Knuth, The Art of Computer Programming 3, 5.3.4). Words fall into
components that share no input. A component carries every reachable pair (ones among its inputs, values of its words):
Batcher's merge sort keeps these few, since each merge starts from sorted halves. For medians of prefixes the ones are
counted prefix by prefix, and all 2^N inputs stay apart.

Routed inputs (a destination p, a payload x) enter as words of several kinds a p + b x. Where a >= |b| (high - low), a
word with a larger destination is no smaller, so the word of rank r among those of one kind is that with destination r,
whatever the payloads are: a r + b x. Words of different kinds may not meet in a comparator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from separatrix.core.closed_form import ClosedForm, Delivered, OrderStatistic, PrefixMedian
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.positional import Positional

if TYPE_CHECKING:
    from separatrix.kernel.positional import Step

MOST_STATES = 2**20
MOST_ENTRIES = 2**27  # of a component's states, two bytes each
LARGEST = 2**40  # multiple of the destination in a routed word
Wire = tuple[int, int]  # node, coordinate


@dataclass(frozen=True, slots=True)
class Component:
    """wires: its words, of kind number `kind`. inputs: the nodes whose inputs they depend on. states: (reachable,
    counts + wires), counts of ones first.
    """

    kind: int
    wires: tuple[Wire, ...]
    inputs: frozenset[int]
    states: np.ndarray


@dataclass(frozen=True, slots=True)
class State:
    """Components; a word in none of them is 0. Count c of a state is that of the ones among the first lengths[c].

    kinds: what the words of each kind were at the start, as coefficients of a node's inputs, the payload's last.
    """

    components: tuple[Component, ...]
    nodes: int
    lengths: tuple[int, ...]
    kinds: tuple[tuple[Fraction, ...], ...]

    def largest(self, scale: float) -> float:
        """Every word is 0 or lies between two words of the start; destinations are below the number of nodes."""
        most = max(sum(map(abs, kind[:-1])) * self.nodes + abs(kind[-1]) * Fraction(scale) for kind in self.kinds)
        return float(most) if Fraction(float(most)) >= most else float(np.nextafter(float(most), np.inf))

    def after(self, steps: Sequence[Step]) -> State:
        """The words after a layer; components that a node reads together are joined."""
        home = {wire: k for k, part in enumerate(self.components) for wire in part.wires}
        rules: dict[Wire, tuple[str, Wire, Wire]] = {}
        group = list(range(len(self.components)))

        def find(k: int) -> int:
            while group[k] != k:
                group[k] = group[group[k]]
                k = group[k]
            return k

        for node, step in enumerate(steps):
            width = (len(step.forms[0].linear) - 1) // len(step.sources)
            for coordinate, form in enumerate(step.forms):
                rule = _rule(form, step.sources, width, home)
                if rule is not None:
                    rules[node, coordinate] = rule
                    group[find(home[rule[1]])] = find(home[rule[2]])
        members: dict[int, list[int]] = {}
        for k in range(len(self.components)):
            members.setdefault(find(k), []).append(k)
        parts = []
        for root, own in members.items():
            wires = tuple(sorted(w for w, rule in rules.items() if find(home[rule[1]]) == root))
            if wires:
                parts.append(_advance([self.components[k] for k in own], len(self.lengths), wires, rules))
        return State(tuple(parts), self.nodes, self.lengths, self.kinds)

    def agrees(self, closed: Sequence[ClosedForm | None], weight: Sequence[Fraction], bias: Fraction) -> None:
        """RejectedError unless the read-out of node i is its closed form on every 0-1 input."""
        if isinstance(closed[0], Delivered):
            self._delivers(closed, weight, bias)
            return
        read = [k for k, w in enumerate(weight) if w]
        ranks = 2 if isinstance(closed[0], PrefixMedian) else 1
        if bias or len(read) != ranks or any(weight[k] != Fraction(1, ranks) for k in read):
            raise UnknownError("the read-out of a comparator network must be one of its words, or the mean of two")
        for i, form in enumerate(closed):
            if isinstance(form, PrefixMedian):
                length, wanted = form.length, form.ranks
            else:
                assert isinstance(form, OrderStatistic)
                length, wanted = len(closed), (form.rank,)
            for k, rank in zip(read, wanted, strict=True):
                self._ordered((i, k), length, rank)

    def _ordered(self, wire: Wire, length: int, rank: int) -> Component:
        """The word's component; RejectedError unless it is of this rank among the first `length` words of its kind."""
        count = self.lengths.index(length)
        part = next((p for p in self.components if wire in p.wires), None)
        if part is None or not part.inputs >= set(range(length)):
            raise RejectedError(f"output {wire[0]} does not depend on all inputs")
        ones, value = part.states[:, count], part.states[:, len(self.lengths) + part.wires.index(wire)]
        if (value != (ones >= length - rank)).any():
            raise RejectedError(f"without leaks, output {wire[0]} would be wrong on an input of zeros and ones")
        return part

    def _delivers(self, closed: Sequence[ClosedForm | None], weight: Sequence[Fraction], bias: Fraction) -> None:
        """RejectedError unless the read-out of node i is the payload of its closed form's destination."""
        for i, form in enumerate(closed):
            assert isinstance(form, Delivered)
            payload, rest = Fraction(0), bias
            for k, w in enumerate(weight):
                if w:
                    a, b = self.kinds[self._ordered((i, k), len(closed), form.destination).kind]
                    payload, rest = payload + w * b, rest + w * a * form.destination
            if (payload, rest) != (1, 0):
                raise RejectedError(f"without leaks, output {i} would not be the payload that is sent there")


def start(
    arch: Positional, given: Sequence[Sequence[Fraction]], lengths: tuple[int, ...], span: Fraction | None = None
) -> State:
    """The words of the first map; ones are counted in these prefixes.

    given: its bias, then one row an input word. span: None where node i holds x_i, to be copied; of routed inputs, how
    far apart two payloads may be.
    """
    bias, *rows = given
    columns = list(zip(*rows, strict=True))
    kinds = tuple(sorted({column for column in columns if any(column)}))
    if any(bias) or (span is None and any(kind != (1,) for kind in kinds)):
        raise UnknownError("the first map of a comparator network must copy its input")
    if span is not None and not all(abs(b) * span <= a <= LARGEST and abs(b) <= LARGEST for a, b in kinds):
        raise UnknownError("a routed word must hold its destination times more than payloads can differ, up to 2^40")
    if not kinds:
        raise RejectedError("the first map drops its input")
    parts = []
    for number, kind in enumerate(kinds):
        copies = [k for k, column in enumerate(columns) if column == kind]
        for i in range(arch.nodes - arch.sinks):
            one = [*(i < length for length in lengths), *(True for _ in copies)]
            states = np.array([[0] * len(one), one], dtype=np.int16)  # counts are at most 2^11
            parts.append(Component(number, tuple((i, k) for k in copies), frozenset({i}), states))
    return State(tuple(parts), arch.nodes, lengths, kinds)


def _rule(form, sources: Sequence[int], width: int, home: dict[Wire, int]) -> tuple[str, Wire, Wire] | None:
    """`min` or `max` of two words (a copy is the minimum of a word with itself); None for the constant 0."""
    wires = [(node, k) for node in sources for k in range(width)]
    # words that are 0 drop out of the form
    linear = {wires[v]: c for v, c in enumerate(form.linear[1:]) if c and wires[v] in home}
    kinks: dict[tuple[tuple[Wire, Fraction], ...], Fraction] = {}
    for line, weight in form.kinks:
        left = [(wires[v], c) for v, c in enumerate(line[1:]) if c and wires[v] in home]
        if line[0]:
            raise UnknownError("a node of a comparator network adds constants")
        if not left:
            continue
        scale = left[0][1]
        key = tuple((wire, c / scale) for wire, c in left)
        kinks[key] = kinks.get(key, Fraction(0)) + weight * abs(scale)
    bends = {key: weight for key, weight in kinks.items() if weight}
    if form.linear[0] == 0 and not bends:
        if not linear:
            return None
        if len(linear) == 1 and set(linear.values()) == {1}:
            (wire,) = linear
            return "min", wire, wire
    half = Fraction(1, 2)
    if form.linear[0] == 0 and len(bends) == 1 and len(linear) == 2 and set(linear.values()) == {half}:
        ((key, weight),) = bends.items()
        a, b = sorted(linear)
        if dict(key) in ({a: 1, b: -1}, {a: -1, b: 1}) and abs(weight) == half:
            return ("max" if weight > 0 else "min"), a, b
    raise UnknownError("a node does not take the minimum or maximum of two words")


def _advance(
    parts: list[Component], counts: int, wires: tuple[Wire, ...], rules: dict[Wire, tuple[str, Wire, Wire]]
) -> Component:
    """The joined component after the layer: the product of what was reachable, each state moved by the rules."""
    if len({part.kind for part in parts}) > 1:
        raise UnknownError("a node compares words of different kinds")
    states, old = parts[0].states, list(parts[0].wires)
    for part in parts[1:]:
        found, width = len(states) * len(part.states), counts + len(old) + len(part.wires)
        if found > MOST_STATES or found * width > MOST_ENTRIES:
            raise UnknownError("too many 0-1 states are reachable")
        a, b = np.repeat(states, len(part.states), axis=0), np.tile(part.states, (len(states), 1))
        states = np.concatenate([a[:, :counts] + b[:, :counts], a[:, counts:], b[:, counts:]], axis=1)
        old += part.wires
    if len(states) * (counts + len(wires)) > MOST_ENTRIES:
        raise UnknownError("too many words go through many 0-1 states")
    column = {wire: counts + k for k, wire in enumerate(old)}
    moved = list(states[:, :counts].T)
    for wire in wires:
        kind, a, b = rules[wire]
        join = np.maximum if kind == "max" else np.minimum
        moved.append(join(states[:, column[a]], states[:, column[b]]))
    inputs = frozenset().union(*(part.inputs for part in parts))
    return Component(parts[0].kind, wires, inputs, np.unique(np.stack(moved, axis=1), axis=0))
