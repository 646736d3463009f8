"""In which order the forms of a circuit are added up, and which row of the data each wire then takes.

Forms are taken depth first from the outputs, each just before the first form that reads it, and a row is free again
after its last reader. Of a head of n rows only one row's worth of pairs is then held at a time: about 1 / n of the
wires, which stay in a core's cache.

The loops are compiled by numba when first used; they are plain Python functions otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from separatrix.depth.circuit import Circuit
from separatrix.depth.rows import expand


def depth_first(circuit: Circuit) -> Circuit:
    """The same circuit with its forms, and so its gates' turns, in depth-first order (no longer by level)."""
    forms = circuit.forms
    order = np.empty(forms, dtype=np.int64)
    compiled(visit)(
        circuit.inputs, circuit.term_ptr, circuit.term_wire, circuit.part_ptr, circuit.part_form, circuit.gate_form,
        circuit.output_form, order,
    )  # fmt: skip
    place = np.empty(forms, dtype=np.int64)
    place[order] = np.arange(forms)
    terms, parts = expand(circuit.term_ptr, order)[1], expand(circuit.part_ptr, order)[1]
    return replace(
        circuit,
        term_ptr=_ends(np.diff(circuit.term_ptr)[order]), term_wire=circuit.term_wire[terms],
        term_weight=circuit.term_weight[terms],
        part_ptr=_ends(np.diff(circuit.part_ptr)[order]), part_form=place[circuit.part_form[parts]],
        part_weight=circuit.part_weight[parts],
        form_low=circuit.form_low[order], form_high=circuit.form_high[order], form_level=circuit.form_level[order],
        gate_form=place[circuit.gate_form], output_form=place[circuit.output_form],
    )  # fmt: skip


def visit(
    inputs: int, term_ptr: np.ndarray, term_wire: np.ndarray, part_ptr: np.ndarray, part_form: np.ndarray,
    gate_form: np.ndarray, roots: np.ndarray, order: np.ndarray,
) -> None:  # fmt: skip
    """Writes every form to `order`, after all forms that it reads: those under the roots depth first, then the rest."""
    forms = len(order)
    seen = np.zeros(forms, dtype=np.uint8)
    stack, at = np.empty(forms, dtype=np.int64), np.empty(forms, dtype=np.int64)
    done = 0
    for r in range(len(roots) + forms):
        root = roots[r] if r < len(roots) else r - len(roots)
        if seen[root]:
            continue
        seen[root] = 1
        stack[0], at[0], high = root, 0, 1
        while high:
            f = stack[high - 1]
            parts, count = part_ptr[f + 1] - part_ptr[f], at[high - 1]
            if count < parts:
                child = part_form[part_ptr[f] + count]
            elif count - parts < term_ptr[f + 1] - term_ptr[f]:
                wire = term_wire[term_ptr[f] + count - parts]
                child = gate_form[wire - inputs] if wire >= inputs else f
            else:
                order[done] = f
                done, high = done + 1, high - 1
                continue
            at[high - 1] += 1
            if not seen[child]:
                seen[child] = 1
                stack[high], at[high] = child, 0
                high += 1


def allot(
    inputs: int, work: np.ndarray, store: np.ndarray, entry_ptr: np.ndarray, entry_row: np.ndarray,
    gate_ptr: np.ndarray, gate_row: np.ndarray, out: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The real row of every row that the program names, -1 for none: rows are used again after their last reader.

    Args:
        work, store: planes of each form and the first row that keeps them, -1 where they are not kept.
        out: rows that must be there at the end. Inputs stay as well.
    """
    forms, rows = len(work), inputs
    for f in range(forms):
        rows = max(rows, store[f] + work[f])
    for g in range(len(gate_row)):
        rows = max(rows, gate_row[g] + 1)
    last = np.full(rows, -1, dtype=np.int64)
    for f in range(forms):
        for e in range(entry_ptr[f], entry_ptr[f + 1]):
            last[entry_row[e]] = f
    for r in out:
        last[r] = forms
    real = np.full(rows, -1, dtype=np.int64)
    real[:inputs] = np.arange(inputs)
    widest = 1
    for f in range(forms):
        widest = max(widest, work[f])
    head = np.full(widest + 1, -1, dtype=np.int64)  # free blocks of each width, as lists through `link`
    link, width_of = np.full(rows, -1, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    width_of[inputs:] = 1
    for f in range(forms):
        if store[f] >= 0:
            width_of[store[f] : store[f] + work[f]] = 0  # planes go together, with their first
            width_of[store[f]] = work[f]
            for k in range(1, work[f]):
                last[store[f]] = max(last[store[f]], last[store[f] + k])
    top = inputs
    for f in range(forms):
        new = gate_ptr[f + 1] - gate_ptr[f]
        for k in range(-1, new):
            if k < 0 and (store[f] < 0 or work[f] == 0):
                continue
            row = store[f] if k < 0 else gate_row[gate_ptr[f] + k]
            size = width_of[row]
            if head[size] >= 0:
                block = head[size]
                head[size] = link[block]
            else:
                block, top = top, top + size
            for j in range(size):
                real[row + j] = block + j
        for k in range(-1, new):  # never read at all
            if k < 0 and (store[f] < 0 or work[f] == 0):
                continue
            row = store[f] if k < 0 else gate_row[gate_ptr[f] + k]
            if last[row] < 0:
                link[real[row]], head[width_of[row]] = head[width_of[row]], real[row]
        for e in range(entry_ptr[f], entry_ptr[f + 1]):
            row = entry_row[e]
            while width_of[row] == 0 and row >= inputs:
                row -= 1
            if row >= inputs and last[row] == f:
                last[row] = -2  # freed once
                link[real[row]], head[width_of[row]] = head[width_of[row]], real[row]
    return real


@lru_cache(maxsize=4)
def compiled(function: Callable) -> Callable:
    """numba's version of a loop over integer arrays; it releases the interpreter lock."""
    from numba import njit

    return njit(nogil=True, cache=True)(function)


def _ends(count: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(count)]).astype(np.int64)
