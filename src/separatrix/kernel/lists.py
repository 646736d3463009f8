"""Certificate kind `lists`: what a state must keep of a list of real numbers, answers being formulae of the numbers.

Alice holds the numbers before a cut, Bob the rest. Two of her words whose answers at one of his positions differ by
more than 2 eps, for one word of his, need different states. Answers are the task's closed form, in rationals.

`order`: her numbers are any `cut` of K levels that lie more than 2 eps apart, and Bob's words are numbers below or
above all of them. An order statistic, or the median of a prefix of odd length, is then one of Alice's numbers, by rank.
If every rank is read, words with different numbers are told apart: C(K + cut - 1, cut) of them.

`directions`: her word is base + sum_k t_k d_k with t_k = 0 .. K_k - 1. For each k, and Bob's k-th word, the k-th winner
is one of the linear forms of the answer (an extreme of such forms), the extreme one on the whole box of t, and changes
by more than 2 eps with t_k and with nothing else: prod K_k words.

`payloads`: routed inputs, of which the destinations are given and Alice's payloads are any of K levels that lie more
than 2 eps apart. An answer behind the cut that is the payload of one of her positions reads it: K words for each.

Claim: `state` of `rnn`.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from separatrix.core.closed_form import Delivered, Extreme, OrderStatistic, PrefixMedian
from separatrix.core.domain import PointerSets, RealAnswer, Reals, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.kernel.needs import claimed, cut_of, integers, log2_low, named_arrays, open_domain, require, shown

MOST_LEVELS = 2**53
MOST_NUMBERS = 2**12  # of Alice's, by order
MOST_POSITIONS = 2**9  # by directions: a task may have a form for every run of them
MOST_WORK = 2**25  # numbers of words and forms that are read


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    claim, domain, outputs = claimed(case, "rnn", "state"), open_domain(case), case.task.outputs()
    box = domain.reals
    routed = case.evidence.get("by") == "payloads"
    if not isinstance(outputs, RealAnswer) or outputs.dim != 1:
        raise UnknownError("this argument is about one real number as an answer")
    if box is None or (box.dim, box.kind) != ((2, "routed") if routed else (1, "box")):
        raise UnknownError("this argument is about one real number a position, with a destination if by payloads")
    if domain.positions != case.n or any(isinstance(a, PointerSets) or len(a) != 1 for a in domain.alphabets):
        raise UnknownError("this argument is about tokens that are nothing but their number")
    gap = 2 * Fraction(outputs.eps)
    match case.evidence.get("by"):
        case "order":
            cut, amount = _order(case, domain, box, gap)
            what = f"numbers before it that Bob can read, by rank: {cut}"
        case "directions":
            cut, amount = _directions(case, domain, box, gap)
            what = f"numbers that Bob can read: {len(case.arrays['levels'])}"
        case "payloads":
            cut, count, amount = _payloads(case, domain, box, gap)
            what = f"payloads that positions behind it answer with: {count}"
        case by:
            raise InputError(f"by {by!r} is none of order, directions, payloads")
    require(claim, amount, "bits")
    return (
        f"every recurrent model (any transition, one pass) that answers {case.where} right at the positions from {cut} "
        f"on carries at least {shown(claim)} bits across that cut ({what})"
    )


def _order(case: Case, domain: Sequence, box: Reals, gap: Fraction) -> tuple[int, Fraction]:
    """(cut, bits) of words whose numbers are told apart by rank."""
    _, cut, levels = case.fields(by=str, cut=int, levels=int)
    cut_of(cut, domain)
    named_arrays(case, "grid", "words", "reads")
    words, reads = _words(case, box, cut), integers(case, "reads", None, 2)
    if cut > MOST_NUMBERS:
        raise InputError(f"cut = {cut}; take at most {MOST_NUMBERS} numbers")
    first, last = _levels(case, box, levels, gap)
    if reads.size > MOST_WORK or words.size > MOST_WORK:
        raise UnknownError("these are too many words to read")
    if not isinstance(case.task.closed_form(1, 0), OrderStatistic | PrefixMedian):  # other formulae can be very long
        raise UnknownError("the answers of this task are not known to be among the numbers, by their rank")
    scored, found = set(case.task.queries(case.n)), set[int]()
    below, above = words <= float(first), words >= _above(last)
    if not (below | above).all():
        raise RejectedError("a number of Bob's lies among the levels")
    lows = np.concatenate([np.zeros((len(words), 1), dtype=np.int64), np.cumsum(below, axis=1)], axis=1)
    for number, query in reads.tolist():
        if not 0 <= number < len(words) or not cut <= query < case.n or query not in scored:
            raise RejectedError("a word is not there, or a query is not a scored position on Bob's side")
        match case.task.closed_form(case.n, query):
            case OrderStatistic(rank):
                rank -= int(lows[number, -1])
            case PrefixMedian(length) if length % 2 and length > cut:
                rank = (length - 1) // 2 - int(lows[number, length - cut])
            case _:
                raise UnknownError(f"the answer at {query} is not known to be one of the numbers, by its rank")
        if 0 <= rank < cut:
            found.add(rank)
    if len(found) != cut:
        raise RejectedError(f"{cut - len(found)} ranks of Alice's numbers are not read")
    return cut, log2_low(math.comb(levels + cut - 1, cut))


def _levels(case: Case, box: Reals, levels: int, gap: Fraction) -> tuple[Fraction, Fraction]:
    """The first and the last of so many levels, from the array `grid`; proved to lie in the box, and far apart."""
    first, step = map(Fraction, _numbers(case, "grid", 2).tolist())
    last = first + (levels - 1) * step
    if not 2 <= levels <= MOST_LEVELS:
        raise InputError(f"levels = {levels}; take 2 to {MOST_LEVELS}")
    if not step > gap or not Fraction(box.low) <= first or not last <= Fraction(box.high):
        raise RejectedError("the levels are not told apart within eps, or leave the box")
    return first, last


def _payloads(case: Case, domain: Sequence, box: Reals, gap: Fraction) -> tuple[int, int, Fraction]:
    """(cut, how many payloads are read, bits) of words whose payloads are levels."""
    _, cut, levels = case.fields(by=str, cut=int, levels=int)
    cut_of(cut, domain)
    named_arrays(case, "grid", "destinations")
    _levels(case, box, levels, gap)
    places, read = integers(case, "destinations", case.n), set[int]()
    if not np.array_equal(np.sort(places), np.arange(case.n)):
        raise RejectedError("the destinations are no permutation of the positions")
    sender = np.argsort(places).tolist()
    for query in case.task.queries(case.n):
        form = case.task.closed_form(case.n, query) if query >= cut else None
        if isinstance(form, Delivered) and 0 <= form.destination < case.n and sender[form.destination] < cut:
            read.add(sender[form.destination])
    if not read:
        raise RejectedError("no position behind the cut answers with a payload that stands before it")
    return cut, len(read), len(read) * log2_low(levels)


def _directions(case: Case, domain: Sequence, box: Reals, gap: Fraction) -> tuple[int, Fraction]:
    """(cut, bits) of words base + sum_k t_k d_k whose t_k are read one by one."""
    _, cut = case.fields(by=str, cut=int)
    cut_of(cut, domain)
    if case.n > MOST_POSITIONS:
        raise UnknownError(f"linear forms are read for up to {MOST_POSITIONS} numbers")
    named_arrays(case, "base", "directions", "levels", "words", "queries", "winners")
    levels = integers(case, "levels", None)
    u, n = len(levels), case.n
    base, directions = _numbers(case, "base", cut), _numbers(case, "directions", u, cut)
    words, queries, winners = _words(case, box, cut), integers(case, "queries", u), integers(case, "winners", u)
    if not 1 <= u <= cut or levels.min() < 2 or levels.max() > MOST_LEVELS or len(words) != u:
        raise InputError("every direction needs 2 levels or more, and a word of Bob's")
    if not set(queries.tolist()) <= {q for q in case.task.queries(n) if q >= cut}:
        raise RejectedError("a query is not a scored position on Bob's side")
    scale, (low, high, *parts) = _whole([np.array([box.low]), np.array([box.high]), base, directions, words])
    start, moves, his = parts
    most = [int(k) - 1 for k in levels]
    corners = [moves[k] * most[k] for k in range(u)]
    least = start + sum(np.minimum(c, 0) for c in corners)
    greatest = start + sum(np.maximum(c, 0) for c in corners)
    if (least < low[0]).any() or (greatest > high[0]).any():
        raise RejectedError("a word of Alice's leaves the box")
    for k, (query, winner) in enumerate(zip(queries.tolist(), winners.tolist(), strict=True)):
        form = case.task.closed_form(n, query)
        if not isinstance(form, Extreme):
            raise UnknownError(f"the answer at {query} is not known as an extreme of linear forms")
        if form.forms.dtype.kind != "i" or form.forms.shape[1:] != (n,) or form.forms.size * (u + 1) > MOST_WORK:
            raise UnknownError(f"the forms of the answer at {query} are too many to read")
        forms = form.forms.astype(object)
        if not 0 <= winner < len(forms):
            raise InputError(f"form {winner} is none of {len(forms)}")
        ahead = forms - forms[winner]  # what each form is more than the winner; turned where the least one wins
        ahead = ahead if form.of == "max" else -ahead
        lead = ahead[:, :cut] @ start + ahead[:, cut:] @ his[k]
        for corner in corners:
            lead = lead + np.maximum(ahead[:, :cut] @ corner, 0)
        if (lead > 0).any():
            raise RejectedError(f"direction {k}: another form of the answer may win")
        changes = [int(forms[winner, :cut] @ move) for move in moves]
        if any(change for j, change in enumerate(changes) if j != k):
            raise RejectedError(f"direction {k}: the answer changes with another direction")
        if not Fraction(abs(changes[k]), scale) > gap:
            raise RejectedError(f"direction {k}: levels are not told apart within eps")
    return cut, sum((log2_low(int(k)) for k in levels), Fraction(0))


def _numbers(case: Case, name: str, *shape: int) -> np.ndarray:
    """The array `name` of finite float64 numbers; InputError otherwise."""
    array = case.arrays[name]
    if array.dtype != np.float64 or array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"array {name} must hold finite float64 numbers, {' x '.join(map(str, shape))}")
    return array


def _words(case: Case, box: Reals, cut: int) -> np.ndarray:
    """(w, N - cut) Bob's words, in the box."""
    array = case.arrays["words"]
    words = _numbers(case, "words", len(array) if array.ndim else 0, case.n - cut)
    if not len(words):
        raise InputError("a word of Bob's is needed")
    if not ((box.low <= words) & (words <= box.high)).all():
        raise RejectedError("a number of Bob's leaves the box")
    return words


def _above(value: Fraction) -> float:
    """The least float from `value` on."""
    near = float(value)
    return near if Fraction(near) >= value else math.nextafter(near, math.inf)


def _whole(arrays: list[np.ndarray]) -> tuple[int, list[np.ndarray]]:
    """A power of two, and the arrays times it, as whole numbers of any length."""
    ratios = [[float(x).as_integer_ratio() for x in array.reshape(-1)] for array in arrays]
    scale = max(bottom for row in ratios for _, bottom in row)
    whole = []
    for array, row in zip(arrays, ratios, strict=True):
        made = np.empty(array.size, dtype=object)
        made[:] = [top * (scale // bottom) for top, bottom in row]
        whole.append(made.reshape(array.shape))
    return scale, whole
