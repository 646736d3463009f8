"""DIMACS CNF: its models are the inputs of the circuit with all that follows from them."""

from __future__ import annotations

from separatrix.depth.circuit import Circuit
from separatrix.depth.export.boolean import Graph, lower


def dimacs(circuit: Circuit) -> bytes:
    """Variables 1 .. inputs are the inputs, in order; comment lines `c o0[0] = 17` name the literals of output bits."""
    graph = lower(circuit, "diagrams")
    clauses, literals = clauses_of(graph)
    comments = [f"c inputs 1 .. {graph.inputs}"]
    comments += [f"c {name} = {literals[k]}" for k, (name, _) in enumerate(graph.outputs)]
    lines = [" ".join(map(str, clause)) + " 0" for clause in clauses]
    return "\n".join([*comments, f"p cnf {graph.variables + 1} {len(clauses)}", *lines, ""]).encode()


def clauses_of(graph: Graph) -> tuple[list[list[int]], list[int]]:
    """Tseitin's clauses and the literals of the outputs; the last variable is true."""
    true = graph.variables + 1

    def literal(x: int) -> int:
        if x < 2:
            return true if x else -true
        return -(x >> 1) if x & 1 else x >> 1

    clauses = [[true]]
    for k, (a, b) in enumerate(graph.ands, graph.inputs + 1):
        left, right = literal(a), literal(b)
        clauses += [[-k, left], [-k, right], [k, -left, -right]]
    return clauses, [literal(x) for _, x in graph.outputs]
