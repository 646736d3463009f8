"""Sparse averaging by the cyclic polytope on the trigonometric moment curve, key width 2q.

Sanford, Hsu, Telgarsky 2023, Theorem 3: keys (cos k theta_j, sin k theta_j), k = 1..q, theta_j = 2 pi j / N, are the
vertices of a q-neighbourly polytope: P_y(t) = prod_{i in y} (1 - cos(t - theta_i))/2 vanishes on y and is positive
elsewhere, so the query -coefficients(P_y) scores the constant term on y and less elsewhere. The margin is tiny:
"infinite precision" here means about 2 q log2(N / q) bits.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.pointer_parts import pointer_model, pointer_size, temperature
from separatrix.can.witness import require, witness
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.sparse_averaging import SparseAveraging

MOST_BITS = 45  # log2 of the temperature: beyond it, rounding 53-bit keys moves scores as much as eps allows
SHARE = 0.5  # of eps for the others' weight; the other half pays for rounded keys, on which scores are not quite equal


def least_margin(n: int, q: int) -> float:
    """min over y and j not in y of P_y(theta_j), in closed form; infinite for q = N.

    sin^2(pi d / N) increases with the distance d <= N/2, so the worst y are the q nearest neighbours of j: distances
    1, 1, 2, 2, .. and one more floor(q/2) + 1 when q is odd. A factor is (1 - cos(2 pi d / N))/2 = sin^2(pi d / N).
    """
    if q >= n:
        return math.inf
    margin = math.prod(math.sin(math.pi * k / n) ** 4 for k in range(1, q // 2 + 1))
    return margin * (math.sin(math.pi * (q // 2 + 1) / n) ** 2 if q % 2 else 1.0)


def alpha(task: SparseAveraging, n: int, share: float = SHARE) -> float:
    """The temperature; infinite where the margin underflows."""
    margin = least_margin(n, task.q)
    return temperature(task, n, margin, share) if margin > 0 else math.inf


def size(task: SparseAveraging, n: int) -> Size:
    """One head of key width 2q; width = dim + 4 q. InputError where float64 cannot hold the margin."""
    task.domain(n)
    heat = alpha(task, n)
    require(
        heat <= 2.0**MOST_BITS,
        f"sparse-averaging-trigonometric: N = {n}, q = {task.q} needs temperature 2^{math.log2(heat):.0f}; with "
        f"64-bit keys 2^{MOST_BITS} is the limit: take sparse-averaging-moment, whose integer keys are exact",
    )
    return pointer_size(task, n, 2 * task.q, Precision(64, "stored"))


@witness(
    "sparse-averaging-trigonometric",
    task="sparse-averaging",
    source="Sanford, Hsu, Telgarsky 2023, Theorem 3 (trigonometric moment curve)",
    formula="1 head, key width 2q, value width d, width d + 4q, 64 stored bits while log₂ α ≤ 45",
    size=size,
    method="pointer-sets",
)
def build(task: SparseAveraging, n: int) -> Model:
    """Keys are rounded cosines and sines, so the certificate is about the rounded ones."""
    size(task, n)
    angle = 2 * np.pi * np.outer(np.arange(n), np.arange(1, task.q + 1)) / n
    keys = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(n, 2 * task.q)
    return pointer_model(task, "trigonometric", keys, alpha(task, n))
