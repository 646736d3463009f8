"""Store the first half of the input, compare it with the second, and remember whether anything was found.

A recurrent model of two layers for tasks that ask about the pairs (x_i, x_{i + N/2}): equality and disjointness
(Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 11 and its like say that N/2 symbols must be stored; this stores
them, and two bits besides).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from separatrix.can.store import GRID, Memory, bit_codes
from separatrix.core.arch import Readout, Residual, Table
from separatrix.core.recurrent import DiagonalSsm, Recurrent
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model

Test = tuple[float, float, float]  # relu(a stored + b present + c) is 1 where the test holds, else 0, on bits


def compare_size(memory: Memory, tests: int, vocabulary: int, n: int) -> Size:
    """The size of `compare_model`."""
    width, hidden, u = memory.bits + n, memory.symbols * memory.bits * tests, memory.units
    parameters = (vocabulary + n) * width + width * 2 * u + 6 * u + 2 * u * hidden + width * hidden + hidden
    parameters += 2 * hidden + 2 + 2 + 2 + hidden + 1 + 2 + 2 + 2
    return Size(
        layers=2,
        width=width,
        tokens=n,
        state_numbers=2 * u + 2,
        parameters=parameters,
        precision=Precision(GRID.bits, "fixed"),
    )


def compare_model(memory: Memory, symbols: int, n: int, tests: Sequence[Test], found: int) -> Model:
    """Answers `found` where some test holds for some bit of some pair, else the other class."""
    b, half = memory.bits, memory.symbols
    stream = Residual.of(code=b, time=n)
    code, time = map(stream.slice, ("code", "time"))
    token, place = np.zeros((symbols, stream.width)), np.zeros((n, stream.width))
    token[:, code] = bit_codes(symbols, b)
    place[:, time] = np.eye(n)
    position, bit, test = (grid.reshape(-1) for grid in np.indices((half, b, len(tests))))
    hidden, which = len(test), np.array(tests)[test]
    unit = np.arange(hidden)
    out, skip = np.zeros((2 * memory.units, hidden)), np.zeros((stream.width, hidden))
    out[memory.number(position, bit), unit] = -which[:, 0]  # stored bits are -1 or 0
    skip[code.start + bit, unit] = which[:, 1]
    gate = 2.0  # no test is above 1 + 1, or 2 with both bits: closed at every other time
    skip[time.start + half + position, unit] = gate
    readout = np.zeros((1, 2))
    readout[0, found] = 1.0  # the flag against 1/2
    return Model(
        Recurrent(
            width=stream.width,
            first=Table(symbols, n),
            layers=(DiagonalSsm(memory.units, hidden), DiagonalSsm(1, 1)),
            readout=Readout(2),
            state=GRID,
        ),
        {
            "embed.token": token,
            "embed.position": place,
            "layers.0.in": memory.enter(stream.width, code, time),
            "layers.0.bias": np.zeros(2 * memory.units),
            "layers.0.diagonal": memory.diagonal(),
            "layers.0.out": out,
            "layers.0.skip": skip,
            "layers.0.out_bias": which[:, 2] - gate,
            "layers.0.start": np.zeros(2 * memory.units),
            "layers.1.in": np.stack([np.full(hidden, -1.0), np.zeros(hidden)], axis=1),
            "layers.1.bias": np.zeros(2),
            "layers.1.diagonal": np.array([[1.0], [0.0]]),
            "layers.1.out": np.array([[-1.0], [0.0]]),
            "layers.1.skip": np.zeros((hidden, 1)),
            "layers.1.out_bias": np.zeros(1),
            "layers.1.start": np.zeros(2),
            "readout.weight": readout,
            "readout.bias": np.array([0.5, 0.5]) * (np.arange(2) != found),
        },
    )
