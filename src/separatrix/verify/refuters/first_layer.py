"""The fooling pair of a feed-forward net whose first layer is too narrow for sparse averaging.

With fewer than N dim units some direction v of the real parts is invisible to the first layer: z = v and z = -v give
the same output for the same pointers. Some set of q pointers has a mean of norm 1 / (2 q - 1) or more when the longest
v_j has norm 1, so the net errs by that much on one of the two (Sanford, Hsu, Telgarsky 2023, Theorem 10, with the
constant of a swap argument; N >= q + 1). Nothing else about the net matters: any depth, any activation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import InputError, UnknownError

BLIND = 1e-9  # of the largest singular value: below, a direction counts as invisible


@dataclass(frozen=True, slots=True)
class FoolingPair:
    """Two inputs that the net cannot tell apart.

    Attributes:
        reals: (2, N, dim) the real parts v and -v, every row in the unit ball.
        pointers: (q,) increasing, the set that every token points at.
        error: whatever the net answers, it is off by so much on one of the two, up to `leak`.
        leak: norm of what the first layer sees of v, relative to its largest singular value.
    """

    reals: np.ndarray
    pointers: np.ndarray
    error: float
    leak: float


def fooling_pair(weights: np.ndarray, n: int, q: int) -> FoolingPair:
    """The pair for a first layer with `weights` (N dim, width), which acts on the real parts from the right.

    Raises UnknownError where the layer sees every direction.

    >>> pair = fooling_pair(np.ones((4, 1)), n=4, q=1)
    >>> round(pair.error, 3)
    1.0
    """
    if weights.ndim != 2 or n < 2 or len(weights) % n or not np.isfinite(weights).all():
        raise InputError(f"weights of shape {weights.shape} are not (N dim, width) with N = {n}, or not finite")
    if not 1 <= q < n:
        raise InputError(f"q = {q}: take 1 to N - 1 = {n - 1} pointers")
    left, sizes, _ = np.linalg.svd(weights.astype(np.float64), full_matrices=True)
    largest = float(sizes.max(initial=0.0))
    seen = float(sizes[-1]) if len(sizes) == len(weights) else 0.0
    if seen > BLIND * largest:
        raise UnknownError(f"the first layer sees every direction (least singular value {seen:.3g})")
    v = left[:, -1].reshape(n, -1)
    lengths = np.linalg.norm(v, axis=1)
    v = v / lengths.max()
    order = np.argsort(v @ v[lengths.argmax()], kind="stable")  # along the longest row
    best = max((order[:q], order[-q:]), key=lambda part: float(np.linalg.norm(v[part].mean(axis=0))))
    leak = float(np.linalg.norm(v.reshape(-1) @ weights)) / largest if largest else 0.0
    return FoolingPair(np.stack([v, -v]), np.sort(best), float(np.linalg.norm(v[best].mean(axis=0))), leak)
