"""Certificate kind `swap-rows`: averages of q numbers determine every number, so a state keeps all but Bob's own.

Alice holds z_p = (-1 + 2 i / (K - 1)) e_1, i in 0 .. K-1, at every position but the last; Bob's real part is 0 and his
last token asks for one q-set. Two different choices differ by d != 0 with entries in (2 / (K - 1)) Z. By the swap
identity (see `swap`; N >= q + 1) d would vanish if all its q-sums did, so some q-sum of d is at least 2 / (K - 1), and
the two answers differ by 2 c / (K - 1) where every pointer weighs c: more than 2 eps iff c > eps (K - 1). Hence
K^(N - 1) rows. (K = 2, sharpened from N - q + 1: Sanford, Hsu, Telgarsky 2023, Theorem 11.)
"""

from __future__ import annotations

from fractions import Fraction

from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import averages, claimed, log2_low, named_arrays, open_domain, require, shown
from separatrix.kernel.swap import pointer_weight


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    claim = claimed(case, "rnn", "state")
    (levels,) = case.fields(levels=int)
    named_arrays(case)
    domain, n = open_domain(case), case.n
    sets, outputs = averages(case, domain)
    q = sets.size
    if domain.positions != n or n - 1 not in case.task.queries(n):
        raise UnknownError("the last token must be scored")
    if not 2 <= levels <= 2**53:
        raise InputError(f"levels = {levels}; take 2 or more")
    if n <= q:
        raise RejectedError(f"the swap needs N >= q + 1; N = {n}, q = {q}")
    least = Fraction(outputs.eps) * (levels - 1)
    if not pointer_weight(case.task, n, q) > least:
        raise RejectedError(f"{levels} levels are not told apart within eps = {outputs.eps}")
    require(claim, (n - 1) * log2_low(levels), "bits")
    return (
        f"every recurrent model (any transition, one pass) that answers {case.where} right at the last position "
        f"carries at least {shown(claim)} bits to it"
    )
