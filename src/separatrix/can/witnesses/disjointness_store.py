"""Disjointness by a recurrent model that stores the first set and compares: N/2 + 2 bits of state.

Bhattamishra, Hahn, Blunsom, Kanade 2024 (Section 4: a recurrent model needs N/2 bits); this one has two more. See
`can.store_compare`.
"""

from __future__ import annotations

from separatrix.can.store import Memory
from separatrix.can.store_compare import Test, compare_model, compare_size
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.disjointness import Disjointness

TESTS: tuple[Test, ...] = ((1.0, 1.0, -1.0),)  # a stored 1 and a 1
MOST_BITS = 2**12


def _memory(task: Disjointness, n: int) -> Memory:
    task.domain(n)
    require(n // 2 <= MOST_BITS, f"disjointness-store: N = {n} stores {n // 2} bits; take at most {MOST_BITS}")
    return Memory(n // 2, 1)


def size(task: Disjointness, n: int) -> Size:
    """Two layers; one number of one bit an element, and two for the flag (one more if the elements are odd)."""
    return compare_size(_memory(task, n), len(TESTS), 2, n)


@witness(
    "disjointness-store",
    task="disjointness",
    arch="ssm",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 4 (the bound N/2 is met but for 2 bits)",
    formula="two diagonal linear recurrences with N/2 + 2 numbers of 1 bit",
    size=size,
    method="stored",
    growth="linear",
)
def build(task: Disjointness, n: int) -> Model:
    """A common element, once found, stays found."""
    return compare_model(_memory(task, n), 2, n, TESTS, found=1)
