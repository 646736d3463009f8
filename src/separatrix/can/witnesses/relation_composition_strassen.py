"""Composition of binary relations by Strassen attention: a pair of tokens fits where its indices and bits do.

Kozachinskiy et al. 2025, Theorem 4.2 (binary relation composition in one layer). With the query at (i, j), the first
token at (c, d) and the second at (k, l), the score is the negative of (i - c)^2 + (d - k)^2 + (l - j)^2 + (1 - A(c, d))
+ (1 - B(k, l)): 0 for a k with A(i, k) and B(k, j), at most -1 else. In place of ties that are broken and bits that are
read back, all pairs are compared with a blank one at -1/2.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Readout, Residual, Strassen, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.relation_composition import RelationComposition

MOST = 16  # what the kernel checks: (2 n)^4 exponentials for each of n^2 queries and 4 tokens
RESIDUAL = Residual.of(row=1, row_square=1, column=1, column_square=1, first=1, second=1, one=1, blank=1)
KEY = 10


def temperature(n: int) -> float:
    """eta with e^(eta / 2) = 4 n^4: the share of real pairs is near 1 with a k, and 1/5 or less without."""
    return 2 * math.log(4 * n**4)


def size(task: RelationComposition, n: int) -> Size:
    """One head of key width 10 on a stream of width 8, and the model's own blank."""
    task.domain(n)
    require(n <= MOST, f"relation-composition-strassen: n = {n}; take n up to {MOST}")
    d = RESIDUAL.width
    parameters = (4 + n * n + 1) * d + 3 * d * KEY + 3 * d + 2 * d + 2
    return Size(1, 1, d, KEY, 1, None, None, parameters, Precision(64, "stored"))


@witness(
    "relation-composition-strassen",
    task="relation-composition",
    arch="strassen",
    source="Kozachinskiy et al. 2025, Theorem 4.2, binary relation composition by one layer of Strassen attention",
    formula="1 head of Strassen attention, width 8, key width 10, value width 1, one blank token, 64 stored bits; "
    "scores are integers up to 20 n² times 2 ln(4n⁴)",
    size=size,
    method="pairs",
    growth="log",  # scores must be known to a fraction of 1: log2(n^2 log n) bits and a few
)
def build(task: RelationComposition, n: int) -> Model:
    """The logit of 1 is the share of pairs of real tokens, the logit of 0 is 1/2."""
    size(task, n)
    d, s = RESIDUAL.width, {name: start for name, start, _ in RESIDUAL.parts}
    row, row_square, column, column_square, a, b, one, blank = np.eye(d)
    token, where = np.zeros((4, d)), np.zeros((n * n, d))
    token[:, s["first"]], token[:, s["second"]] = [0, 0, 1, 1], [0, 1, 0, 1]
    i, j = (grid.reshape(-1).astype(np.float64) for grid in np.indices((n, n)))
    for name, values in (("row", i), ("row_square", i * i), ("column", j), ("column_square", j * j)):
        where[:, s[name]] = values
    where[:, s["one"]] = 1.0

    # query and first, first and second, second and query, three or four columns each; in the last rows of each side
    # what a pair of real tokens has and a blank does not. A pair of a token and the blank loses 1, that of blanks 1/2
    none = np.zeros(d)
    query = [2 * row, one, -row_square, none, none, none, none, column, one, -column_square]
    first = [
        row,
        a - one - row_square - blank / 2,
        one,
        2 * column,
        -column_square - blank,
        -one,
        one,
        none,
        none,
        none,
    ]
    second = [none, none, none, row, one, blank, -row_square, 2 * column, b - one - column_square, one]
    readout = np.zeros((d, 2))
    readout[s["one"], 1] = 1.0
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=4, positions=n * n),
            layers=(Strassen(heads=1, key_width=KEY, value_width=1, scale=temperature(n)),),
            readout=Readout(2),
            blank=True,
            residual=RESIDUAL.parts,
        ),
        {
            "embed.token": token,
            "embed.position": where,
            "embed.blank": blank,
            "layers.0.query": np.stack(query, axis=1)[None],
            "layers.0.keys": np.stack([np.stack(side, axis=1) for side in (first, second)])[:, None],
            "layers.0.values": np.tile(one[:, None], (2, 1, 1, 1)),
            "layers.0.output": one[None, None],
            "readout.weight": readout,
            "readout.bias": np.array([0.5, 0.0]),
        },
    )
