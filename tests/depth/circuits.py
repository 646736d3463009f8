"""Random threshold circuits, and circuits that are small and known."""

from __future__ import annotations

import numpy as np

from separatrix.depth import Builder, Circuit, Forms


def random_circuit(rng: np.random.Generator, inputs: int = 6, levels: int = 3, width: int = 5, top: int = 5) -> Circuit:
    """Gates on signed sums of wires of any lower level; outputs are sums with parts and offsets."""
    b = Builder(inputs)
    wires = np.arange(inputs)
    for _ in range(levels):
        some = rng.choice(wires, (width, min(len(wires), 5)))
        forms = b.forms(some, rng.integers(-top, top + 1, some.shape), rng.integers(-3, 4, width))
        new = b.gate(forms, rng.integers(-2, 4, width), op=str(rng.choice(["red", "blue"])))
        wires = np.concatenate([wires, new[new >= 0]])
    some = rng.choice(wires, (2, 4))
    parts = b.forms(some, rng.integers(-top, top + 1, some.shape))
    total = b.add([(2, parts[:1]), (-3, parts[1:])], int(rng.integers(-9, 9)))
    return b.circuit(Forms.concatenate([parts, total]))


def all_bits(inputs: int) -> np.ndarray:
    """(2^inputs, inputs) every input."""
    return (np.arange(2**inputs)[:, None] >> np.arange(inputs)) & 1
