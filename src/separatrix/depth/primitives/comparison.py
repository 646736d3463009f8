"""a < b for two p-bit numbers: one gate with weights 2^k, or two levels with weights at most 2."""

from __future__ import annotations

import numpy as np

from separatrix.depth.builder import Builder
from separatrix.depth.forms import Forms


def less(b: Builder, left: np.ndarray, right: np.ndarray) -> Forms:
    """[left < right] of bit wires, lowest first: one gate."""
    weights = 2 ** np.arange(len(left))
    wires = np.concatenate([left, right])
    return b.forms(b.gate(b.forms(wires, np.concatenate([-weights, weights])), 1, "compare")[None])


def less_small_weights(b: Builder, left: np.ndarray, right: np.ndarray) -> Forms:
    """The same with weights at most 2: at the highest place where they differ, right has the 1.

    Level 1: left_k AND right_k, so that "equal at k" and "right alone at k" are forms. Level 2: for every k, right
    alone at k and equal above. At most one k can hold, so the sum of these gates is the answer.
    """
    p = len(left)
    both = b.both(left, right, "compare")
    equal = [b.forms(np.stack([left[k], right[k], both[k]]), [-1, -1, 2], 1, 0, 1) for k in range(p)]
    alone = [b.forms(np.stack([right[k], both[k]]), [1, -1], 0, 0, 1) for k in range(p)]
    gates = [
        b.gate(b.add([(1, alone[k]), *((1, equal[m]) for m in range(k + 1, p))]), p - k, "compare") for k in range(p)
    ]
    return b.forms(np.stack(gates), 1, 0, 0, 1)
