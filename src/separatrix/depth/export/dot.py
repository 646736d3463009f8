"""Graphviz DOT, for circuits small enough to be looked at."""

from __future__ import annotations

from separatrix.core.errors import InputError
from separatrix.depth.circuit import Circuit
from separatrix.depth.export.linear import gates, outputs, rows

MOST_GATES = 500


def dot(circuit: Circuit) -> bytes:
    """Inputs as points, gates as boxes with their threshold, edges with their weight; one rank a level."""
    if circuit.gates > MOST_GATES:
        raise InputError(f"a drawing of {circuit.gates:,} gates is not readable; .dot is for {MOST_GATES} or fewer")
    table = rows(circuit)
    lines = ["digraph circuit {", "  rankdir=LR; node [fontsize=10]; edge [fontsize=8];"]
    lines += [f'  w{i} [shape=plaintext, label="x{i}"];' for i in range(circuit.inputs)]
    for wire, form, threshold in gates(circuit):
        op = circuit.ops[int(circuit.gate_op[wire - circuit.inputs])]
        lines.append(f'  w{wire} [shape=box, label="{op}\\n>= {threshold}"];')
        lines += [f'  w{at} -> w{wire} [label="{weight}"];' for at, weight in zip(*table[form], strict=True)]
    for o, (form, offset) in enumerate(outputs(circuit)):
        lines.append(f'  o{o} [shape=ellipse, label="o{o}: {offset} + sum"];')
        lines += [f'  w{at} -> o{o} [label="{weight}"];' for at, weight in zip(*table[form], strict=True)]
    for level in sorted(set(circuit.gate_level.tolist())):
        same = [f"w{circuit.inputs + g}" for g in (circuit.gate_level == level).nonzero()[0].tolist()]
        lines.append(f"  {{ rank=same; {'; '.join(same)}; }}")
    return ("\n".join([*lines, "}"]) + "\n").encode()
