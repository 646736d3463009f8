"""Index lookup by chirp codes: position j carries chirp j, the index token t the query eta times chirp t.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 1, with an explicit code in place of random signs: for an odd prime P
there are P^2 unit vectors in 2P real dimensions with inner products at most 1/sqrt(P). Width O(sqrt N), no luck needed.
"""

from __future__ import annotations

import math

from separatrix.can.code_lookup import code_lookup, code_lookup_size
from separatrix.can.codes import chirp_coherence, chirps, odd_primes
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

MOST = 2**20


def prime(n: int) -> int:
    """The least odd prime P with P^2 >= N."""
    return next(odd_primes(math.isqrt(n - 1) + 1))


def size(task: IndexLookup, n: int) -> Size:
    """One head; width = bits of a symbol + 4 P."""
    return code_lookup_size(task, n, 2 * prime(n))


@witness(
    "index-lookup-chirp",
    task="index-lookup",
    source="Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorem 1, with chirp codes",
    formula="1 head, key width 2P, P ≥ √N an odd prime, value width b = ⌈log₂|Σ|⌉, width b + 4P, p = 24 bits",
    size=size,
)
def build(task: IndexLookup, n: int) -> Model:
    """Inner products are bounded by the Gauss sum and what the grid adds; nothing is measured."""
    require(n <= MOST, f"index-lookup-chirp: N = {n}; tables of this width fit a computer up to N = {MOST}")
    p = prime(n)
    return code_lookup(task, chirps(n, p), coherence=chirp_coherence(p))
