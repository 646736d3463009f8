"""Certificate kind `pointer-rows`: one attention layer must tell pointer sets apart by what the query token sends.

Alice holds the pointer set y of the query token (its real part is 0), Bob everything else. With z_j = +-e_1 at every
other position, y and y' are told apart when sum_j |t_j - t'_j| > 2 eps over those positions (choose the signs), t the
task's coefficients. The evidence lists pointer sets that avoid the query token. The kernel evaluates t on each: all
weights 0 or one c > 0, equally many nonzero, rows pairwise different; then two sets differ in at least two weights, by
2c in all, so c > eps suffices (all sets: eps < 1 / q, C(N - 1, q) rows; the pairs {2i, 2i + 1}, one of each:
set disjointness of q bits, Sanford, Hsu, Telgarsky 2023, Theorem 4). The rows are counted one by one, so this reaches
14 bits; larger families would need the task's structure, not its values.

What Alice sends in a layer without a residual path: per head the query (m numbers), its self-score (1) and self-value
(d_v), p bits each; all other scores and values are Bob's. Where a residual path shows y to what follows the layer, let
b be these bits: some message is shared by M / 2^b of the M sets. Their 0/1 rows have rank r >= log2(M / 2^b), since a
subspace of dimension r holds at most 2^r 0/1 vectors, and r independent rows take 2^r values on the corners z = +-e_1,
which the heads' outputs (H d_v numbers) must keep apart. Hence H (m + 2 d_v + 1) p >= log2 M with a residual path.

Depth does not help (measure `embedding`): where the model sees the query's token only through a vector of w numbers of
p bits, a function of the token, Alice sends that vector and Bob runs every layer: w p >= log2 M at any depth.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.core.errors import InputError, RejectedError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import (
    SLACK,
    averages,
    claimed,
    integers,
    log2_low,
    named_arrays,
    open_domain,
    require,
    require_legal,
    shown,
)
from separatrix.kernel.swap import coefficients

MOST_SETS = 2**14
MOST_WEIGHTS = 2**26


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    deep = case.claim.measure == "embedding"
    claim = claimed(case, "transformer", "embedding" if deep else "message")
    (query,) = case.fields(query=int)
    named_arrays(case, "pointers")
    domain = open_domain(case)
    sets, outputs = averages(case, domain)
    if query not in case.task.queries(case.n):
        raise RejectedError(f"position {query} is not scored by the task")
    pointers = integers(case, "pointers", None, sets.size)
    if not 1 <= len(pointers) <= MOST_SETS or len(pointers) * domain.positions > MOST_WEIGHTS:
        raise InputError(f"{len(pointers)} pointer sets (of at most {MOST_SETS}) with {domain.positions} weights each")
    require_legal(domain, query, pointers[:, None], "pointers")
    weights = np.stack([coefficients(case.task, case.n, domain.positions, tuple(y)) for y in pointers.tolist()])
    if weights[:, query].any():
        raise RejectedError("a pointer set reads the query token itself")
    c = float(weights.max())
    if not np.isin(weights, (0.0, c)).all() or len(set(np.count_nonzero(weights, axis=1).tolist())) != 1:
        raise RejectedError("the answers are not averages of equally many numbers")
    if len(np.unique(weights != 0, axis=0)) != len(pointers):
        raise RejectedError("two pointer sets give one row")
    if not Fraction(c) - SLACK > Fraction(outputs.eps):
        raise RejectedError(f"the rows are not told apart within eps = {outputs.eps}")
    require(claim, log2_low(len(pointers)), "bits")
    bits = shown(claim)
    if deep:
        return (
            f"every model of any depth that answers {case.where} right at position {query}, and sees the token there "
            f"only through a vector of w numbers of p bits that is a function of it, has w p >= {bits}"
        )
    return (
        f"every single attention layer that answers {case.where} right at position {query} has H (m + d_v + 1) p >= "
        f"{bits}, and H (m + 2 d_v + 1) p >= {bits} where a residual path leads around it; p the bits of one number "
        f"computed there (an entry of the query, self-score, self-value or output of a head)"
    )
