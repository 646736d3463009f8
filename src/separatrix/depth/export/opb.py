"""OPB (pseudo-Boolean competition format): every gate as two linear constraints, native weights of any size."""

from __future__ import annotations

from separatrix.depth.circuit import Circuit
from separatrix.depth.export.linear import Positive, gates, outputs, positive, rows

Constraint = tuple[list[tuple[int, int]], int]  # sum of weight * literal >= bound; literal +v or -v for 1 - v


def opb(circuit: Circuit) -> bytes:
    """Variables x1 .. are the wires in order; comments `* output 0 = 3 + 2 x5 ..` say what the outputs are."""
    constraints = gate_constraints(circuit)
    table = rows(circuit)
    lines = [f"* #variable= {circuit.wires} #constraint= {len(constraints)}", f"* inputs x1 .. x{circuit.inputs}"]
    for o, (form, offset) in enumerate(outputs(circuit)):
        terms = " ".join(f"{weight:+d} x{wire + 1}" for wire, weight in zip(*table[form], strict=True))
        lines.append(f"* output {o} = {offset} {terms}".rstrip())
    for terms, bound in constraints:
        written = " ".join(f"{weight:+d} {'~' if literal < 0 else ''}x{abs(literal)}" for weight, literal in terms)
        lines.append(f"{written} >= {bound} ;")
    return ("\n".join(lines) + "\n").encode()


def gate_constraints(circuit: Circuit) -> list[Constraint]:
    """Both directions of every gate; variable v = wire + 1. Bounds come from the weights alone."""
    table = [positive(row) for row in rows(circuit)]
    return [c for wire, form, threshold in gates(circuit) for c in reified(wire + 1, table[form], threshold)]


def reified(head: int, form: Positive, threshold: int) -> list[Constraint]:
    """head = [form >= threshold], for a variable `head`; wire w of the form is variable w + 1.

    With s = form - constant = sum of positive terms: head -> s >= need, and not head -> (sum of all) - s >= the rest.
    """
    need, most = threshold - form.constant, sum(form.weights)
    if need <= 0:
        return [([(1, head)], 1)]
    if need > most:
        return [([(1, -head)], 1)]
    terms = [(w, -(wire + 1) if negated else wire + 1) for wire, w, negated in _triples(form)]
    other = [(w, -literal) for w, literal in terms]
    rest = most - need + 1
    return [([*terms, (need, -head)], need), ([*other, (rest, head)], rest)]


def _triples(form: Positive) -> list[tuple[int, int, bool]]:
    return list(zip(form.wires, form.weights, form.negated, strict=True))
