"""Certificate kind `first-layer-rank`: a feed-forward net for averages needs a first layer of full rank.

The first layer is linear in the real parts: z enters through W z with W (width x N d'). If width < N d', some v != 0
has W v = 0; scale it to max |v_j| = 1. Inputs z = v and z = -v with equal pointers get one output, so every answer
a(v) must satisfy |a(v)| <= eps. The swap identity (see `swap`; N >= q + 1) writes v_j with |v_j| = 1 as a signed sum of
2q - 1 answers, so some answer is at least q c / (2q - 1), c = 1/q the weight of a pointer. Hence width >= N d' for
eps < 1 / (2q - 1) (Sanford, Hsu, Telgarsky 2023, Theorem 10, with the constant sharpened from N d' / 2).
"""

from __future__ import annotations

from fractions import Fraction

from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import averages, claimed, named_arrays, open_domain, require, shown
from separatrix.kernel.swap import pointer_weight


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    claim = claimed(case, "mlp", "width")
    case.fields()
    named_arrays(case)
    domain, n = open_domain(case), case.n
    sets, outputs = averages(case, domain)
    q, reals = sets.size, domain.reals
    if domain.positions != n or n - 1 not in case.task.queries(n) or reals is None or reals.kind != "ball":
        raise UnknownError("the last token must be scored, and real parts fill the unit ball")
    if n <= q:
        raise RejectedError(f"the swap needs N >= q + 1; N = {n}, q = {q}")
    if not Fraction(outputs.eps) * (2 * q - 1) < 1:
        raise RejectedError(f"eps = {outputs.eps} is not below 1 / (2q - 1) = 1 / {2 * q - 1}")
    require(claim, Fraction(n * reals.dim), "units")
    if not pointer_weight(case.task, n, q) * q > Fraction(outputs.eps) * (2 * q - 1):
        raise RejectedError(f"no answer is proved to exceed eps = {outputs.eps}")
    return (
        f"every feed-forward net, linear in the real parts in its first layer, that answers {case.where} right has at "
        f"least {shown(claim)} units there (exact arithmetic)"
    )
