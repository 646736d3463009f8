"""Bounded Dyck by a ReLU Elman net that simulates the automaton of stacks.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3: the automaton has sum_{j <= k} types^j live states, whatever N is,
so a recurrent model of constant size recognises the language. See `can.elman` for the net.
"""

from __future__ import annotations

import functools

import numpy as np

from separatrix.can.elman import Units, automaton_net, automaton_size
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.dyck import Dyck

MOST_UNITS = 4096


@functools.lru_cache(maxsize=64)
def units_of(task: Dyck) -> tuple[Units, np.ndarray]:
    """The units, and which states accept."""
    table = task.automaton()
    accepting = np.arange(len(table)) == 0
    units = Units.of(table, accepting)
    require(len(units) <= MOST_UNITS, f"dyck-elman: {len(units)} transitions, at most {MOST_UNITS}; see dyck-stack")
    return units, accepting


def size(task: Dyck, n: int) -> Size:
    """Two units a live state but the empty stack, one for the start, one for the end; no growth with n."""
    task.domain(n)
    return automaton_size(len(units_of(task)[0]), 2 * task.types + 1, n + 1, end=True)


@witness(
    "dyck-elman",
    task="dyck",
    arch="elman",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 (bounded Dyck by an automaton), with a start unit",
    formula="one ReLU Elman layer of 2(t + t² + … + tᵏ) + 2 units of 2 bits, t types, depth k",
    size=size,
    method="automaton",
)
def build(task: Dyck, n: int) -> Model:
    """The same weights for every n."""
    task.domain(n)
    units, accepting = units_of(task)
    return automaton_net(units, accepting, 2 * task.types, end=True)
