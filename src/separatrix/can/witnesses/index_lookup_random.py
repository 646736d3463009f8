"""Index lookup by random sign codes: position j carries key T(j), the index token t the query eta T(t).

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 1: k = O(log N) random signs have small inner products, so the target
position wins by almost eta whatever the symbols are, and O(log N) width suffices for N positions.
"""

from __future__ import annotations

import math

from separatrix.can.code_lookup import code_lookup, code_lookup_size
from separatrix.can.codes import random_signs
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

COHERENCE = 0.25  # gamma, as in the paper
FAILURE = 0.5  # probability that one draw exceeds it; then the temperature pays for the excess
MOST = 2**15  # beyond it, measuring N^2 inner products takes minutes: chirps are better there anyway


def code_width(n: int) -> int:
    """k at which all inner products of N codes are below gamma with probability 1/2.

    An inner product is a mean of k signs: Hoeffding's one-sided tail is exp(-k gamma^2 / 2), N(N-1)/2 pairs give
    k = (2 / gamma^2) ln(N(N-1) / (2 delta)). (The paper's two-sided count over N^2 pairs is (8 / gamma^2) ln 2N.)
    """
    pairs = max(n * (n - 1) / 2, 1)
    return max(1, math.ceil(2 / COHERENCE**2 * math.log(pairs / FAILURE)))


def size(task: IndexLookup, n: int) -> Size:
    """One head; width = bits of a symbol + 2 k."""
    return code_lookup_size(task, n, code_width(n))


@witness(
    "index-lookup-random",
    task="index-lookup",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 1",
    formula="1 head, key width k = ⌈32 ln(N(N−1))⌉, value width b = ⌈log₂|Σ|⌉, width b + 2k, p = 24 bits",
    size=size,
)
def build(task: IndexLookup, n: int) -> Model:
    """The seed is fixed; the temperature comes from the measured inner products."""
    require(n <= MOST, f"index-lookup-random: N = {n}; codes are measured up to N = {MOST}: take index-lookup-chirp")
    return code_lookup(task, random_signs(n, code_width(n)))
