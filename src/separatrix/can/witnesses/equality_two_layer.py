"""String equality in two layers: fetch the partner's symbol, compare, and take the mean of the differences.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 6, with quadratic keys in place of near-orthogonal codes. Layer 1:
position i of the second half attends to position i - N/2, the first half to itself. The feed-forward layer computes
the exclusive or of each bit with the fetched one. Layer 2: a zero query takes the mean of the flags; against 1/(2N).
"""

from __future__ import annotations

import numpy as np

from separatrix.can.flag_mean import flag_mean
from separatrix.can.parts import binary_codes, code_bits
from separatrix.can.witness import require, witness
from separatrix.can.witnesses.index_lookup_quadratic import slope
from separatrix.core.arch import Residual
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.equality import Equality

MOST = 2**12  # what the kernel checks: its table of attention weights is quadratic in N


def size(task: Equality, n: int) -> Size:
    """Two layers of one head; width = 2 bits of a symbol + 1 + 2 + 2."""
    task.domain(n)
    require(n <= MOST, f"equality-two-layer: N = {n}; take N up to {MOST}")
    bits = code_bits(task.symbols)
    width, hidden = 2 * bits + 5, 4 * bits
    parameters = (task.symbols + n) * width + 2 * width * 2 + 2 * width * bits
    parameters += 2 * width * hidden + hidden + width + 4 * width + 2 * width + 2
    return Size(2, 1, width, 2, max(bits, 1), n, None, parameters, Precision(64, "stored"))


@witness(
    "equality-two-layer",
    task="equality",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 6, with quadratic keys",
    formula="2 layers of 1 head, key widths 2 and 1, b = ⌈log₂|Σ|⌉, width 2b + 5, 4b hidden units, 64 stored bits",
    size=size,
    method="contract",
    growth="log",  # scores are integers up to 6 N^2 and the mean is compared with 1/(2N): O(log N) bits would do
)
def build(task: Equality, n: int) -> Model:
    """All flags are 0, or some flag is at least 1 and none is negative: the mean is 0, or at least 1/N."""
    size(task, n)
    bits, half = code_bits(task.symbols), n // 2
    residual = Residual.of(symbol=bits, fetched=bits, flag=1, query=2, position=2)
    d = residual.width
    symbol, fetched, flag, query, position = map(residual.slice, ("symbol", "fetched", "flag", "query", "position"))

    codes = binary_codes(task.symbols)
    token = np.zeros((task.symbols, d))
    token[:, symbol] = codes
    t = np.arange(1, n + 1, dtype=np.float64)
    target = np.where(np.arange(n) < half, t, t - half)
    eta = slope()  # target weight >= 3/4, so a fetched bit is off by 1/2 at most
    place = np.zeros((n, d))
    place[:, query] = np.stack([2 * eta * target, np.full(n, -eta)], axis=1)
    place[:, position] = np.stack([t, t * t], axis=1)

    # with b = +-1 and |r - r0| <= 1/2, exactly [b != r0] =
    #   R(1/2 - r - 2(1 - b)) - R(-1/2 - r - 2(1 - b)) + R(1/2 + r - 2(1 + b)) - R(-1/2 + r - 2(1 + b))
    inner, bias = np.zeros((d, 4 * bits)), np.zeros(4 * bits)
    out = np.zeros((4 * bits, d))
    for bit in range(bits):
        for u, (sign, shift, weight) in enumerate(((-1, 0.5, 1), (-1, -0.5, -1), (1, 0.5, 1), (1, -0.5, -1))):
            unit = 4 * bit + u
            inner[fetched.start + bit, unit] = sign
            inner[symbol.start + bit, unit] = -2.0 * sign
            bias[unit] = shift - 2.0
            out[unit, flag.start] = weight
    return flag_mean((token, place), residual, symbol, (inner, bias, out), flagged=0)
