"""Certificate kind `communication`: explicit pieces of the communication matrix at a partition of the positions.

Alice holds some positions, Bob the rest; an entry is what the task answers at Bob's scored positions. Her words are
called prefixes and his suffixes; with the field `cut` hers are the positions before it, otherwise the array `alice`
marks them. Four measures of the evidence, all explicit (Yao 1979; Mehlhorn and Schmidt 1982):

`rows`: m prefixes, k suffixes; every two rows differ at some suffix.
`fooling`: m pairs (prefix, suffix), one answer v for all of them; for i != j one of the two crossings is not v.
`shattered`: d suffixes, two answers at each, and 2^d prefixes that show every pattern.
`rank`: m prefixes and m suffixes whose 0/1 matrix [answer = value] is lower x upper modulo a number (up to 2^20), with
    ones and with units on their diagonals: its determinant is not 0, so its rank over the rationals is m.

Claims: `state` of `rnn` (a `cut`; any measure: a recurrent model has different states after prefixes whose rows
differ); `one-way` of `transformer` (the token at the one query is Bob's and known; any measure): bits of a message from
Alice after which Bob answers; `exchange` of `transformer` (`fooling`, `rank`): bits until both know the answer.

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
    inside,
    integers,
    log2_low,
    named_arrays,
    numbered,
    open_domain,
    require,
    shown,
)

MOST_CELLS = 2**26  # entries of the matrix
MOST_WORK = 2**31  # symbols that are given to the task
BLOCK = 2**22  # of them at a time
MOST_RANK = 2**12
MOST_REALS = 2**10  # a task that adds so many in float64 is off by less than n^2 2^-53, which SLACK covers


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    target = (case.claim.arch, case.claim.measure)
    if target not in (("rnn", "state"), ("transformer", "one-way"), ("transformer", "exchange")):
        raise RejectedError(f"this certificate is about state of rnn, not {target[1]} of {target[0]}")
    claim, state = claimed(case, *target), target[1] == "state"
    domain = open_domain(case)
    more = {"value": int, "modulus": int} if case.evidence.get("measure") == "rank" else {}
    measure, *rest = case.fields(measure=str, **({"cut": int} if state else {}), **more)
    cut = cut_of(rest.pop(0), domain) if state else -1
    if measure in ("fooling", "rank") and not isinstance(case.task.outputs(), Labels):
        raise UnknownError(f"{measure} is checked for labels; use rows for real answers")
    if target[1] == "exchange" and measure not in ("fooling", "rank"):
        raise RejectedError(f"{measure} say nothing about a conversation in both directions")
    alice = np.arange(domain.positions) < cut if state else _parties(case, domain)
    labels = _labels(case, domain, alice, ("lower", "upper") if more else (), target[1] == "one-way")
    match measure:
        case "rank":
            count, what = _rank(case, labels, *rest), "rank of the matrix"
        case "rows":
            count, what = _rows(labels), "prefixes with different rows"
        case "fooling":
            count, what = _fooling(labels), "fooling pairs"
        case "shattered":
            count, what = _shattered(labels), "patterns on shattered suffixes"
        case _:
            raise InputError(f"measure {measure!r} of the evidence is none of rows, fooling, shattered, rank")
    require(claim, log2_low(count), "bits")
    if target[1] == "one-way":
        return (
            f"whoever holds these {int(alice.sum())} positions of {case.where} sends at least {shown(claim)} bits to a "
            f"party that holds the others and then answers right, the query's token being known ({count} {what})"
        )
    if target[1] == "exchange":
        return (
            f"two parties, one holding these {int(alice.sum())} positions of {case.where} and one the others, exchange "
            f"at least {shown(claim)} bits until both know the answer ({count} {what})"
        )
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


def _rank(case: Case, labels: np.ndarray, value: int, modulus: int) -> int:
    """The size of the matrix [answer = value], if the two triangular factors of the evidence show that it is regular.

    Entries of the factors are below the modulus, so the float64 products are sums of m terms below 2^40: exact.
    """
    m = len(labels)
    if labels.shape[1:] != (m, 1) or not 1 < modulus <= 2**20 or m > MOST_RANK:
        raise InputError(f"a rank is shown by a square matrix of at most {MOST_RANK} rows, modulo 2 .. 2^20")
    lower, upper = (integers(case, name, m, m) for name in ("lower", "upper"))
    if min(lower.min(), upper.min()) < 0 or max(lower.max(), upper.max()) >= modulus:
        raise InputError("the factors must hold numbers below the modulus")
    if np.triu(lower, 1).any() or np.tril(upper, -1).any() or (lower.diagonal() != 1).any():
        raise RejectedError("the factors are not triangular, with ones on the lower diagonal")
    if (np.gcd(upper.diagonal(), modulus) != 1).any():
        raise RejectedError("the upper factor has no inverse")
    found = np.mod(lower.astype(np.float64) @ upper.astype(np.float64), modulus)
    if not np.array_equal(found, (labels[:, :, 0] == value).astype(np.float64)):
        raise RejectedError("the matrix is not the product of its factors")
    return m


def _parties(case: Case, domain: Sequence) -> np.ndarray:
    """(positions,) which positions are Alice's."""
    if domain.reals is not None or any(isinstance(a, PointerSets) for a in numbered(domain.alphabets)[1]):
        raise UnknownError("partitions that are no cut are checked for one symbol a token")
    alice = integers(case, "alice", domain.positions)
    if not np.isin(alice, (0, 1)).all() or alice.all() or not alice.any():
        raise InputError("alice must hold 1 at her positions and 0 at Bob's, and neither side be empty")
    return alice == 1


