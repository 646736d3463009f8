"""A circuit prepared for bit-sliced evaluation: every form a list of rows to add in binary, column by column.

Each weight is written in signed digits; a term -2^k x is 2^k (1 - x) - 2^k, so only complements and a constant remain.
A form of value between its bounds needs as many bit planes as high - low has bits: higher columns are never added. So
a form known to be 0 or 1 (a telescoped bit) is one exclusive or. Parts of a form are kept as planes and shifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.depth.circuit import Circuit
from separatrix.depth.kernels import ALWAYS, AND, NEVER, OR, THRESHOLD
from separatrix.depth.rows import expand
from separatrix.depth.schedule import allot, compiled, depth_first


@dataclass(frozen=True, eq=False)
class Program:
    """The tape for `kernels.run_words`, and where the outputs lie.

    Attributes:
        rows: rows of the data: wires and kept planes, as many as are held at a time, and working space.
        ones: the row that must be all ones; all others may begin as they like, but for the one before it: zeros.
        entries: rows that are added up, and read by ANDs and ORs, without what is carried.
        out_row, out_width, out_low: first plane, number of planes and least value of every output.
    """

    inputs: int
    rows: int
    ones: int
    tape: np.ndarray
    out_row: np.ndarray
    out_width: np.ndarray
    out_low: np.ndarray
    entries: int


def prepare(circuit: Circuit) -> Program:
    """The program of a circuit."""
    from separatrix.depth.tape import SCRATCH, write_tape

    circuit = depth_first(circuit)
    forms = circuit.forms
    span = circuit.form_high - circuit.form_low
    width = _bit_lengths(span)
    gates = np.argsort(circuit.gate_form, kind="stable")
    gate_ptr = _ends(np.bincount(circuit.gate_form, minlength=forms))
    kept = np.zeros(forms, dtype=bool)
    kept[circuit.part_form] = True
    kept[circuit.output_form] = True
    kind = _kinds(circuit, width)
    plain = np.bincount(circuit.gate_form, weights=kind == THRESHOLD, minlength=forms) > 0
    work = np.where(kept | plain, width, 0).astype(np.int64)
    store = np.full(forms, -1, dtype=np.int64)
    size = np.where(kept, work, 0)
    store[size > 0] = circuit.wires + (np.cumsum(size) - size)[size > 0]
    entry_ptr, row, flip, column, constant = _entries(circuit, width, store)
    const_ptr = _ends(work)
    const = _bits(constant, work)
    thresholds = (circuit.gate_threshold - circuit.form_low[circuit.gate_form])[gates]
    kind = kind[gates]
    needed = np.where(kind == THRESHOLD, work[circuit.gate_form[gates]], 0)
    bits = _bits(thresholds, needed)
    biggest = np.bincount(np.repeat(np.arange(forms), np.diff(entry_ptr)), minlength=forms).max(initial=0)
    out = circuit.output_form
    which, plane = expand(const_ptr, np.unique(out))
    read = (store - const_ptr[:-1])[np.unique(out)][which] + plane
    gate_row = circuit.inputs + gates
    real = compiled(allot)(circuit.inputs, work, store, entry_ptr, row, gate_ptr, gate_row, read)
    store[store >= 0] = real[store[store >= 0]]
    top = max(circuit.inputs, int(real.max(initial=-1)) + 1)
    carries, widest = int(biggest) // 3 + 2, int(work.max(initial=1)) + 1
    layout = (top, carries, widest, work, store, const_ptr, const, entry_ptr, real[row], flip, column,
              gate_ptr, real[gate_row], kind, _ends(needed), bits)  # fmt: skip
    tape = np.empty(write_tape(np.empty(0, dtype=np.int32), *layout), dtype=np.int32)
    write_tape(tape, *layout)
    rows = top + 2 * carries + widest + SCRATCH
    low = circuit.form_low[out] + circuit.output_offset
    return Program(circuit.inputs, rows, rows - 2, tape, store[out], work[out], low, len(row))


def _kinds(circuit: Circuit, width: np.ndarray) -> np.ndarray:
    """AND and OR of literals are recognised; a threshold at or below the least value holds always."""
    forms = circuit.forms
    owner = np.repeat(np.arange(forms), np.diff(circuit.term_ptr))
    holder = np.repeat(np.arange(forms), np.diff(circuit.part_ptr))
    part = circuit.part_form
    unit = np.ones(forms, dtype=bool)
    unit[owner[(np.abs(circuit.term_weight) != 1).astype(bool)]] = False
    bit = (width[part] == 1) & (np.abs(circuit.part_weight) == 1).astype(bool)
    unit[holder[~bit]] = False
    count = np.diff(circuit.term_ptr) + np.diff(circuit.part_ptr)
    least = np.zeros(forms, dtype=circuit.form_low.dtype)  # the sum when every literal is 0
    np.add.at(least, owner, np.minimum(circuit.term_weight, 0))
    ends = circuit.form_low[part] * circuit.part_weight + np.minimum(circuit.part_weight, 0)
    np.add.at(least, holder, ends)
    form = circuit.gate_form
    literals = circuit.gate_threshold - least[form]  # how many literals must hold
    kind = np.full(circuit.gates, THRESHOLD, dtype=np.int64)
    single = unit[form] & (count[form] > 0)
    kind[single & (literals == 1).astype(bool)] = OR
    kind[single & (literals == count[form]).astype(bool)] = AND
    kind[(circuit.gate_threshold <= circuit.form_low[form]).astype(bool)] = ALWAYS
    kind[(circuit.gate_threshold > circuit.form_high[form]).astype(bool)] = NEVER
    return kind


def _entries(circuit: Circuit, width: np.ndarray, store: np.ndarray) -> tuple[np.ndarray, ...]:
    """(ptr, row, flip, column, constant): rows to add for each form, and the constant that makes its low value 0."""
    forms = circuit.forms
    owner = np.repeat(np.arange(forms), np.diff(circuit.term_ptr))
    holder = np.repeat(np.arange(forms), np.diff(circuit.part_ptr))
    constant = np.zeros(forms, dtype=object if circuit.wide else np.int64)
    constant -= circuit.form_low
    np.add.at(constant, holder, circuit.part_weight * circuit.form_low[circuit.part_form])
    pieces = []
    for who, row, weight in ((owner, circuit.term_wire, circuit.term_weight), _planes(circuit, holder, width, store)):
        for at, digit, column in _signed_digits(weight):
            home = who[at]
            below = column < width[home]
            negative = (digit < 0) & below
            np.add.at(constant, home[negative], -(_one(constant) << column))
            pieces.append((home[below], row[at][below], negative[below], np.full(int(below.sum()), column)))
    if not pieces:
        pieces.append(tuple(np.zeros(0, dtype=np.int64) for _ in range(4)))
    home, row, negative, column = (np.concatenate(part) for part in zip(*pieces, strict=True))
    order = np.lexsort((column, home))
    flip = negative[order].astype(np.int64)
    return _ends(np.bincount(home, minlength=forms)), row[order], flip, column[order], constant


def _planes(
    circuit: Circuit, holder: np.ndarray, width: np.ndarray, store: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parts as terms: plane b of a part stands for its weight times 2^b."""
    count = width[circuit.part_form]
    which, plane = expand(_ends(count), np.arange(len(count)))
    plane = plane - np.repeat(np.cumsum(count) - count, count)
    weight = circuit.part_weight[which]
    if weight.dtype != object and len(plane) and int(plane.max()) + _bit_lengths(np.abs(weight)).max() > 61:
        weight = weight.astype(object)
    return holder[which], store[circuit.part_form[which]] + plane, weight * (_one(weight) << plane)


