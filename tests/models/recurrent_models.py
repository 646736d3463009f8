"""Random recurrent models, shared by tests."""

from __future__ import annotations

import numpy as np

from separatrix.core.arch import Readout, Table
from separatrix.core.mixers import DeltaNet, Dense, LinearAttention, Retention, Rwkv, SelectiveSsm
from separatrix.core.recurrent import Cell, DiagonalSsm, Elman, Exact, FixedPoint, Gru, Lstm, Recurrent
from separatrix.core.shapes import tensor_shapes
from separatrix.models import Model

CELLS: list[tuple[Cell, ...]] = [
    (Elman(5),),
    (Elman(5, "tanh"), Elman(3)),
    (Lstm(4),),
    (Gru(4), Lstm(3)),
    (DiagonalSsm(3, 5), DiagonalSsm(2, 4)),
]
MIXED: tuple[Cell, ...] = (  # with layers that have a parallel form and no rounded one in torch
    LinearAttention(2, 2, 3, 4, norm="rms", residual=True),
    Retention(2, 2, 3, 3),
    Elman(4),
    DeltaNet(1, 3, 2, 4, negative=True, residual=True),
    SelectiveSsm(3, 2, 1, 4, convolution=3),
    Rwkv(3, 4, 5),
    Dense(4, 3),
)


def random_recurrent(
    layers: tuple[Cell, ...],
    seed: int,
    vocabulary: int = 4,
    outputs: int = 3,
    width: int = 4,
    positions: int = 0,
    grid: FixedPoint | None = None,
    dtype: type = np.float64,
) -> Model:
    """Entries of standard deviation 1/2: gates neither open nor closed."""
    rng = np.random.default_rng(seed)
    arch = Recurrent(width, Table(vocabulary, positions), layers, Readout(outputs), grid or Exact())
    return Model(arch, {n: rng.normal(0, 0.5, shape).astype(dtype) for n, shape in tensor_shapes(arch).items()})
