"""Certificate kind `swap-rows`: averages of q numbers determine every number, so a state keeps all but Bob's own.

Alice holds z_p = (-1 + 2 i / (K - 1)) e_1, i in 0 .. K-1, at every position but the last; Bob's real part is 0 and his
last token asks for one q-set. Two different choices differ by d != 0 with entries in (2 / (K - 1)) Z. By the swap
identity (see `swap`; N >= q + 1) d would vanish if all its q-sums did, so some q-sum of d is at least 2 / (K - 1), and
the two answers differ by 2 c / (K - 1) where every pointer weighs c: more than 2 eps iff c > eps (K - 1). Hence
K^(N - 1) rows. (K = 2, sharpened from N - q + 1: Sanford, Hsu, Telgarsky 2023, Theorem 11.)
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.core.domain import PointerSets, RealAnswer
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import SLACK, claimed, log2_low, named_arrays, open_domain, require, shown
from separatrix.kernel.swap import all_combinations, coefficients


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    claim = claimed(case, "rnn", "state")
    (levels,) = case.fields(levels=int)
    named_arrays(case)
    domain, outputs, n = open_domain(case), case.task.outputs(), case.n
    alphabet = domain.alphabets[-1]
    if not isinstance(outputs, RealAnswer) or not isinstance(alphabet, PointerSets) or domain.positions != n:
        raise UnknownError("this argument is about averages of real parts by pointer sets")
    if any(a != alphabet for a in domain.alphabets) or alphabet.n != n or n - 1 not in case.task.queries(n):
        raise UnknownError("every token must point anywhere, and the last one must be scored")
    if domain.reals is None or not (domain.reals.kind == "ball" or domain.reals.low <= -1.0 <= 1.0 <= domain.reals.high):
        raise UnknownError("the real parts of this task do not hold [-1, 1]")
    if not 2 <= levels <= 2**53:
        raise InputError(f"levels = {levels}; take 2 or more")
    q = alphabet.size
    if n <= q:
        raise RejectedError(f"the swap needs N >= q + 1; N = {n}, q = {q}")
    least = Fraction(outputs.eps) * (levels - 1)
    for _, terms in all_combinations(n, q):
        for _, chosen in terms:
            weights = coefficients(case.task, n, n, chosen)
            # equal weights on the set and exact zeros elsewhere: then q-sums of integers decide, and the identity holds
            if np.flatnonzero(weights).tolist() != list(chosen) or np.ptp(weights[list(chosen)]) != 0:
                raise RejectedError("an answer is not a plain average over its pointers")
            if not abs(Fraction(float(weights[chosen[0]]))) - SLACK > least:
                raise RejectedError(f"{levels} levels are not told apart within eps = {outputs.eps}")
    require(claim, (n - 1) * log2_low(levels), "bits")
    return (
        f"every recurrent model (any transition, one pass) that answers {case.where} right at the last position carries "
        f"at least {shown(claim)} bits to it"
    )
