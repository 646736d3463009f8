"""One block of each recurrent family at a width, as their papers stack them, and how its own numbers begin.

A block reads root-mean-square norms of the stream and adds to it; those of RetNet, DeltaNet, linear attention and RWKV
end in a ReLU layer of twice the width, those of Mamba in none.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.mixers import DeltaNet, Dense, LinearAttention, Mixer, Retention, Rwkv, SelectiveSsm
from separatrix.core.recurrent import Cell

FAMILIES = ("linear-attention", "retnet", "deltanet", "negative-deltanet", "mamba", "rwkv")
STATES, WINDOW = 16, 4  # of Mamba: numbers a channel, and positions that its convolution sees
STEPS = 1e-3, 0.1  # of Mamba: the least and the greatest first step


def block(family: str, width: int, heads: int = 4) -> tuple[Cell, ...]:
    """The layers of one block, by the family's name; each head has keys and values of width / heads.

    >>> [layer.kind for layer in block("retnet", 64)]
    ['retention', 'dense']
    """
    if family not in FAMILIES:
        raise InputError(f"family {family!r} is not known; known: {', '.join(FAMILIES)}")
    if width < 1 or heads < 1 or width % heads:
        raise InputError(f"width = {width}, heads = {heads}; take a width that the heads divide")
    m = width // heads
    if family == "mamba":
        return (SelectiveSsm(width, STATES, max(1, width // 16), width, WINDOW, norm="rms", residual=True),)
    first: dict[str, Cell] = {
        "linear-attention": LinearAttention(heads, m, m, width, norm="rms", residual=True),
        "retnet": Retention(heads, m, m, width, norm="rms", residual=True),
        "deltanet": DeltaNet(heads, m, m, width, norm="rms", residual=True),
        "negative-deltanet": DeltaNet(heads, m, m, width, True, norm="rms", residual=True),
        "rwkv": Rwkv(width, width, width, norm="rms", residual=True),
    }
    return first[family], Dense(2 * width, width, norm="rms", residual=True)


def own_start(layer: Mixer, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray | None:
    """First values of a tensor that is neither a matrix nor a bias nor a scale; None for those.

    Mamba's rates are 1 .. states and its steps log-uniform (Gu, Dao 2023, section 3.6). RWKV's decays are spread over
    the channels from e^-5 to e^3, as in its code; each of its maps begins with equal shares of the two positions.
    """
    if isinstance(layer, SelectiveSsm) and name == "rate":
        return np.tile(np.log(np.arange(1, shape[1] + 1)), (shape[0], 1))
    if isinstance(layer, SelectiveSsm) and name == "step_bias":
        step = np.exp(rng.uniform(math.log(STEPS[0]), math.log(STEPS[1]), shape))
        return step + np.log(-np.expm1(-step))  # softplus makes it the step
    if isinstance(layer, Rwkv) and name == "decay":
        return -5.0 + 8.0 * (np.arange(shape[0]) / max(1, shape[0] - 1)) ** 0.7
    if isinstance(layer, Rwkv) and name == "first":
        return np.full(shape, math.log(0.3))
    if isinstance(layer, Rwkv) and name.endswith("_share"):
        return np.full(shape, 0.5)
    return None
