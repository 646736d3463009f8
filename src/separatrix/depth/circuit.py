"""A threshold circuit as arrays: linear forms of wires, gates [form >= threshold], outputs form + offset.

The format, which exports, solvers and evaluators read:

* **Wires** are numbered: 0 .. inputs - 1 are the inputs, inputs + g is gate g. Every wire is 0 or 1.
* **Form f** has no constant: value(f) = sum_k term_weight[k] * wire[term_wire[k]] over k in term_ptr[f]:term_ptr[f+1],
  plus sum_k part_weight[k] * value(part_form[k]) over k in part_ptr[f]:part_ptr[f+1]. Parts are earlier forms
  (part_form[k] < f): a form that adds up other forms is stored once and costs no level. `flat()` has no parts.
* **Gate g** is [value(gate_form[g]) >= gate_threshold[g]].
* **Output o** is the integer value(output_form[o]) + output_offset[o], in C order of `output_shape`.
* **Levels**: a form's level is the greatest level of a wire in it (inputs have level 0; it may be stated higher where
  wires of two parts cancel), a gate's is its form's plus 1. Forms and gates stand in increasing order of level, so a
  form reads only gates of its level or lower; evaluate front to back, forms of a level before the gates above it.
* **Bounds**: form_low[f] <= value(f) <= form_high[f] on every input; they may be tighter than intervals tell.
* **Provenance**: gate_op[g] indexes `ops` (names such as "score"); gate_place[g] = (layer, head, i, j, unit, value),
  -1 where a field does not apply.

Weights, thresholds, offsets and bounds are int64, or object arrays of Python ints where a number or a bound of the
circuit reaches 2^62 (`wide`); all other arrays are int64 or int32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.rows import expand, merge_terms

FIELDS = ("layer", "head", "i", "j", "unit", "value")


@dataclass(frozen=True, eq=False)
class Circuit:
    """See the module's text for every array; `check` raises InputError where they contradict it."""

    inputs: int
    term_ptr: np.ndarray
    term_wire: np.ndarray
    term_weight: np.ndarray
    part_ptr: np.ndarray
    part_form: np.ndarray
    part_weight: np.ndarray
    form_low: np.ndarray
    form_high: np.ndarray
    form_level: np.ndarray
    gate_form: np.ndarray
    gate_threshold: np.ndarray
    gate_level: np.ndarray
    gate_op: np.ndarray
    gate_place: np.ndarray
    ops: tuple[str, ...]
    output_form: np.ndarray
    output_offset: np.ndarray
    output_shape: tuple[int, ...]

    @property
    def forms(self) -> int:
        """Number of forms."""
        return len(self.term_ptr) - 1

    @property
    def gates(self) -> int:
        """Number of gates."""
        return len(self.gate_form)

    @property
    def wires(self) -> int:
        """Inputs and gates together."""
        return self.inputs + self.gates

    @property
    def wide(self) -> bool:
        """Whether some number needs more than int64."""
        arrays = (self.term_weight, self.part_weight, self.gate_threshold, self.output_offset, self.form_low)
        return any(array.dtype == object for array in arrays)

    @property
    def depth(self) -> int:
        """Levels of gates below the outputs, which are read as forms."""
        return int(self.form_level[self.output_form].max(initial=0))

    @property
    def depth_materialised(self) -> int:
        """Levels of gates when every output that is not a single wire is read through one more level of gates."""
        single = self.is_wire()[self.output_form] & (self.output_offset == 0)
        levels = self.form_level[self.output_form] + ~single.astype(bool)
        return int(levels.max(initial=0))

    def is_wire(self) -> np.ndarray:
        """(forms,) whether a form is one wire with weight 1."""
        lone = (np.diff(self.term_ptr) == 1) & (np.diff(self.part_ptr) == 0)
        lone[lone] = self.term_weight[self.term_ptr[:-1][lone]] == 1
        return lone

    def flat(self) -> Circuit:
        """The same circuit without parts: every form lists its wires, each once, in increasing order."""
        if not len(self.part_form):
            return self
        ptr, wire, weight = flatten(self, np.arange(self.forms))
        none = np.zeros(self.forms + 1, dtype=np.int64)
        return replace(
            self, term_ptr=ptr, term_wire=wire, term_weight=weight, part_ptr=none,
            part_form=self.part_form[:0], part_weight=self.part_weight[:0],
        )  # fmt: skip

    def check(self) -> None:
        """Raises InputError for arrays that do not describe a circuit (used on whatever comes from outside)."""
        forms, gates, wires = self.forms, self.gates, self.wires

        def demand(truth: bool, words: str) -> None:
            if not truth:
                raise InputError(f"not a circuit: {words}")

        demand(self.inputs >= 0, f"{self.inputs} inputs")
        for name, ptr, entries in (
            ("term", self.term_ptr, (self.term_wire, self.term_weight)),
            ("part", self.part_ptr, (self.part_form, self.part_weight)),
        ):
            demand(len(ptr) == forms + 1 and ptr[0] == 0, f"{name}_ptr has the wrong length or start")
            demand(bool((np.diff(ptr) >= 0).all()), f"{name}_ptr decreases")
            demand(all(len(e) == ptr[-1] for e in entries), f"{name}_ptr ends at {ptr[-1]}, the entries elsewhere")
        for name in ("form_low", "form_high", "form_level"):
            demand(len(getattr(self, name)) == forms, f"{name} has no entry for each of {forms} forms")
        for name in ("gate_threshold", "gate_level", "gate_op", "gate_place"):
            demand(len(getattr(self, name)) == gates, f"{name} has no entry for each of {gates} gates")
        demand(_within(self.term_wire, wires), "a term names a wire that is not there")
        demand(_within(self.gate_form, forms), "a gate names a form that is not there")
        demand(_within(self.output_form, forms), "an output names a form that is not there")
        demand(_within(self.gate_op, len(self.ops)), "gate_op names an operation that is not there")
        owner = np.repeat(np.arange(forms), np.diff(self.part_ptr))
        demand(bool(((self.part_form >= 0) & (self.part_form < owner)).all()), "a part is not an earlier form")
        levels = np.concatenate([np.zeros(self.inputs, dtype=np.int64), self.gate_level])
        level = np.zeros(forms, dtype=np.int64)
        np.maximum.at(level, np.repeat(np.arange(forms), np.diff(self.term_ptr)), levels[self.term_wire])
        demand(bool((level <= self.form_level).all()), "a form lies below a wire that it reads")
        np.maximum.at(level, owner, self.form_level[self.part_form])
        demand(bool((level <= self.form_level).all()), "a form lies below a part that it reads")
        demand(bool((self.gate_level == self.form_level[self.gate_form] + 1).all()), "gate_level is not its form's + 1")
        demand(bool((np.diff(self.form_level) >= 0).all()), "forms do not stand in order of level")
        demand(bool((np.diff(self.gate_level) >= 0).all()), "gates do not stand in order of level")
        count = int(np.prod(self.output_shape, dtype=np.int64))
        demand(len(self.output_form) == len(self.output_offset) == count, "outputs do not fill output_shape")


def _within(array: np.ndarray, bound: int) -> bool:
    return not len(array) or bool(array.min() >= 0 and array.max() < bound)


def flatten(circuit: Circuit, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ptr, wire, weight) of the forms `rows` with their parts put in, wires merged and in increasing order."""
    owner, wire, weight = [], [], []
    at, form, scale = np.arange(len(rows)), np.asarray(rows), np.ones(len(rows), dtype=np.int64)
    kind = object if circuit.wide else np.int64
    while len(form):
        which, entry = expand(circuit.term_ptr, form)
        owner.append(at[which])
        wire.append(circuit.term_wire[entry])
        weight.append(circuit.term_weight[entry].astype(kind) * scale[which])
        which, entry = expand(circuit.part_ptr, form)
        scale = circuit.part_weight[entry].astype(kind) * scale[which]
        at, form = at[which], circuit.part_form[entry]
    return merge_terms(np.concatenate(owner), np.concatenate(wire), np.concatenate(weight), len(rows))
