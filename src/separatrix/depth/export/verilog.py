"""Verilog-2001: a signed sum a form, a comparison a gate; any synthesis tool or simulator reads it."""

from __future__ import annotations

from separatrix.depth.circuit import Circuit
from separatrix.depth.export.linear import Positive, gates, outputs, positive, rows, width


def verilog(circuit: Circuit) -> bytes:
    """module circuit (input [..] x, output [..] o0, ..); outputs are signed where they may be negative."""
    table = [positive(row) for row in rows(circuit)]
    results = outputs(circuit)
    sizes = []
    for form, offset in results:
        sizes.append((width(table[form].low + offset, table[form].high + offset), table[form].low + offset < 0))
    names = ["x", *(f"o{o}" for o in range(len(results)))]
    lines = [f"module circuit ({', '.join(names)});"]
    if circuit.inputs:
        lines.append(f"  input [{circuit.inputs - 1}:0] x;")
    for o, (size, signed) in enumerate(sizes):
        lines.append(f"  output {'signed ' if signed else ''}[{size - 1}:0] o{o};")
    used = sorted({form for _, form, _ in gates(circuit)} | {form for form, _ in results})
    ready: set[int] = set()

    def declare(form: int) -> None:  # just before its first use: the wires that it reads stand above
        if form not in ready:
            ready.add(form)
            size = sum(table[form].weights).bit_length() or 1
            lines.append(f"  wire [{size - 1}:0] s{form} = {_sum(circuit, table[form], size)};")

    for wire, form, threshold in gates(circuit):
        need = threshold - table[form].constant
        size = sum(table[form].weights).bit_length() or 1
        if need <= 0 or need > sum(table[form].weights):
            lines.append(f"  wire g{wire} = 1'b{int(need <= 0)};")
            continue
        declare(form)
        lines.append(f"  wire g{wire} = s{form} >= {size}'d{need};")
    for o, (form, offset) in enumerate(results):
        declare(form)
        size, constant = sizes[o][0], table[form].constant + offset
        lines.append(f"  assign o{o} = s{form} + {size}'d{constant % 2**size};")
    assert ready <= set(used)
    return ("\n".join([*lines, "endmodule"]) + "\n").encode()


def _sum(circuit: Circuit, form: Positive, size: int) -> str:
    terms = []
    for wire, weight, negated in zip(form.wires, form.weights, form.negated, strict=True):
        name = f"x[{wire}]" if wire < circuit.inputs else f"g{wire}"
        terms.append(f"({'!' if negated else ''}{name} ? {size}'d{weight} : {size}'d0)")
    return " + ".join(terms) or f"{size}'d0"
