"""Threshold gates lowered to AND and NOT: forms by adders, or each gate by its decision diagram."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from separatrix.core.errors import UnknownError
from separatrix.depth.circuit import Circuit
from separatrix.depth.export.linear import Positive, gates, outputs, positive, rows, width

FALSE, TRUE = 0, 1
MOST_NODES = 5_000_000


@dataclass
class Graph:
    """An and-inverter graph: literal 2v + s is variable v, negated if s; variables 1 .. inputs are the inputs.

    Attributes:
        ands: variable inputs + 1 + k is the AND of the two literals ands[k].
        outputs: (name, literal) pairs.
    """

    inputs: int
    ands: list[tuple[int, int]] = field(default_factory=list)
    outputs: list[tuple[str, int]] = field(default_factory=list)
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def variables(self) -> int:
        """Number of variables, the constant not counted."""
        return self.inputs + len(self.ands)

    def both(self, a: int, b: int) -> int:
        """a AND b, equal ones stored once."""
        if a > b:
            a, b = b, a
        if a in (FALSE, b ^ 1):
            return FALSE
        if a in (TRUE, b):
            return b
        if (a, b) not in self._known:
            if len(self.ands) >= MOST_NODES:
                raise UnknownError(f"the circuit has more than {MOST_NODES:,} AND gates; export it as .npz or .opb")
            self.ands.append((a, b))
            self._known[a, b] = 2 * self.variables
        return self._known[a, b]

    def either(self, a: int, b: int) -> int:
        """a OR b."""
        return self.both(a ^ 1, b ^ 1) ^ 1

    def xor(self, a: int, b: int) -> int:
        """a XOR b."""
        return self.either(self.both(a, b ^ 1), self.both(a ^ 1, b))

    def add(self, a: int, b: int, c: int) -> tuple[int, int]:
        """Sum and carry of three bits."""
        half = self.xor(a, b)
        return self.xor(half, c), self.either(self.both(a, b), self.both(half, c))

    def simulate(self, inputs: np.ndarray) -> np.ndarray:
        """(lanes, outputs) bits, from (lanes, inputs) of 0 and 1."""
        values = np.zeros((self.variables + 1, len(inputs)), dtype=bool)
        values[1 : self.inputs + 1] = np.asarray(inputs, dtype=bool).T
        for k, (a, b) in enumerate(self.ands, self.inputs + 1):
            values[k] = (values[a >> 1] ^ bool(a & 1)) & (values[b >> 1] ^ bool(b & 1))
        return np.stack([values[x >> 1] ^ bool(x & 1) for _, x in self.outputs], axis=1).astype(np.int64)


def sum_bits(graph: Graph, form: Positive, literals: list[int]) -> list[int]:
    """Bits, lowest first, of form - form.constant (which is 0 or more), by carry-save adders column by column."""
    columns: list[list[int]] = [[] for _ in range(sum(form.weights).bit_length() + 1)]
    for wire, weight, negated in zip(form.wires, form.weights, form.negated, strict=True):
        for k in range(weight.bit_length()):
            if weight >> k & 1:
                columns[k].append(literals[wire] ^ negated)
    bits = []
    for k, column in enumerate(columns):
        at = 0
        while len(column) - at > 1:
            third = column[at + 2] if len(column) - at > 2 else FALSE
            total, carry = graph.add(column[at], column[at + 1], third)
            at += 3 if len(column) - at > 2 else 2
            column.append(total)
            if carry != FALSE:
                columns[k + 1].append(carry)
        bits.append(column[at] if len(column) > at else FALSE)
    return bits[: max(1, sum(form.weights).bit_length())]


def at_least(graph: Graph, bits: list[int], bound: int) -> int:
    """[number >= bound] for a number of these bits."""
    if bound <= 0:
        return TRUE
    if bound >> len(bits):
        return FALSE
    found = TRUE  # of no bits: equal
    for k, bit in enumerate(bits):
        found = graph.both(bit, found) if bound >> k & 1 else graph.either(bit, found)
    return found


def diagram(graph: Graph, form: Positive, literals: list[int], bound: int) -> int:
    """[form - form.constant >= bound] by its decision diagram, bounds of equal effect merged (Een, Sorensson 2006)."""
    order = sorted(range(len(form.wires)), key=lambda k: -form.weights[k])
    weights = [form.weights[k] for k in order]
    left = [0] * (len(order) + 1)  # what the weights from k on can still add
    for k in range(len(order) - 1, -1, -1):
        left[k] = left[k + 1] + weights[k]
    far = 4 * (left[0] + abs(bound) + 1)
    known: list[tuple[list[int], list[tuple[int, int]]]] = [([], []) for _ in order]

    def visit(k: int, need: int) -> tuple[int, int, int]:  # literal, and least and greatest `need` with this literal
        if need <= 0:
            return TRUE, -far, 0
        if need > left[k]:
            return FALSE, left[k] + 1, far
        starts, entries = known[k]
        at = bisect_right(starts, need) - 1
        if at >= 0 and need <= entries[at][0]:
            return entries[at][1], starts[at], entries[at][0]
        low, low_from, low_to = visit(k + 1, need)
        high, high_from, high_to = visit(k + 1, need - weights[k])
        here = literals[form.wires[order[k]]] ^ form.negated[order[k]]
        literal = graph.either(low, graph.both(here, high))  # low implies high
        least, most = max(low_from, high_from + weights[k]), min(low_to, high_to + weights[k])
        at = bisect_right(starts, least)
        starts.insert(at, least)
        entries.insert(at, (most, literal))
        return literal, least, most

    return visit(0, bound)[0]


def lower(circuit: Circuit, style: Literal["adders", "diagrams"] = "adders") -> Graph:
    """The circuit in AND and NOT; output o becomes bits o{o}[k] of its value (two's complement if it may be negative).

    adders: one adder a form, shared by its gates. diagrams: one decision diagram a gate, which solvers find easier but
    may be long where weights are many and large. UnknownError above MOST_NODES ANDs.
    """
    graph = Graph(circuit.inputs)
    literals = [2 * (i + 1) for i in range(circuit.inputs)]
    table = [positive(row) for row in rows(circuit)]
    sums: dict[int, list[int]] = {}

    def bits_of(form: int) -> list[int]:
        if form not in sums:
            sums[form] = sum_bits(graph, table[form], literals)
        return sums[form]

    for _, form, threshold in gates(circuit):
        bound = threshold - table[form].constant
        if style == "diagrams" and len(table[form].wires) <= 400:
            literals.append(diagram(graph, table[form], literals, bound))
        else:
            literals.append(at_least(graph, bits_of(form), bound))
    for o, (form, offset) in enumerate(outputs(circuit)):
        constant = table[form].constant + offset
        low, high = constant, constant + sum(table[form].weights)
        for k, bit in enumerate(_plus(graph, bits_of(form), constant, width(low, high))):
            graph.outputs.append((f"o{o}[{k}]", bit))
    return graph


def _plus(graph: Graph, bits: list[int], constant: int, size: int) -> list[int]:
    """bits + constant modulo 2^size."""
    total, carry = [], FALSE
    for k in range(size):
        own = TRUE if constant >> k & 1 else FALSE
        bit, carry = graph.add(bits[k] if k < len(bits) else FALSE, own, carry)
        total.append(bit)
    return total
