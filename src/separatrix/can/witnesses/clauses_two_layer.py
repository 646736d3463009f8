"""k-DNF, k-CNF and thresholds of clauses in two layers: position i fetches the bits of clause i, then all are counted.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 13 (THRES_{k,N}), with quadratic keys in place of near-orthogonal
codes. Head h of layer 1 brings the bit of the h-th literal; a feed-forward layer compares it with the literal's sign,
the next one joins the literals. Layer 2 takes the mean of the clauses that hold, against (least - 1/2)/N.
"""

from __future__ import annotations

import numpy as np

from separatrix.can.flag_units import Units
from separatrix.can.witness import require, witness
from separatrix.can.witnesses.index_lookup_quadratic import slope
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.clauses import Clauses

MOST = 2**10


def _literals(task: Clauses) -> int:
    """k, the most literals of a clause."""
    return max(map(len, task.clauses()))


def size(task: Clauses, n: int) -> Size:
    """k heads in layer 1; width 5k + 5, 4k and then 2 hidden units."""
    task.domain(n)
    require(n <= MOST, f"clauses-two-layer: N = {n}; take N up to {MOST}")
    k = _literals(task)
    width, hidden = 5 * k + 5, 4 * k
    parameters = (2 + n) * width + k * (2 * width * 2 + 2 * width) + 2 * width * hidden + hidden + width
    parameters += 2 * width * 2 + 2 + width + 4 * width + 2 * width + 2
    return Size(2, k, width, 2, 1, n, None, parameters, Precision(64, "stored"))


@witness(
    "clauses-two-layer",
    task="clauses",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 13 (THRES_{k,N}), with quadratic keys",
    formula="2 layers of k heads and 1 head, key width 2, width 5k + 5, 4k and 2 hidden units, 64 stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to 6 N^2 and means are told apart by 1/N: O(log N) bits would do
)
def build(task: Clauses, n: int) -> Model:
    """Flags are exactly 0 or 1, so the mean is a multiple of 1/N."""
    size(task, n)
    clauses, k = task.clauses(), _literals(task)
    residual = Residual.of(bit=1, fetched=k, sign=k, literal=k, spare=1, flag=1, query=2 * k, position=2)
    d = residual.width
    bit, fetched, sign, literal, spare, flag, query, position = map(residual.slice, (p[0] for p in residual.parts))

    token = np.zeros((2, d))
    token[:, bit] = [[-1.0], [1.0]]
    t = np.arange(1, n + 1, dtype=np.float64)
    eta = slope()  # target weight >= 3/4, so a fetched bit is off by 1/2 at most
    target, place = np.tile(t[:, None], (1, k)), np.zeros((n, d))
    for i, clause in enumerate(clauses):
        target[i, : len(clause)] = np.abs(clause)
        place[i, sign.start : sign.start + len(clause)] = np.sign(clause)
    place[:, position] = np.stack([t, t * t], axis=1)
    place[:, query] = np.stack([2 * eta * target, np.full((n, k), -eta)], axis=2).reshape(n, 2 * k)
    # a clause holds iff literals + spare >= 1: `and` has spare 1 - (its literals), `or` 0, and no clause -k
    place[:, spare] = -k
    place[: len(clauses), spare] = 0.0
    if task.join == "and":
        place[: len(clauses), spare.start] = [1.0 - len(clause) for clause in clauses]

    compare, joined = Units(d), Units(d)
    for h in range(k):
        r, s, out = fetched.start + h, sign.start + h, {literal.start + h: 1.0}
        compare.clip({r: 1.0, s: 2.0}, 0.5 - 2.0, out)  # sign 1 and the bit 1; nothing for signs 0 and -1
        compare.clip({r: -1.0, s: -2.0}, 0.5 - 2.0, out)  # sign -1 and the bit 0
    joined.clip({spare.start: 1.0} | {literal.start + h: 1.0 for h in range(k)}, 0.0, {flag.start: 1.0})
    eye = np.eye(d)
    readout = np.zeros((d, 2))
    readout[flag, 1] = 1.0  # logit of 1 is the mean flag, logit of 0 half a clause below what is needed
    return Model(
        Arch(
            width=d,
            first=Table(vocabulary=2, positions=n),
            layers=(
                Attention(heads=k, key_width=2, value_width=1, residual=True),
                FeedForward(hidden=len(compare), residual=True),
                FeedForward(hidden=len(joined), residual=True),
                Attention(heads=1, key_width=1, value_width=1),
            ),
            readout=Readout(2),
            residual=residual.parts,
        ),
        {
            "embed.token": token,
            "embed.position": place,
            "layers.0.query": np.stack([eye[:, query.start + 2 * h : query.start + 2 * h + 2] for h in range(k)]),
            "layers.0.key": np.stack([eye[:, position]] * k),
            "layers.0.value": np.stack([eye[:, bit]] * k),
            "layers.0.output": np.stack([eye[[fetched.start + h]] for h in range(k)]),
            **compare.tensors(1),
            **joined.tensors(2),
            "layers.3.query": np.zeros((1, d, 1)),
            "layers.3.key": np.zeros((1, d, 1)),
            "layers.3.value": eye[None, :, flag],
            "layers.3.output": eye[None, flag, :],
            "readout.weight": readout,
            "readout.bias": np.array([(task.needed - 0.5) / n, 0.0]),
        },
    )
