"""Real answers for the kind `coordinates`: used positions carry one of K equally spaced real values.

Used position p carries z_p = (-1 + 2 i / (K - 1)) e_1 with i in 0 .. K-1, every other real part is 0. Bob's query token
points at p and at no other used position, so the answer is coef_p z_p, and two values of z_p are told apart within eps
when coef_p 2 / (K - 1) > 2 eps (K = 2: Sanford, Hsu, Telgarsky 2023, Theorem 11; more levels are a direct extension).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.core.domain import Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import SLACK, averages, cut_of, integers, log2_low, named_arrays, require_legal
from separatrix.kernel.swap import coefficients

MOST_WORK = 2**33  # coefficients that are evaluated


def amount(case: Case, domain: Sequence) -> tuple[int, int, Fraction]:
    """(cut, coordinates, bits) that the evidence shows."""
    sets, outputs = averages(case, domain)
    cut, levels = case.fields(cut=int, levels=int)
    cut_of(cut, domain)
    if not 2 <= levels <= 2**53:
        raise InputError(f"levels = {levels}; take 2 or more")
    named_arrays(case, "positions", "fillers", "suffix", "queries", "pointers")
    positions = integers(case, "positions", None)
    u, q, rest = len(positions), sets.size, domain.positions - cut
    fillers, suffix = integers(case, "fillers", cut, q), integers(case, "suffix", rest, q)
    queries, pointers = integers(case, "queries", u), integers(case, "pointers", u, q)
    if not u or positions[0] < 0 or positions[-1] >= cut or (np.diff(positions) <= 0).any():
        raise InputError("positions must increase and lie before the cut")
    if u * domain.positions > MOST_WORK:
        raise UnknownError(f"{u} coordinates of {domain.positions} positions are too many to read")
    if not set(queries.tolist()) <= {q for q in case.task.queries(case.n) if q >= cut}:
        raise RejectedError("a query is not a scored position on Bob's side")
    require_legal(domain, 0, fillers[None], "fillers")
    require_legal(domain, cut, suffix[None], "suffix")
    for query in np.unique(queries).tolist():
        require_legal(domain, query, pointers[queries == query][:, None], "pointers")
    least = Fraction(outputs.eps) * (levels - 1)
    for p, query, chosen in zip(positions.tolist(), queries.tolist(), pointers.tolist(), strict=True):
        weights = coefficients(case.task, case.n, domain.positions, tuple(chosen))
        reached = positions[weights[positions] != 0]
        if reached.tolist() != [p]:
            raise RejectedError(f"the query at {query} for position {p} does not read exactly that used position")
        if not abs(Fraction(float(weights[p]))) - SLACK > least:
            raise RejectedError(f"position {p}: {levels} levels are not told apart within eps = {outputs.eps}")
    return cut, u, u * log2_low(levels)
