"""Index lookup by a recurrent model that stores everything: N ceil(log2 |Sigma|) bits of state, and no more.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 3 says that any recurrent model needs N log2 |Sigma| bits; this one
has them. A diagonal linear recurrence whose drive depends on time writes each symbol's bits where they stay; the index
token opens the ReLUs of its own position.
"""

from __future__ import annotations

import numpy as np

from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.store import GRID, Memory, bit_codes
from separatrix.can.witness import require, witness
from separatrix.core.arch import Readout, Residual, Table
from separatrix.core.recurrent import DiagonalSsm, Recurrent
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

MOST_BITS = 2**13  # stored: the weights that open the ReLUs are quadratic in it


def _memory(task: IndexLookup, n: int) -> Memory:
    memory = Memory(n, code_bits(task.symbols))
    require(
        n * memory.bits <= MOST_BITS,
        f"index-lookup-store: N = {n} symbols of {memory.bits} bits; take at most {MOST_BITS} bits",
    )
    return memory


def size(task: IndexLookup, n: int) -> Size:
    """One layer; as many numbers of one bit as there are bits to store (and one more if these are odd)."""
    task.domain(n)
    memory = _memory(task, n)
    width, hidden, vocabulary = memory.bits + 2 * n, n * memory.bits, task.symbols + n
    u = memory.units
    parameters = (vocabulary + n + 1) * width + width * 2 * u + 2 * u + 2 * u + 2 * u * hidden + width * hidden + hidden
    parameters += 2 * u + hidden * task.symbols + task.symbols
    return Size(
        layers=1,
        width=width,
        tokens=n + 1,
        state_numbers=2 * u,
        parameters=parameters,
        precision=Precision(GRID.bits, "fixed"),
    )


@witness(
    "index-lookup-store",
    task="index-lookup",
    arch="ssm",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 3 (its bound is met)",
    formula="one diagonal linear recurrence with N⌈log₂|Σ|⌉ numbers of 1 bit (one more if that is odd)",
    size=size,
    method="stored",
    growth="linear",
)
def build(task: IndexLookup, n: int) -> Model:
    """Stored bits are -1 or 0; relu(-s + 2 [this is the index] - 2) reads one."""
    size(task, n)
    memory, symbols = _memory(task, n), task.symbols
    b, hidden = memory.bits, n * memory.bits
    stream = Residual.of(code=b, time=n, index=n)
    code, time, index = map(stream.slice, ("code", "time", "index"))
    token, place = np.zeros((symbols + n, stream.width)), np.zeros((n + 1, stream.width))
    token[:symbols, code] = bit_codes(symbols, b)
    token[symbols:, index] = np.eye(n)
    place[:n, time] = np.eye(n)
    position, bit = (grid.reshape(-1) for grid in np.indices((n, b)))
    out, skip = np.zeros((2 * memory.units, hidden)), np.zeros((stream.width, hidden))
    out[memory.number(position, bit), np.arange(hidden)] = -1.0
    skip[index.start + position, np.arange(hidden)] = 2.0
    signs = -binary_codes(symbols)  # +1 where the bit is 1
    return Model(
        Recurrent(
            width=stream.width,
            first=Table(symbols + n, n + 1),
            layers=(DiagonalSsm(memory.units, hidden),),
            readout=Readout(symbols),
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
            "layers.0.out_bias": np.full(hidden, -2.0),
            "layers.0.start": np.zeros(2 * memory.units),
            "readout.weight": 2 * signs.T[bit],  # agreement with a symbol's code: sum over bits of sign (2 bit - 1)
            "readout.bias": -signs.sum(axis=1),
        },
    )