def _labels(case: Case, domain: Sequence, alice: np.ndarray, extra: tuple[str, ...], known: bool) -> np.ndarray:
    """(m, k, scored) integers: different integers at one (suffix, place) mean different answers.

    extra: names of further arrays. known: Bob has one scored position, whose token is the same in all suffixes.
    """
    extra = extra if case.claim.measure == "state" else (*extra, "alice")
    (prefixes, suffixes), reals = _tokens(case, domain, alice, extra), domain.reals
    m, k, cut = len(prefixes), len(suffixes), int(alice.sum())
    scored = [i for i, query in enumerate(case.task.queries(case.n)) if not alice[query]]
    if not scored:
        raise RejectedError("no scored position lies on Bob's side")
    if known:
        column = np.flatnonzero(np.flatnonzero(~alice) == case.task.queries(case.n)[scored[0]])
        if len(scored) != 1 or (suffixes[:, column] != suffixes[:1, column]).any():
            raise RejectedError("the token at the query must be known to both")
    place = np.concatenate([np.flatnonzero(alice), np.flatnonzero(~alice)])
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
        tokens = np.concatenate([prefixes[i], suffixes[j]], axis=1)[:, np.argsort(place)]
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


def _tokens(case: Case, domain: Sequence, alice: np.ndarray, extra: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Legal prefixes (m, hers[, q]) and suffixes (k, his[, q])."""
    reals = () if domain.reals is None else ("prefix_reals", "suffix_reals")
    named_arrays(case, "prefixes", "suffixes", *reals, *extra)
    cut = int(alice.sum())
    sets = [a.size for a in numbered(domain.alphabets)[1] if isinstance(a, PointerSets)]
    q = (sets[0],) if sets else ()
    prefixes = integers(case, "prefixes", None, cut, *q)
    suffixes = integers(case, "suffixes", None, domain.positions - cut, *q)
    if not len(prefixes) or not len(suffixes):
        raise InputError("a prefix and a suffix are needed")
    for held, words, what in ((alice, prefixes, "prefixes"), (~alice, suffixes, "suffixes")):
        places = np.tile(np.flatnonzero(held), len(words))
        if not inside(domain.alphabets, places, words.reshape(len(places), *words.shape[2:])).all():
            raise RejectedError(f"a symbol of {what} is not legal at its position")
    return prefixes, suffixes


def _reals(case: Case, reals: Reals, name: str, rows: int, columns: int) -> np.ndarray:
    """(rows, columns, dim) real parts of a side, proved to lie in the task's ball or box."""
    array = case.arrays[name]
    if array.dtype != np.float64 or array.shape != (rows, columns, reals.dim) or not np.isfinite(array).all():
        raise InputError(f"array {name} must hold finite float64 numbers, {rows} x {columns} x {reals.dim}")
    if reals.kind not in ("ball", "box"):
        raise UnknownError("real parts must lie in a ball or in a box")
    if case.n > MOST_REALS:
        raise UnknownError(f"real answers are taken to be accurate for up to {MOST_REALS} numbers, not {case.n}")
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
