"""Certificate kind `communication`: explicit pieces of the communication matrix at a contiguous cut.

Alice holds the positions before `cut`, Bob the rest; an entry is what the task answers at Bob's scored positions. A
recurrent model that is right there has different states after prefixes whose rows differ, so m pairwise different rows
need log2 m bits (Yao 1979). Three measures of the evidence, all explicit:

`rows`: m prefixes, k suffixes; every two rows differ at some suffix.
`fooling`: m pairs (prefix, suffix), one answer v for all of them; for i != j one of the two crossings is not v.
`shattered`: d suffixes, two answers at each, and 2^d prefixes that show every pattern.

Real answers: a model within eps of both a and a' in one state has |a - a'| <= 2 eps. At each suffix and coordinate the
answers are split where neighbours lie more than 2 eps apart; answers from different parts differ by more than 2 eps,
hence in the norm, and the number of the part serves as a label.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.core.domain import Labels, PointerSets, Reals, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import (
    SLACK,
    claimed,
    cut_of,
    integers,
    log2_low,
    named_arrays,
    numbered,
    open_domain,
    require,
    require_legal,
    shown,
)

MOST_CELLS = 2**26  # entries of the matrix
MOST_WORK = 2**31  # symbols that are given to the task
BLOCK = 2**22  # of them at a time


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    claim = claimed(case, "rnn", "state")
    domain = open_domain(case)
    cut, measure = case.fields(cut=int, measure=str)
    cut_of(cut, domain)
    if measure == "fooling" and not isinstance(case.task.outputs(), Labels):
        raise UnknownError("fooling sets are checked for labels; use rows for real answers")
    labels = _labels(case, domain, cut)
    match measure:
        case "rows":
            count, what = _rows(labels), "prefixes with different rows"
        case "fooling":
            count, what = _fooling(labels), "fooling pairs"
        case "shattered":
            count, what = _shattered(labels), "patterns on shattered suffixes"
        case _:
            raise InputError(f"measure {measure!r} of the evidence is none of rows, fooling, shattered")
    require(claim, log2_low(count), "bits")
    return (
        f"every recurrent model (any transition, one pass) that answers {case.where} right at the positions from {cut} "
        f"on carries at least {shown(claim)} bits across that cut ({count} {what})"
    )


def _rows(labels: np.ndarray) -> int:
    flat = labels.reshape(len(labels), -1)
    if len(np.unique(flat, axis=0)) != len(flat):
        raise RejectedError("two of the rows are not shown to be different")
    return len(flat)


def _fooling(labels: np.ndarray) -> int:
    m = len(labels)
    if labels.shape[1] != m:
        raise InputError("a fooling set has as many prefixes as suffixes")
    value = labels[0, 0]
    hit = (labels == value).all(axis=2)
    if not hit.diagonal().all():
        raise RejectedError("the pairs of the fooling set do not share one answer")
    if np.count_nonzero(hit & hit.T) != m:
        raise RejectedError("two pairs of the fooling set do not fool: both crossings give the common answer")
    return m


def _shattered(labels: np.ndarray) -> int:
    m, d = labels.shape[:2]
    if d > 26 or m != 2**d:
        raise InputError(f"{d} shattered suffixes need 2^{d} prefixes, {m} are given")
    if any(len(np.unique(labels[:, j], axis=0)) != 2 for j in range(d)):
        raise RejectedError("a shattered suffix must get exactly two answers")
    return _rows(labels)


def _labels(case: Case, domain: Sequence, cut: int) -> np.ndarray:
    """(m, k, scored) integers: different integers at one (suffix, place) mean different answers."""
    (prefixes, suffixes), reals = _tokens(case, domain, cut), domain.reals
    m, k = len(prefixes), len(suffixes)
    scored = [i for i, query in enumerate(case.task.queries(case.n)) if query >= cut]
    if not scored:
        raise RejectedError("no scored position lies on Bob's side")
    outputs = case.task.outputs()
    depth = len(scored) * (1 if isinstance(outputs, Labels) else outputs.dim)
    symbols = domain.positions * (1 if prefixes.ndim == 2 else prefixes.shape[2]) + domain.vocabulary
    symbols += domain.positions * (0 if reals is None else reals.dim)
    if m * k * depth > MOST_CELLS // (1 if isinstance(outputs, Labels) else 4) or m * k * symbols > MOST_WORK:
        raise InputError(f"{m} prefixes and {k} suffixes are too many to evaluate")
    table = np.empty((m, k, depth), dtype=np.int32 if isinstance(outputs, Labels) else np.float64)
    z = None
    if reals is not None:
        z = (
            _reals(case, reals, "prefix_reals", m, cut),
            _reals(case, reals, "suffix_reals", k, domain.positions - cut),
        )
    step = max(1, BLOCK // symbols)
    for start in range(0, m * k, step):
        i, j = np.divmod(np.arange(start, min(start + step, m * k)), k)
        tokens = np.concatenate([prefixes[i], suffixes[j]], axis=1)
        real = None if z is None else np.concatenate([z[0][i], z[1][j]], axis=1)
        table.reshape(m * k, depth)[i * k + j] = case.task.answer(tokens, real)[:, scored].reshape(len(i), depth)
    if isinstance(outputs, Labels):
        return table
    gap = float(2 * Fraction(outputs.eps) + 4 * SLACK)
    return np.stack([_parts(table[:, j], gap) for j in range(k)], axis=1)


def _parts(values: np.ndarray, gap: float) -> np.ndarray:
    """(m, depth) numbers of the parts of each column, split where sorted neighbours lie more than `gap` apart."""
    order = np.argsort(values, axis=0, kind="stable")
    steps = np.diff(np.take_along_axis(values, order, axis=0), axis=0) > gap
    ranks = np.concatenate([np.zeros((1, values.shape[1]), dtype=np.int64), np.cumsum(steps, axis=0)])
    parts = np.empty_like(ranks)
    np.put_along_axis(parts, order, ranks, axis=0)
    return parts


def _tokens(case: Case, domain: Sequence, cut: int) -> tuple[np.ndarray, np.ndarray]:
    """Legal prefixes (m, cut[, q]) and suffixes (k, rest[, q])."""
    named_arrays(case, "prefixes", "suffixes", *(() if domain.reals is None else ("prefix_reals", "suffix_reals")))
    sets = [a.size for a in numbered(domain.alphabets)[1] if isinstance(a, PointerSets)]
    q = (sets[0],) if sets else ()
    prefixes = integers(case, "prefixes", None, cut, *q)
    suffixes = integers(case, "suffixes", None, domain.positions - cut, *q)
    if not len(prefixes) or not len(suffixes):
        raise InputError("a prefix and a suffix are needed")
    require_legal(domain, 0, prefixes, "prefixes")
    require_legal(domain, cut, suffixes, "suffixes")
    return prefixes, suffixes


def _reals(case: Case, reals: Reals, name: str, rows: int, columns: int) -> np.ndarray:
    """(rows, columns, dim) real parts of a side, proved to lie in the task's ball or box."""
    array = case.arrays[name]
    if array.dtype != np.float64 or array.shape != (rows, columns, reals.dim) or not np.isfinite(array).all():
        raise InputError(f"array {name} must hold finite float64 numbers, {rows} x {columns} x {reals.dim}")
    size = np.abs(array)
    if reals.kind == "box":
        if max(abs(reals.low), abs(reals.high)) > 1.0:  # answers are taken to be accurate for numbers up to 1
            raise UnknownError("real parts beyond [-1, 1] are not evaluated")
        fine = (reals.low <= array) & (array <= reals.high)
    else:  # one nonzero entry is exact; a sum of squares has relative error below (dim + 2) 2^-52
        alone = (np.count_nonzero(array, axis=2) <= 1) & (size.max(axis=2) <= 1.0)
        square = (size * size).sum(axis=2) * (1.0 + (reals.dim + 8) * 2.0**-52) + 2.0**-900
        fine = alone | ((size.max(axis=2) <= 1.0) & (square <= 1.0))
    if not fine.all():
        raise RejectedError(f"a vector of {name} is not proved to lie where real parts may")
    return array
