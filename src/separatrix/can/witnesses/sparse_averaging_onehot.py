"""Sparse averaging by one-hot keys: position j carries the j-th unit vector, the query adds up those of the pointers.

The trivial keys of q-sparse averaging (Sanford, Hsu, Telgarsky 2023): width N instead of O(q log N), but less than the
smallest certified codes need for small N or large q, and orthogonal, so that others score exactly 0.
"""

from __future__ import annotations

import numpy as np

from separatrix.can.pointer_parts import pointer_model, pointer_size, temperature
from separatrix.can.witness import require, witness
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.sparse_averaging import SparseAveraging

MOST = 4096


def size(task: SparseAveraging, n: int) -> Size:
    """One head of key width N; width = dim + 2 N."""
    task.domain(n)
    require(n <= MOST, f"sparse-averaging-onehot: N = {n}; tables of this width are built up to N = {MOST}")
    return pointer_size(task, n, n, Precision(32, "stored"))


@witness(
    "sparse-averaging-onehot",
    task="sparse-averaging",
    source="Sanford, Hsu, Telgarsky 2023, Theorem 2, with orthonormal keys",
    formula="1 head, key width N, value width d, width d + 2N, 32 stored bits",
    size=size,
    method="pointer-sets",
)
def build(task: SparseAveraging, n: int) -> Model:
    """The least-norm query of a set is the sum of its keys; pointers score 1, others 0."""
    size(task, n)
    return pointer_model(task, "least-norm", np.eye(n, dtype=np.float32), temperature(task, n, gap=1.0))
