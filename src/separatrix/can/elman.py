"""Any automaton as a ReLU Elman net, with a state of zeros and ones.

Unit (q, a) is 1 after a step iff the automaton was in state q and read a: relu([somebody led to q] + [a was read] - 1).
That needs a start unit, 1 before the first token only: without it no unit says that the automaton is in state 0, unless
some transition enters it. Units that lead to states of no return are left out; all zeros is such a state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Readout, Table
from separatrix.core.recurrent import Elman, FixedPoint, Recurrent
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model

GRID = FixedPoint(bits=2, fraction=0)  # -2 .. 1: zeros and ones, and a sign bit that a ReLU does not need


@dataclass(frozen=True, slots=True)
class Units:
    """The transitions that can still end well: unit u was in state[u], read symbol[u], and came to target[u]."""

    state: np.ndarray
    symbol: np.ndarray
    target: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray, accepting: np.ndarray) -> Units:
        """From a complete automaton (states, symbols), started in state 0, and (states,) whether it accepts."""
        alive = accepting.copy()
        for _ in range(len(table)):
            grown = alive | alive[table].any(axis=1)
            if (grown == alive).all():
                break
            alive = grown
        reached = np.zeros(len(table), dtype=bool)
        reached[0], frontier = True, [0]
        while frontier:
            fresh = [q for q in set(table[frontier].reshape(-1).tolist()) if not reached[q]]
            reached[fresh] = True
            frontier = fresh
        state, symbol = np.nonzero(alive[table] & reached[:, None])
        return cls(state, symbol, table[state, symbol])

    def __len__(self) -> int:
        return len(self.state)


def automaton_size(units: int, vocabulary: int, tokens: int, end: bool) -> Size:
    """The size of `automaton_net`."""
    h = units + 1 + end
    parameters = vocabulary * vocabulary + vocabulary * h + h + h * h + h + 2 * h + 2
    return Size(
        layers=1,
        width=vocabulary,
        tokens=tokens,
        state_numbers=h,
        parameters=parameters,
        precision=Precision(GRID.bits, "fixed"),
    )


def automaton_net(units: Units, accepting: np.ndarray, symbols: int, end: bool) -> Model:
    """Two classes, 1 for accepted words; with `end` a last token, number `symbols`, asks for the answer."""
    u, vocabulary = len(units), symbols + end
    h, start = u + 1 + end, u
    enter, recurrent, bias = np.zeros((vocabulary, h)), np.zeros((h, h)), np.full(h, -1.0)
    enter[units.symbol, np.arange(u)] = 1.0
    recurrent[:u, :u] = units.target[:, None] == units.state[None]
    recurrent[start, :u] = units.state == 0
    good = np.r_[accepting[units.target], accepting[0]].astype(np.float64)  # units, then the start
    readout = np.zeros((h, 2))
    if end:
        enter[symbols, -1] = 1.0
        recurrent[: u + 1, -1] = good
        readout[-1, 1] = 1.0
    else:
        readout[:u, 1] = good[:u]  # the start unit is 0 after any symbol
    first = np.zeros(h)
    first[start] = 1.0
    names = [("transitions", 0, u), ("start", u, u + 1)] + [("accept", u + 1, u + 2)] * end
    return Model(
        Recurrent(
            width=vocabulary,
            first=Table(vocabulary),
            layers=(Elman(h),),
            readout=Readout(2),
            state=GRID,
            residual=tuple(names),
        ),
        {
            "embed.token": np.eye(vocabulary),
            "layers.0.in": enter,
            "layers.0.bias": bias,
            "layers.0.recurrent": recurrent,
            "layers.0.start": first,
            "readout.weight": readout,
            "readout.bias": np.array([0.5, 0.0]),
        },
    )