def _signed_digits(weight: np.ndarray):
    """(indices, digits +-1, column) for every column: the non-adjacent form of the weights."""
    at, rest, column = np.arange(len(weight)), weight, 0
    while len(at):
        odd = (rest & 1).astype(bool)
        digit = np.where(odd, 2 - (rest & 3), 0)
        if odd.any():
            yield at[odd], digit[odd].astype(np.int64), column
        rest = (rest - digit) >> 1
        alive = (rest != 0).astype(bool)
        at, rest, column = at[alive], rest[alive], column + 1


def _one(like: np.ndarray) -> int | np.ndarray:
    """1 that shifts as the numbers do: a Python int among Python ints."""
    return np.array(1, dtype=object) if like.dtype == object else 1


def _bit_lengths(values: np.ndarray) -> np.ndarray:
    """Bits of nonnegative integers, exactly."""
    if values.dtype == object:
        return np.array([int(v).bit_length() for v in values.tolist()], dtype=np.int64)
    out = np.zeros(len(values), dtype=np.int64)
    rest = values.copy()
    while rest.any():
        out += rest > 0
        rest >>= 1
    return out


def _bits(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The lowest count[k] bits of each value (two's complement), one after the other."""
    which, at = expand(_ends(count), np.arange(len(count)))
    at = at - np.repeat(np.cumsum(count) - count, count)
    return (values[which] >> at & 1).astype(np.uint8)


def _ends(count: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(count)]).astype(np.int64)
