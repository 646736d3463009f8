"""Parts that the sparse-averaging constructions share: selectors around one attention layer, and the temperature.

The stream is (z ; key ; query): W_Q, W_K and W_V select a block each, and the output adds what the heads fetched.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from separatrix.core.arch import Arch, Attention, PointerSet, Readout, Residual
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.sparse_averaging import SparseAveraging

SLACK = 15 / 16  # the share of eps that the temperature uses up; the rest pays for rounding


def temperature(task: SparseAveraging, n: int, gap: float, share: float = SLACK) -> float:
    """alpha at which tokens that score `gap` less than the pointers weigh rho <= share * eps / 2 together.

    rho <= (N - q)/q e^(-alpha gap), and the mean is off by 2 rho at most: the pointers lose rho, the others gain it.
    """
    if n == task.q:
        return 1.0  # nobody else is there
    return max(1.0, math.log(2 * (n - task.q) / (task.q * share * task.eps)) / gap)


def pointer_model(
    task: SparseAveraging,
    query: Literal["least-norm", "slots", "trigonometric", "moment"],
    keys: np.ndarray,
    alpha: float,
    key_width: int | None = None,
) -> Model:
    """The layer over stored keys (N, m), or integer nodes (N,) whose powers up to `key_width` are the keys.

    One head that reads the whole query block, or with `slots` one head a pointer, each with 1/q of z.
    """
    n, dim = len(keys), task.dim
    m = keys.shape[1] if key_width is None else key_width
    heads = task.q if query == "slots" else 1
    residual = Residual.of(z=dim, key=m, query=heads * m)
    z, key, asked = map(residual.slice, ("z", "key", "query"))
    dtype = np.dtype(np.float64) if keys.dtype.kind == "i" else keys.dtype
    eye = np.eye(residual.width, dtype=dtype)
    slots = [slice(asked.start + h * m, asked.start + (h + 1) * m) for h in range(heads)]
    arch = Arch(
        width=residual.width,
        first=PointerSet(
            pointers=task.q,
            positions=n,
            reals=dim,
            key_width=m,
            query=query,
            keys="stored" if key_width is None else "moment",
        ),
        layers=(Attention(heads=heads, key_width=m, value_width=dim),),
        readout=Readout(dim, "reals"),
        residual=residual.parts,
    )
    stored = np.nextafter(np.asarray(alpha, dtype=dtype), np.asarray(np.inf, dtype=dtype))  # not below alpha
    tensors = {
        "embed.keys" if key_width is None else "embed.nodes": keys,
        "embed.temperature": np.asarray(stored),
        "layers.0.query": np.stack([eye[:, slot] for slot in slots]),
        "layers.0.key": np.stack([eye[:, key]] * heads),
        "layers.0.value": np.stack([eye[:, z]] * heads),
        "layers.0.output": np.stack([eye[z] / dtype.type(heads) if heads > 1 else eye[z]] * heads),
        "readout.weight": eye[:, z],
        "readout.bias": np.zeros(dim, dtype=dtype),
    }
    return Model(arch, tensors)


def pointer_size(
    task: SparseAveraging, n: int, m: int, precision: Precision, slots: bool = False, stored: int | None = None
) -> Size:
    """The size of `pointer_model`; `stored` numbers of keys (N m by default)."""
    heads, dim = (task.q if slots else 1), task.dim
    width = dim + m + heads * m
    parameters = (n * m if stored is None else stored) + 1
    parameters += heads * (2 * width * m + 2 * width * dim) + width * dim + dim
    return Size(1, heads, width, m, dim, n, None, parameters, precision)
