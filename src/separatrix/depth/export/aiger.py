"""AIGER 1.9, as text (.aag) and in its binary form (.aig); inputs x0 .., output bits o0[0] .. by symbol."""

from __future__ import annotations

from separatrix.depth.circuit import Circuit
from separatrix.depth.export.boolean import Graph, lower


def aag(circuit: Circuit) -> bytes:
    """The text form."""
    graph = lower(circuit)
    lines = [f"aag {graph.variables} {graph.inputs} 0 {len(graph.outputs)} {len(graph.ands)}"]
    lines += [str(2 * (i + 1)) for i in range(graph.inputs)]
    lines += [str(literal) for _, literal in graph.outputs]
    first = graph.inputs + 1
    lines += [f"{2 * (first + k)} {max(pair)} {min(pair)}" for k, pair in enumerate(graph.ands)]
    return ("\n".join(lines) + "\n" + _symbols(graph)).encode()


def aig(circuit: Circuit) -> bytes:
    """The binary form: the two literals of each AND as differences, seven bits a byte."""
    graph = lower(circuit)
    header = f"aig {graph.variables} {graph.inputs} 0 {len(graph.outputs)} {len(graph.ands)}\n"
    header += "".join(f"{literal}\n" for _, literal in graph.outputs)
    body = bytearray()
    for k, pair in enumerate(graph.ands, graph.inputs + 1):
        for delta in (2 * k - max(pair), max(pair) - min(pair)):
            while delta >= 128:
                body.append(delta & 127 | 128)
                delta >>= 7
            body.append(delta)
    return header.encode() + bytes(body) + _symbols(graph).encode()


def _symbols(graph: Graph) -> str:
    names = [f"i{i} x{i}\n" for i in range(graph.inputs)]
    return "".join([*names, *(f"o{k} {name}\n" for k, (name, _) in enumerate(graph.outputs))])
