"""What a circuit costs: depth, gates, edges, weights, levels, operations."""

from __future__ import annotations

import math
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
    """(forms,) wires read by each form, and the greatest weight in size."""
    length, top = np.diff(circuit.term_ptr), _greatest(circuit.term_weight)
    nested = np.flatnonzero(np.diff(circuit.part_ptr) > 0)
    if not len(nested):
        return length, top
    upper = length.astype(np.int64)
    for f in nested:  # parts come first, so their counts are known
        upper[f] += upper[circuit.part_form[circuit.part_ptr[f] : circuit.part_ptr[f + 1]]].sum()
    out = upper.copy()
    ends = np.cumsum(upper[nested])
    for rows in np.split(nested, np.searchsorted(ends, np.arange(CHUNK, int(ends[-1]), CHUNK))):
        if len(rows):
            ptr, _, weight = flatten(circuit, rows)
            out[rows] = np.diff(ptr)
            top = max(top, _greatest(weight))
    return out, top


def _greatest(weight: np.ndarray) -> int:
    return max(abs(int(weight.max())), abs(int(weight.min()))) if len(weight) else 0
