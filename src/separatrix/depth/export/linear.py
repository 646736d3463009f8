"""Forms as other tools read them: all weights positive, on wires or their negations, and outputs as bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from separatrix.depth.circuit import Circuit


@dataclass(frozen=True, slots=True)
class Positive:
    """constant + sum of weight * (wire, or 1 - wire where negated); weights are positive, wires increase.

    The interval [constant, constant + sum of weights] is the form's, from nothing but its weights.
    """

    constant: int
    wires: tuple[int, ...]
    weights: tuple[int, ...]
    negated: tuple[bool, ...]

    @property
    def low(self) -> int:
        """Least value of the interval."""
        return self.constant

    @property
    def high(self) -> int:
        """Greatest value of the interval."""
        return self.constant + sum(self.weights)


@lru_cache(maxsize=4)
def rows(circuit: Circuit) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(wires, weights) of every form, without parts, as Python ints."""
    flat = circuit.flat()
    ptr, wire, weight = flat.term_ptr.tolist(), flat.term_wire.tolist(), [int(w) for w in flat.term_weight.tolist()]
    return [(tuple(wire[a:b]), tuple(weight[a:b])) for a, b in pairwise(ptr)]


def positive(row: tuple[tuple[int, ...], tuple[int, ...]]) -> Positive:
    """w x = w + |w| (1 - x) for w < 0."""
    wires, weights = row
    kept = [(wire, w) for wire, w in zip(wires, weights, strict=True) if w]
    return Positive(
        sum(w for _, w in kept if w < 0),
        tuple(wire for wire, _ in kept),
        tuple(abs(w) for _, w in kept),
        tuple(w < 0 for _, w in kept),
    )


def gates(circuit: Circuit) -> Iterator[tuple[int, int, int]]:
    """(wire, form, threshold) of every gate, in order."""
    pairs = zip(circuit.gate_form.tolist(), circuit.gate_threshold.tolist(), strict=True)
    for g, (form, threshold) in enumerate(pairs):
        yield circuit.inputs + g, form, int(threshold)


def outputs(circuit: Circuit) -> list[tuple[int, int]]:
    """(form, offset) of every output."""
    pairs = zip(circuit.output_form.tolist(), circuit.output_offset.tolist(), strict=True)
    return [(form, int(offset)) for form, offset in pairs]


def width(low: int, high: int) -> int:
    """Bits of a number between low and high: unsigned where low >= 0, else two's complement with its sign bit.

    >>> width(0, 7), width(0, 8), width(-8, 7), width(-9, 0), width(0, 0)
    (3, 4, 4, 5, 1)
    """
    if low >= 0:
        return max(1, high.bit_length())
    return 1 + max((-low - 1).bit_length(), high.bit_length() if high > 0 else 0)
