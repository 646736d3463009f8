"""Equality by a recurrent model that stores the first half and compares: (N/2) ceil(log2 |Sigma|) + 2 bits of state.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 11 says that any recurrent model needs N/2 bits (for bits); this one
has two more. See `can.store_compare`.
"""

from __future__ import annotations

from separatrix.can.parts import code_bits
from separatrix.can.store import Memory
from separatrix.can.store_compare import Test, compare_model, compare_size
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.equality import Equality

TESTS: tuple[Test, ...] = ((1.0, -1.0, 0.0), (-1.0, 1.0, 0.0))  # a stored 1 against a 0, and the other way round
MOST_BITS = 2**12


def _memory(task: Equality, n: int) -> Memory:
    task.domain(n)
    memory = Memory(n // 2, code_bits(task.symbols))
    stored = memory.symbols * memory.bits
    require(stored <= MOST_BITS, f"equality-store: N = {n} stores {stored} bits; take at most {MOST_BITS}")
    return memory


def size(task: Equality, n: int) -> Size:
    """Two layers; one number of one bit a stored bit, and two for the flag (one more if the stored ones are odd)."""
    return compare_size(_memory(task, n), len(TESTS), task.symbols, n)


@witness(
    "equality-store",
    task="equality",
    arch="ssm",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 11 (its bound is met but for 2 bits)",
    formula="two diagonal linear recurrences with (N/2)⌈log₂|Σ|⌉ + 2 numbers of 1 bit",
    size=size,
    method="stored",
    growth="linear",
)
def build(task: Equality, n: int) -> Model:
    """A difference, once found, stays found."""
    return compare_model(_memory(task, n), task.symbols, n, TESTS, found=0)
