"""Function composition by Strassen attention: -(x - j)^2 for the first token, -(g(j) - k)^2 between the two.

Kozachinskiy et al. 2025, Theorem 4.2 (function composition in one layer). The score of the pair (j, k) is 0 where j is
the entry x of the first table and k the entry g(x) of the second, and at most -1 elsewhere; the second token of a pair
brings the code of its value. No ties, so that nothing needs to break them.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.core.arch import Arch, Readout, Residual, Strassen, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.function_composition import FunctionComposition

MOST = 2**23  # what the kernel holds: the square of all choices of a position and a symbol, times the labels
KEY = 4


def temperature(n: int) -> float:
    """eta with (2n + 1)^2 e^-eta <= 1/4: the wanted pair weighs 4/5 or more, and its code outvotes the rest."""
    return 2 * math.log(2 * (2 * n + 1))


def _residual(bits: int) -> Residual:
    return Residual.of(value=1, square=1, code=bits, one=1, place=1, place_square=1, out=bits)


def size(task: FunctionComposition, n: int) -> Size:
    """One head of key width 4. InputError where the construction does not reach."""
    task.domain(n)
    bits, labels = code_bits(task.labels), task.labels
    require(
        (n * (n + labels) + 1) ** 2 * labels <= MOST,
        f"function-composition-strassen: n = {n}, {labels} labels; take (n (n + labels))^2 labels up to {MOST}",
    )
    d = _residual(bits).width
    parameters = (max(n, labels) + 2 * n + 1) * d + 3 * d * KEY + 3 * d * bits + (d + 1) * labels
    return Size(1, 1, d, KEY, bits, None, None, parameters, Precision(64, "stored"))


@witness(
    "function-composition-strassen",
    task="function-composition",
    arch="strassen",
    source="Kozachinskiy et al. 2025, Theorem 4.2, function composition by one layer of Strassen attention",
    formula="1 head of Strassen attention, b = ⌈log₂ labels⌉, width 2b + 5, key width 4, value width b, "
    "64 stored bits; scores are integers up to 4 n² times 2 ln(4n + 2)",
    size=size,
    method="pairs",
    growth="log",  # scores must be known to a fraction of 1: log2(n^2 log n) bits and a few
)
def build(task: FunctionComposition, n: int) -> Model:
    """Places are 0 .. n-1 for the first table, n .. 2n-1 for the second, and 3n for x, out of the way."""
    size(task, n)
    bits, vocabulary = code_bits(task.labels), max(n, task.labels)
    residual = _residual(bits)
    d, s = residual.width, {name: residual.slice(name) for name, _, _ in residual.parts}
    eye = np.eye(d)
    value, square, one, place, place_square = (
        eye[s[name].start] for name in ("value", "square", "one", "place", "place_square")
    )
    codes = binary_codes(task.labels)
    token, where = np.zeros((vocabulary, d)), np.zeros((2 * n + 1, d))
    v, t = np.arange(vocabulary, dtype=np.float64), np.append(np.arange(2.0 * n), 3.0 * n)
    token[:, s["value"].start], token[:, s["square"].start] = v, v * v
    token[: task.labels, s["code"]] = codes
    where[:, s["one"].start], where[:, s["place"].start], where[:, s["place_square"].start] = 1.0, t, t * t

    # -(x - j)^2 + x^2 = 2xj - j^2 between the query and the first token; with y = n + g(j),
    # -(y - k)^2 = -(g^2 + 2gn + n^2) + 2yk - k^2 between the two
    shifted = value + n * one
    first = np.stack([place, -place_square - square - 2 * n * value - n * n * one, 2 * shifted, one], axis=1)
    none = np.zeros(d)
    query = np.stack([2 * value, one, none, none], axis=1)
    second = np.stack([none, one, place, -place_square], axis=1)
    # the second column is 1 for the query and for the second token: each takes a half of what depends on j alone, and
    # the third side adds 1 to all pairs
    first[:, 1] /= 2
    readout = np.zeros((d, task.labels))
    readout[s["out"]] = codes.T
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=vocabulary, positions=2 * n + 1),
            layers=(Strassen(heads=1, key_width=KEY, value_width=bits, scale=temperature(n)),),
            readout=Readout(task.labels),
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.position": where,
            "layers.0.query": query[None],
            "layers.0.keys": np.stack([first, second])[:, None],
            "layers.0.values": np.stack([np.tile(one[:, None], bits), eye[:, s["code"]]])[:, None],
            "layers.0.output": eye[None, s["out"]],
            "readout.weight": readout,
            "readout.bias": np.zeros(task.labels),
        },
    )
