"""From a builder to a circuit: what the outputs do not need goes, the rest is put in order of level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from separatrix.depth.circuit import Circuit
from separatrix.depth.forms import Forms
from separatrix.depth.rows import exact, expand

if TYPE_CHECKING:
    from separatrix.depth.builder import Builder


def freeze(builder: Builder, outputs: Forms) -> Circuit:
    """The circuit of `outputs`. Dead gates are found from the top level down, so one pass suffices."""
    b, inputs = builder, builder.inputs
    level, rank = b._level.values, b._rank.values
    term_ptr, term_wire, term_weight = b._terms.triple()
    part_ptr, part_form, part_weight = b._parts.triple()
    need, alive = np.zeros(len(level), dtype=bool), np.zeros(b.gates, dtype=bool)
    need[outputs.ids.reshape(-1)] = True
    by_place = np.lexsort((rank, level))
    groups = np.flatnonzero(np.diff(level[by_place] * (int(rank.max(initial=0)) + 1) + rank[by_place])) + 1
    for group in reversed(np.split(by_place, groups)):  # forms of one level and rank: parts and wires lie below
        rows = group[need[group]]
        need[part_form[expand(part_ptr, rows)[1]]] = True
        wires = term_wire[expand(term_ptr, rows)[1]]
        gates = wires[wires >= inputs] - inputs
        alive[gates] = True
        need[b._form.values[gates]] = True
    gates = np.flatnonzero(alive)
    gates = gates[np.argsort(b._wire_level.values[inputs + gates], kind="stable")]
    rows = by_place[need[by_place]]
    new_form = np.full(len(level), -1, dtype=np.int64)
    new_form[rows] = np.arange(len(rows))
    new_wire = np.full(inputs + b.gates, -1, dtype=np.int64)
    new_wire[:inputs] = np.arange(inputs)
    new_wire[inputs + gates] = inputs + np.arange(len(gates))
    entries, parts = expand(term_ptr, rows)[1], expand(part_ptr, rows)[1]
    return Circuit(
        inputs=inputs,
        term_ptr=_ends(term_ptr, rows),
        term_wire=new_wire[term_wire[entries]],
        term_weight=exact(term_weight[entries]),
        part_ptr=_ends(part_ptr, rows),
        part_form=new_form[part_form[parts]],
        part_weight=exact(part_weight[parts]),
        form_low=exact(b._low.values[rows]),
        form_high=exact(b._high.values[rows]),
        form_level=level[rows],
        gate_form=new_form[b._form.values[gates]],
        gate_threshold=exact(b._threshold.values[gates]),
        gate_level=b._wire_level.values[inputs + gates],
        gate_op=b._op.values[gates],
        gate_place=b._place.values[gates],
        ops=tuple(b._ops),
        output_form=new_form[outputs.ids.reshape(-1)],
        output_offset=exact(outputs.offset.reshape(-1)),
        output_shape=outputs.shape,
    )


def _ends(ptr: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(ptr[rows + 1] - ptr[rows])])
