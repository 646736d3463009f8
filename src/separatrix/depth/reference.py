"""The reference evaluation of a circuit, level by level in NumPy; exact for weights of any size."""

from __future__ import annotations

import numpy as np

from separatrix.core.errors import InputError
from separatrix.depth.circuit import Circuit
from separatrix.depth.rows import expand


def evaluate_plain(circuit: Circuit, inputs: np.ndarray, bounds: bool = False) -> np.ndarray:
    """Outputs of a circuit.

    Args:
        inputs: (lanes, circuit.inputs) of 0 and 1.
        bounds: also check that every form lies in its bounds; ValueError names the first that does not.

    Returns:
        (lanes, *circuit.output_shape) int64, or Python ints where the circuit is wide.
    """
    bits = np.asarray(inputs)
    if bits.ndim != 2 or bits.shape[1] != circuit.inputs:
        raise InputError(f"inputs of shape {bits.shape}; this circuit reads (lanes, {circuit.inputs})")
    kind = object if circuit.wide else np.int64
    wires = np.zeros((circuit.wires, len(bits)), dtype=kind)
    wires[: circuit.inputs] = bits.T
    values = np.zeros((circuit.forms, len(bits)), dtype=kind)
    top = int(max(circuit.form_level.max(initial=0), circuit.gate_level.max(initial=0)))
    for level in range(top + 1):
        forms = np.flatnonzero(circuit.form_level == level)
        which, entry = expand(circuit.term_ptr, forms)
        weight = circuit.term_weight[entry].astype(kind)[:, None]
        np.add.at(values, forms[which], weight * wires[circuit.term_wire[entry]])
        for f in forms[np.diff(circuit.part_ptr)[forms] > 0]:
            for k in range(circuit.part_ptr[f], circuit.part_ptr[f + 1]):
                values[f] += circuit.part_weight[k] * values[circuit.part_form[k]]
        gates = np.flatnonzero(circuit.gate_level == level + 1)
        wires[circuit.inputs + gates] = values[circuit.gate_form[gates]] >= circuit.gate_threshold[gates][:, None]
    if bounds:
        low, high = circuit.form_low[:, None], circuit.form_high[:, None]
        wrong = np.flatnonzero(((values < low) | (values > high)).any(axis=1))
        if len(wrong):
            raise ValueError(f"form {wrong[0]} leaves its bounds {circuit.form_low[wrong[0]]}..")
    out = values[circuit.output_form] + circuit.output_offset[:, None]
    return out.T.reshape(len(bits), *circuit.output_shape)
