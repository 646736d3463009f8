"""Any regular language by a ReLU Elman net: one unit a transition, and one for the start.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 (an automaton of fixed size is a recurrent model of fixed size); the
explicit net is ours. See `can.elman`.
"""

from __future__ import annotations

import functools

import numpy as np

from separatrix.can.elman import Units, automaton_net, automaton_size
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.regular import Regular

MOST_UNITS = 4096


@functools.lru_cache(maxsize=64)
def units_of(task: Regular) -> tuple[Units, np.ndarray]:
    """The units, and which states accept."""
    table = task.automaton()
    accepting = np.isin(np.arange(len(table)), task.accepted())
    units = Units.of(table, accepting)
    require(len(units) <= MOST_UNITS, f"regular-elman: {len(units)} transitions; take at most {MOST_UNITS}")
    return units, accepting


def size(task: Regular, n: int) -> Size:
    """One unit a useful transition and one for the start, two bits each; no growth with n."""
    return automaton_size(len(units_of(task)[0]), task.domain(n).vocabulary, n, end=False)


@witness(
    "regular-elman",
    task="regular",
    arch="elman",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3, with a start unit",
    formula="one ReLU Elman layer of T + 1 units of 2 bits, T ≤ |Q||Σ| useful transitions",
    size=size,
    method="automaton",
)
def build(task: Regular, n: int) -> Model:
    """The same weights for every n."""
    units, accepting = units_of(task)
    return automaton_net(units, accepting, task.domain(n).vocabulary, end=False)
