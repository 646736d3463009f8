"""BLIF: one table of two rows or fewer a gate, after lowering to AND and NOT."""

from __future__ import annotations

from separatrix.depth.circuit import Circuit
from separatrix.depth.export.boolean import lower


def blif(circuit: Circuit) -> bytes:
    """Inputs x0 .., output bits o0[0] .., inner nodes n.."""
    graph = lower(circuit)

    def name(variable: int) -> str:
        return f"x{variable - 1}" if variable <= graph.inputs else f"n{variable}"

    lines = [".model circuit", ".inputs " + " ".join(f"x{i}" for i in range(graph.inputs))]
    lines.append(".outputs " + " ".join(output for output, _ in graph.outputs))
    for k, (a, b) in enumerate(graph.ands, graph.inputs + 1):
        lines += [f".names {name(a >> 1)} {name(b >> 1)} n{k}", f"{1 - (a & 1)}{1 - (b & 1)} 1"]
    for output, literal in graph.outputs:
        if literal < 2:
            lines += [f".names {output}", *(["1"] if literal else [])]
        else:
            lines += [f".names {name(literal >> 1)} {output}", f"{1 - (literal & 1)} 1"]
    return ("\n".join([*lines, ".end"]) + "\n").encode()
