"""The uniform description of the reference head against the arrays of the compiler, gate by gate and weight by weight.

The compiler folds constants and copies as they arise; the description is folded by the same two rules first.
"""

from __future__ import annotations

import numpy as np

from separatrix.depth.circuit import Circuit
from separatrix.depth.rows import merge_terms
from separatrix.depth.uniformity import KINDS, PRODUCT, QUOTIENT, SCORE, WEIGHED, Family, Machine
from separatrix.models.quantised import Quantised


def differences(network: Quantised, circuit: Circuit) -> tuple[int, Machine, int]:
    """(gates that differ, the machine with its counts, bits of a gate's number): description against compiled arrays.

    A described gate that was not compiled must be constant by the interval of its form, or a copy of one wire; its
    value replaces it. Every compiled gate must then have the described wires, weights and threshold.
    """
    family, flat = Family(network), circuit.flat()
    numbers = np.concatenate([_input_numbers(family), _gate_numbers(family, flat)])
    compiled = set(numbers.tolist())
    wrong = len(numbers) - len(compiled)
    copies: dict[int, int] = {}  # described, not compiled: the wire that it copies, or -1 (always) or -2 (never)
    at_gate = {int(x): k for k, x in enumerate(numbers[flat.inputs :])}
    for kind in (PRODUCT, SCORE, WEIGHED, QUOTIENT):
        g = family.all(kind)
        threshold = family.gate(g)[1]
        at, wire, weight = family.edges(g, kind)
        if copies:
            keys = np.array(sorted(copies))
            spot = np.minimum(np.searchsorted(keys, wire), len(keys) - 1)
            folded = keys[spot] == wire
            wire = np.where(folded, np.array([copies[x] for x in keys.tolist()])[spot], wire)
            threshold = threshold - np.bincount(at, np.where(wire == -1, weight, 0), len(g)).astype(np.int64)
            at, wire, weight = at[wire >= 0], wire[wire >= 0], weight[wire >= 0]
        ptr, wire, weight = merge_terms(at, wire, weight, len(g))
        low = np.add.reduceat(np.append(np.minimum(weight, 0), 0), ptr[:-1]) * (np.diff(ptr) > 0)
        high = np.add.reduceat(np.append(np.maximum(weight, 0), 0), ptr[:-1]) * (np.diff(ptr) > 0)
        for k, number in enumerate(g.tolist()):
            row = slice(ptr[k], ptr[k + 1])
            if number in compiled:
                gate = at_gate.pop(number)
                form = flat.gate_form[gate]
                terms = slice(flat.term_ptr[form], flat.term_ptr[form + 1])
                theirs = dict(
                    zip(numbers[flat.term_wire[terms]].tolist(), flat.term_weight[terms].tolist(), strict=True)
                )
                same = theirs == dict(zip(wire[row].tolist(), weight[row].tolist(), strict=True))
                wrong += not (same and flat.gate_threshold[gate] == threshold[k])
            elif low[k] >= threshold[k] or high[k] < threshold[k]:
                copies[number] = -1 if low[k] >= threshold[k] else -2
            elif ptr[k + 1] - ptr[k] == 1 and 0 < threshold[k] <= weight[row][0]:
                copies[number] = int(wire[row][0])
            else:
                wrong += 1
    return wrong + len(at_gate), family.machine, family.bits


def _input_numbers(family: Family) -> np.ndarray:
    wire = np.arange(family.network.input_bits)
    rest, k = np.divmod(wire, family.p)
    i, a = np.divmod(rest, family.d)
    return family.number(i=i, a=a, k=k)


def _gate_numbers(family: Family, circuit: Circuit) -> np.ndarray:
    """Numbers of compiled gates, from their provenance."""
    kind = np.array([KINDS[op] for op in circuit.ops], dtype=np.int64)[circuit.gate_op]
    _, _, i, j, unit, value = (circuit.gate_place[:, c].astype(np.int64) for c in range(6))
    d, p = family.d, family.p
    product, weighed, quotient = kind == PRODUCT, kind == WEIGHED, kind == QUOTIENT
    pair, bits = np.divmod(unit, p * p)
    a = np.select([product, weighed, quotient], [pair // d, unit // p, unit], 0)
    k = np.select([product, weighed], [bits // p, unit % p], 0)
    v = np.select([kind == SCORE, weighed, quotient], [value, value, value - family.low], 0)
    b, other = np.where(product, pair % d, 0), np.where(product, bits % p, 0)
    return family.number(kind=kind, i=i, j=np.where(quotient, 0, j), a=a, b=b, k=k, l=other, v=v)
