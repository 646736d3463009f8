"""Dyck-(n,2) in two layers: fetch the bracket before and the last opener at an odd position, compare, sum the flags.

The language of Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 5 (one layer needs linear size; two layers are cited
from Yao et al. 2021). Rule (see `tasks.dyck_flags`): at depth 2 what is open behind an odd position is the last opener
at an odd position. Layer 1, causal, two heads: `before` attends to position i - 1; `opener` to the last odd position
that opens. Its feed-forward layer raises a flag wherever the rule is broken. Layer 2 takes the mean of the flags.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.flag_units import Units
from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.can.witnesses.index_lookup_quadratic import slope
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.dyck import Dyck

MOST = 512  # what the kernel checks: scores of the second head reach 5 N, and e^x is held for x up to 700


def size(task: Dyck, n: int) -> Size:
    """Two layers, two heads; width = 3 bits of a type + 11. InputError where the construction does not reach."""
    task.domain(n)
    require(task.depth == 2, f"dyck-two-layer: depth = {task.depth}; the rule is about depth 2")
    require(n <= MOST, f"dyck-two-layer: N = {n}; take N up to {MOST}")
    bits = code_bits(task.types)
    width, hidden = _residual(bits).width, 6 + 8 * bits
    values = bits + 1
    parameters = (2 * task.types + 1 + n + 1) * width + 2 * (4 * width + 2 * width * values)
    parameters += 2 * width * hidden + hidden + width + 4 * width + 2 * width + 2
    return Size(2, 2, width, 2, values, n + 1, None, parameters, Precision(64, "stored"))


def _residual(bits: int) -> Residual:
    return Residual.of(kind=1, type=bits, before=bits + 1, opener=bits, gates=4, query=2, position=2, recency=1, flag=1)


@witness(
    "dyck-two-layer",
    task="dyck",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3 (Dyck-(n,2)); Yao et al. 2021",
    formula="2 causal layers of 2 heads, key width 2, b = ⌈log₂ types⌉, width 3b + 12, 8b + 6 hidden units, "
    "64 stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to 6 N^2 and the mean is compared with 1/(2N): O(log N) bits would do
)
def build(task: Dyck, n: int) -> Model:
    """A flag is 0, or at least 1 where the rule is broken, and never negative: the mean is 0, or at least 1/(N+1)."""
    size(task, n)
    types, bits = task.types, code_bits(task.types)
    residual = _residual(bits)
    d, eye = residual.width, np.eye(residual.width)
    names = ("kind", "type", "before", "opener", "gates", "query", "position", "recency", "flag")
    kind, code, before, opener, gates, query, position, recency, flag = map(residual.slice, names)

    token = np.zeros((2 * types + 1, d))  # the end token is 0: of no kind and no type
    token[:types, kind], token[types : 2 * types, kind] = 1.0, -1.0
    token[: 2 * types, code] = np.tile(binary_codes(types), (2, 1))
    t = np.arange(1, n + 2, dtype=np.float64)
    eta = slope()  # weight of the position before >= 3/4, so that a fetched sign is off by 1/2 at most
    place = np.zeros((n + 1, d))
    place[:, query] = np.stack([2 * eta * np.maximum(t - 1, 1), np.full(n + 1, -eta)], axis=1)
    place[:, position] = np.stack([t, t * t], axis=1)
    odd = (t % 2 == 1) & (t <= n)
    place[:, gates] = np.stack([odd & (t > 1), (t % 2 == 0) & (t <= n), t == 1, t == n], axis=1)

    # head `opener`: score t + B ([odd] + kind). Openers at odd positions score t + 2B, everybody else at most
    # N + 1 + B. The last of them has odds e^-2 + e^-4 + .. < 0.16 against earlier ones, N e^(N + 1 - B) against the rest
    b = n + 1 + math.ceil(math.log(100 * n))
    place[:, recency] = (t + b * odd)[:, None]
    token[:types, recency] = b
    token[types:, recency] = -b
    ones = np.zeros((d, 2))
    ones[gates.start : gates.start + 3, 0] = 1.0  # 1 at every bracket, 0 at the end token
    queries = np.stack([eye[:, query], ones])
    keys = np.stack([eye[:, position], np.concatenate([eye[:, recency], np.zeros((d, 1))], axis=1)])
    values = np.zeros((2, d, bits + 1))
    values[:, code, :bits], values[:, kind, bits:] = np.eye(bits), 1.0
    output = np.zeros((2, bits + 1, d))
    output[0, :, before], output[1, :bits, opener] = np.eye(bits + 1), np.eye(bits)

    units = Units(d)
    k, odd_gate, even_gate, first, last, up = kind.start, *range(gates.start, gates.stop), {flag.start: 1.0}
    fetched = before.stop - 1  # kind of the bracket before
    # for k = 1 the term -2(1 - k) vanishes, for k = -1 it closes a unit that reads a number up to 2; and so on
    units.clip({fetched: 1.0, odd_gate: 4.0, k: 2.0}, 0.5 - 4.0 - 2.0, up)  # an opener behind an opener
    units.clip({fetched: -1.0, odd_gate: 4.0, k: -2.0}, 0.5 - 4.0 - 2.0, up)  # a closer behind a closer
    for bit in range(bits):  # a closer whose type differs
        for there, gate in ((before.start + bit, odd_gate), (opener.start + bit, even_gate)):
            units.differs(code.start + bit, there, flag.start, {gate: 4.0, k: -2.0}, -4.0 - 2.0)
    units.relu({first: 1.0, k: -1.0}, -1.0, up)  # a closer at position 1
    units.relu({last: 1.0, k: 1.0}, -1.0, up)  # an opener at position N
    readout = np.zeros((d, 2))
    readout[flag, 0] = 1.0  # logit of "wrong" is the mean flag, logit of "right" 1/(2N + 2)
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=2 * types + 1, positions=n + 1),
            layers=(
                Attention(heads=2, key_width=2, value_width=bits + 1, mask="causal", residual=True),
                FeedForward(hidden=len(units), residual=True),
                Attention(heads=1, key_width=1, value_width=1, mask="causal"),
            ),
            readout=Readout(2),
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.position": place,
            "layers.0.query": queries,
            "layers.0.key": keys,
            "layers.0.value": values,
            "layers.0.output": output,
            **units.tensors(1),
            "layers.2.query": np.zeros((1, d, 1)),
            "layers.2.key": np.zeros((1, d, 1)),
            "layers.2.value": eye[None, :, flag],
            "layers.2.output": eye[None, flag, :],
            "readout.weight": readout,
            "readout.bias": np.array([0.0, 0.5 / (n + 1)]),
        },
    )

