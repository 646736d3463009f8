"""Certificate kind `birthday` (statistical): random prefixes whose rows all differ, so there must be many rows.

The kernel draws m prefixes, every symbol uniformly from its position's alphabet, after everything else is fixed. If
the R rows of the matrix had any probabilities, m independent draws would all differ with probability at most
exp(-m (m - 1) / (2 R)) (largest when rows are equally likely). So but for probability delta

    R  >=  m (m - 1) / (2 ln (1 / delta)),

about 2 log2 m bits: twice what m explicit rows show. Which suffixes part the rows does not matter for this; the
evidence says how to make them: suffix k copies prefix k where `copy` names one of its positions, through `letters`,
and holds the base word elsewhere. All m prefixes are evaluated on the first `suffixes` of these.

Claim: `state` of `rnn` (field `cut`).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from separatrix.core.domain import Labels, PointerSets
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.kernel.decoding import delta_of
from separatrix.kernel.needs import (
    claimed,
    cut_of,
    inside,
    integers,
    log2_low,
    named_arrays,
    numbered,
    open_domain,
    require,
    shown,
)

MOST_PREFIXES = 2**16
MOST_WORK = 2**33  # symbols that are given to the task
BLOCK = 2**22


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    amount = claimed(case, "rnn", "state")
    domain = open_domain(case)
    cut, m, count, text = case.fields(cut=int, prefixes=int, suffixes=int, delta=str)
    delta, cut = delta_of(text), cut_of(cut, domain)
    if domain.reals is not None or any(isinstance(a, PointerSets) for a in numbered(domain.alphabets)[1]):
        raise UnknownError("prefixes are drawn for one symbol a token")
    if not isinstance(case.task.outputs(), Labels):
        raise UnknownError("rows are compared for labels")
    scored = [i for i, query in enumerate(case.task.queries(case.n)) if query >= cut]
    if not scored:
        raise RejectedError("no scored position lies after the cut")
    n = domain.positions
    if not 2 <= m <= MOST_PREFIXES or not 1 <= count <= m or m * count * (n + domain.vocabulary) > MOST_WORK:
        raise InputError(f"{m} prefixes and {count} suffixes are too few, or too many to evaluate")
    require(amount, log2_low(_rows(m, delta)), "bits")
    named_arrays(case, "copy", "letters", "base")
    copy, base = integers(case, "copy", n - cut), integers(case, "base", n - cut)
    letters = integers(case, "letters", domain.vocabulary)
    if copy.min() < -1 or copy.max() >= cut:
        raise InputError("copy must name positions before the cut, or -1")
    rng = np.random.default_rng()
    alphabets = [np.asarray(a) for a in domain.alphabets]
    prefixes = np.stack([a[rng.integers(0, len(a), m)] for a in alphabets[:cut]], axis=1)
    suffixes = np.where(copy >= 0, letters[prefixes[:count, copy]], base)
    places = np.tile(np.arange(cut, n), count)
    if not inside(domain.alphabets, places, suffixes.reshape(-1)).all():
        raise RejectedError("a suffix holds a symbol that is not legal at its position")
    differ = _different(case, prefixes, suffixes, scored)
    if differ < m:
        raise RejectedError(f"of {m} random prefixes only {differ} are shown to have different rows")
    return (
        f"every recurrent model (any transition, one pass) that answers {case.where} right after cut {cut} carries at "
        f"least {shown(amount)} bits ({m} random prefixes have different rows)"
    )


def _rows(m: int, delta: float) -> int:
    """A whole number below m (m - 1) / (2 ln(1 / delta))."""
    most = Fraction(-math.log(delta)) * (1 + Fraction(1, 2**40))
    return max(1, int(Fraction(m * (m - 1), 2) / most))


def _different(case: Case, prefixes: np.ndarray, suffixes: np.ndarray, scored: list[int]) -> int:
    """How many prefixes have different answers on these suffixes."""
    m, count = len(prefixes), len(suffixes)
    n = prefixes.shape[1] + suffixes.shape[1]
    kind = np.zeros(m, dtype=np.int64)
    step = max(1, BLOCK // (n * m))
    for start in range(0, count, step):
        some = suffixes[start : start + step]
        tokens = np.concatenate([np.repeat(prefixes, len(some), axis=0), np.tile(some, (m, 1))], axis=1)
        answers = case.task.answer(tokens)[:, scored].reshape(m, -1)
        table = np.concatenate([kind[:, None], answers], axis=1)
        kind = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
        case.progress(f"{start + len(some)} of {count} suffixes")
    return int(kind.max()) + 1
