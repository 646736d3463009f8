"""Bounded Dyck by a ReLU Elman net that keeps the stack itself: k slots of ceil(log2(types + 1)) bits.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3, and the stack encoding of Hewitt, Hahn, Ganguli, Liang, Manning
2020 (O(k log types) units). A slot holds its bracket's type, counted from 1, in binary; 0 is an empty slot. Each bit
has two units, one that is used when the last step was a push and one when it was a pop, so that relu(bit + step - 1)
moves it to its neighbour slot. What goes wrong stays: a bit of the closing type that differs from the top slot, a push
onto a full stack, and at the end a stack that is not empty. Every number is 0 or 1; the grid clips what would be more.
"""

from __future__ import annotations

import numpy as np

from separatrix.can.elman import GRID
from separatrix.can.witness import require, witness
from separatrix.core.arch import Readout, Residual, Table
from separatrix.core.recurrent import Elman, Recurrent
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.dyck import Dyck

MOST_UNITS = 4096


def bits(task: Dyck) -> int:
    """Bits of a slot: types + 1 contents."""
    return task.types.bit_length()


def units(task: Dyck) -> int:
    """Stack, mismatch of each bit in both directions, overflow, error, rest."""
    return 2 * task.depth * bits(task) + 2 * bits(task) + 3


def size(task: Dyck, n: int) -> Size:
    """No growth with n; linear in the depth, logarithmic in the types."""
    task.domain(n)
    h, vocabulary = units(task), 2 * task.types + 1
    require(h <= MOST_UNITS, f"dyck-stack: {h} units; take at most {MOST_UNITS}")
    width = bits(task) + 3
    return Size(
        layers=1,
        width=width,
        tokens=n + 1,
        state_numbers=h,
        parameters=vocabulary * width + width * h + h + h * h + h + 2 * h + 2,
        precision=Precision(GRID.bits, "fixed"),
    )


@witness(
    "dyck-stack",
    task="dyck",
    arch="elman",
    source="Hewitt, Hahn, Ganguli, Liang, Manning 2020 (stack encoding), as an explicit ReLU net",
    formula="one ReLU Elman layer of 2(k + 1)b + 3 units of 2 bits, b = ⌈log₂(t + 1)⌉, t types, depth k",
    size=size,
    method="automaton",
)
def build(task: Dyck, n: int) -> Model:
    """The same weights for every n."""
    size(task, n)
    types, depth, b = task.types, task.depth, bits(task)
    stream = Residual.of(code=b, push=1, pop=1, end=1)
    code, push, pop, end = map(stream.slice, ("code", "push", "pop", "end"))
    token = np.zeros((2 * types + 1, stream.width))
    token[: 2 * types, code] = np.tile((np.arange(1, types + 1)[:, None] >> np.arange(b)) & 1, (2, 1))
    token[:types, push], token[types : 2 * types, pop], token[-1, end] = 1.0, 1.0, 1.0

    state = Residual.of(pushed=depth * b, popped=depth * b, over=b, under=b, overflow=1, error=1, rest=1)
    pushed, popped = (np.arange(depth * b).reshape(depth, b) + state.slice(p).start for p in ("pushed", "popped"))
    over, under = (np.arange(b) + state.slice(p).start for p in ("over", "under"))
    overflow, error, rest = (state.slice(p).start for p in ("overflow", "error", "rest"))
    h = state.width
    enter, back, bias = np.zeros((stream.width, h)), np.zeros((h, h)), np.zeros(h)
    step = np.arange(b)
    for slot in range(depth):
        for moved, sign, other in ((pushed, push, slot - 1), (popped, pop, slot + 1)):
            unit = moved[slot]
            if other == -1:  # the bracket itself goes to the top: relu(code + push - 1)
                enter[code.start + step, unit] = 1.0
            elif other < depth:  # relu(bit + step - 1)
                back[pushed[other], unit] = back[popped[other], unit] = 1.0
            enter[sign, unit], bias[unit] = 1.0, -1.0
    top = np.stack([pushed[0], popped[0]])
    back[top, over], enter[code.start + step, over] = 1.0, -1.0  # relu(top - code + pop - 1)
    back[top, under], enter[code.start + step, under] = -1.0, 1.0  # relu(code - top + pop - 1)
    for unit in (over, under):
        enter[pop, unit], bias[unit] = 1.0, -1.0
    back[np.r_[pushed[-1], popped[-1]], overflow] = 1.0  # relu(bits of the last slot - b (1 - push))
    enter[push, overflow], bias[overflow] = b, -b
    back[np.r_[over, under, overflow, error], error] = 1.0  # clipped at 1
    back[top.reshape(-1), rest] = 1.0  # relu(bits of the top slot - b (1 - end))
    enter[end, rest], bias[rest] = b, -b
    readout = np.zeros((h, 2))
    readout[[error, rest], 0] = 1.0  # logit of "no" is 1 or 2 where something is wrong, logit of "yes" 1/2
    return Model(
        Recurrent(
            width=stream.width,
            first=Table(2 * types + 1),
            layers=(Elman(h),),
            readout=Readout(2),
            state=GRID,
            residual=state.parts,
        ),
        {
            "embed.token": token,
            "layers.0.in": enter,
            "layers.0.bias": bias,
            "layers.0.recurrent": back,
            "layers.0.start": np.zeros(h),
            "readout.weight": readout,
            "readout.bias": np.array([0.0, 0.5]),
        },
    )
