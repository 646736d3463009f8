"""What a circuit costs: depth, gates, edges, weights, levels, operations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.depth.circuit import Circuit, flatten

CHUNK = 4_000_000


@dataclass(frozen=True, slots=True)
class Measure:
    """Counts of one circuit.

    Attributes:
        depth, depth_materialised: levels of gates, outputs read as forms, or through wires.
        edges: sum over gates of the wires that the gate's form reads (an edge into every gate, as in the literature).
        form_edges: every distinct form counted once.
        stored: entries that are stored (parts are not expanded).
        weight_bits, threshold_bits: bits of the greatest weight and threshold in size.
        weight_exponent: least c with all weights <= max(inputs, 2)^c; small when the circuit is one of majority gates
            with polynomial weights (MAJ) as it stands. A circuit of any weights (LT) of depth k has an equivalent of
            polynomial weights of depth k + 1 (Goldmann, Hastad & Razborov 1992; Goldmann & Karpinski 1998).
        levels: gates of each level from 1.
        operations: (name, gates, edges) in order of gates.
    """

    inputs: int
    outputs: int
    depth: int
    depth_materialised: int
    gates: int
    edges: int
    forms: int
    form_edges: int
    stored: int
    fan_in: int
    weight_bits: int
    threshold_bits: int
    weight_exponent: float
    levels: tuple[int, ...]
    operations: tuple[tuple[str, int, int], ...]

    def to_json(self) -> dict:
        """Plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["levels"] = list(self.levels)
        plain["operations"] = [{"name": n, "gates": g, "edges": e} for n, g, e in self.operations]
        return plain


def measure(circuit: Circuit) -> Measure:
    """Counts everything from the arrays; forms with parts are expanded in portions of bounded memory."""
    length, weight = _lengths(circuit)
    edges = length[circuit.gate_form]
    per_op = np.bincount(circuit.gate_op, minlength=len(circuit.ops))
    op_edges = np.bincount(circuit.gate_op, weights=edges, minlength=len(circuit.ops))
    order = sorted(range(len(circuit.ops)), key=lambda k: -per_op[k])
    bar = max(abs(int(t)) for t in (circuit.gate_threshold.max(initial=0), circuit.gate_threshold.min(initial=0)))
    return Measure(
        inputs=circuit.inputs,
        outputs=len(circuit.output_form),
        depth=circuit.depth,
        depth_materialised=circuit.depth_materialised,
        gates=circuit.gates,
        edges=int(edges.sum()),
        forms=circuit.forms,
        form_edges=int(length.sum()),
        stored=len(circuit.term_wire) + len(circuit.part_form),
        fan_in=int(edges.max(initial=0)),
        weight_bits=weight.bit_length(),
        threshold_bits=bar.bit_length(),
        weight_exponent=round(math.log(max(weight, 1)) / math.log(max(circuit.inputs, 2)), 2),
        levels=tuple(np.bincount(circuit.gate_level, minlength=1)[1:].tolist()),
        operations=tuple((circuit.ops[k], int(per_op[k]), int(op_edges[k])) for k in order if per_op[k]),
    )


def _lengths(circuit: Circuit) -> tuple[np.ndarray, int]:
    """(forms,) wires read by each form, and the greatest weight in size.

    Forms over the same parts are looked at together: where the parts of one of them share no wire, every one of them
    reads the wires of all parts, and its weights are multiples of theirs. Only other forms are expanded.
    """
    length, top = np.diff(circuit.term_ptr).astype(np.int64), _row_tops(circuit)
    kin: dict[tuple[int, ...], list[int]] = {}
    most = length.tolist()
    for f in np.flatnonzero(np.diff(circuit.part_ptr) > 0).tolist():
        parts = circuit.part_form[circuit.part_ptr[f] : circuit.part_ptr[f + 1]].tolist()
        kin.setdefault((*parts, -1, *((f,) if length[f] else ())), []).append(f)
        most[f] += sum(most[q] for q in parts)
    first = [family[0] for family in kin.values()]
    found = dict(zip(first, _expanded(circuit, first, most), strict=True))
    for f, family in zip(first, kin.values(), strict=True):  # parts come before the forms that they are in
        parts = circuit.part_form[circuit.part_ptr[f] : circuit.part_ptr[f + 1]]
        if found[f][0] == int(length[f] + length[parts].sum()):
            for g in family:
                scale = circuit.part_weight[circuit.part_ptr[g] : circuit.part_ptr[g + 1]]
                length[g] = found[f][0]
                top[g] = max(top[g], *(abs(int(s)) * top[q] for s, q in zip(scale, parts.tolist(), strict=True)))
        else:
            for g, (wires, greatest) in zip(family, _expanded(circuit, family, most), strict=True):
                length[g], top[g] = wires, greatest
    return length, max(top, default=0)


def _expanded(circuit: Circuit, forms: list[int], most: list[int]) -> Iterator[tuple[int, int]]:
    """(wires, greatest weight) of each form, expanded in portions of bounded memory; most: upper counts."""
    portion: list[int] = []
    held = 0
    for k, f in enumerate(forms):
        portion.append(f)
        held += most[f]
        if k + 1 < len(forms) and held + most[forms[k + 1]] <= CHUNK:
            continue
        held = 0
        ptr, _, weight = flatten(circuit, np.array(portion))
        for r in range(len(portion)):
            yield int(ptr[r + 1] - ptr[r]), _greatest(weight[ptr[r] : ptr[r + 1]])
        portion = []


def _row_tops(circuit: Circuit) -> list[int]:
    """Greatest weight in size among each form's own terms."""
    out = [0] * circuit.forms
    size = np.abs(circuit.term_weight)
    full = np.flatnonzero(np.diff(circuit.term_ptr) > 0)
    if len(full):
        for f, value in zip(
            full.tolist(), np.maximum.reduceat(size, circuit.term_ptr[:-1][full]).tolist(), strict=True
        ):
            out[f] = int(value)
    return out


def _greatest(weight: np.ndarray) -> int:
    return max(abs(int(weight.max())), abs(int(weight.min()))) if len(weight) else 0
