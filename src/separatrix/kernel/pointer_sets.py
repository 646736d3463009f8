"""Certificate kind `pointer-sets`: sparse averaging within eps for every pointer set and every z in the unit ball.

The model is taken apart by `pointer_model`; what is left is to bound sum_j |sum_h c_h a_hj - t_j| for all C(N, q) sets,
by one of four methods, which the evidence names. For one head with equal scores on the set and others at least g lower,
the others weigh rho <= (N - q)/q e^(-g) together and the error is at most |c - 1| + 2 c rho.

`exhaustive`: every set, one by one, in balls.
`babel` (least-norm queries, for all sets at once): w = U^T M^-1 1 with M = U U^T scores exactly 1 on the set. With
    mu_i(r) the sum of the r greatest |<u_i, u_k>|, k != i, and delta = min_i (|u_i|^2 - mu_i(q - 1)) > 0, every M is
    diagonally dominant, |M^-1| <= 1/delta in the row-sum norm (Varah 1975), and any other key scores
    <u_j, w> = sum_i <u_j, u_i> (M^-1 1)_i <= mu_j(q) / delta. (Tropp 2004 has unit norms; stored keys do not.)
`moment`: keys t .. t^2q of distinct integers t and w from -prod_i (x - t_i)^2: all scores on the set are equal, every
    other is lower by prod_i (t - t_i)^2, the square of a nonzero integer, and least for the q nodes nearest to t.
`slots`: each head reads the key of one pointer, so N softmax rows decide all sets: with weight w_h on its pointer, head
    h errs by 2 c_h (1 - w_h).
"""

from __future__ import annotations

import math
from itertools import combinations, islice

import numpy as np

from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.balls import Ball, exp, sum_high, up
from separatrix.kernel.case import Case
from separatrix.kernel.pointer_model import Head, PointerModel, weights

MOST_SETS, MOST_SCORES = 2**22, 2**31
BLOCK = 2**18  # entries of a block of scores


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    (method,) = case.fields(method=str)
    case.no_arrays()
    if method not in METHODS:
        raise InputError(f"method {method!r} is none of {', '.join(METHODS)}")
    how = METHODS[method](PointerModel.of(case))
    return f"the model answers {case.where} right at every token, for every pointer set ({how}) and all z in the ball"


def _exhaustive(model: PointerModel) -> str:
    count = math.comb(model.n, model.task.q)
    if count > MOST_SETS or count * model.n > MOST_SCORES:
        raise UnknownError(f"there are {count} pointer sets of {model.n} tokens; at most {MOST_SETS} are enumerated")
    worst, sets = 0.0, combinations(range(model.n), model.task.q)
    while block := list(islice(sets, max(1, BLOCK // model.n))):
        rows = np.array(block)
        _, most = model.errors(rows)
        bad = np.flatnonzero(~(most <= model.task.eps))
        if len(bad):
            raise RejectedError(f"pointers {block[bad[0]]}: the error may reach {most[bad[0]]:.3g}")
        worst = max(worst, float(most.max()))
    return f"exhaustive: {count} sets, worst error {worst:.3g}"


def _babel(model: PointerModel) -> str:
    if model.first.query != "least-norm" or model.first.keys != "stored":
        raise UnknownError("the Babel bound is about least-norm queries of stored keys")
    keys, q = Ball.exact(model.tensors["embed.keys"]), model.task.q
    offs, deltas = [], []
    for start in range(0, model.n, 256):
        rows = keys[start : start + 256]
        gram = rows @ Ball(keys.mid.T, keys.rad.T)
        at = np.arange(len(rows.mid))
        norms = gram.low[at, start + at]
        sizes = up(np.abs(gram.mid) + gram.rad)
        sizes[at, start + at] = 0.0
        offs.append(_top(sizes, q))
        deltas.append(np.nextafter(norms - _top(sizes, q - 1), -np.inf))
    off, delta = float(np.concatenate(offs).max()), float(np.concatenate(deltas).min())  # NaN if any is
    if not (0.0 < delta < math.inf and off < math.inf):
        raise RejectedError(f"mu(q - 1) exceeds the norms by {-delta:.3g}: no Babel bound for these keys")
    gap = float(np.nextafter(1.0 - up(np.asarray(off / delta)), -np.inf))
    error = _one_head(model, gap)
    return f"Babel: others score at most {1 - gap:.3g} of a pointer's, worst error at most {error:.3g}"


def _top(sizes: np.ndarray, count: int) -> np.ndarray:
    """(rows,) above the sum of the `count` greatest entries of each row."""
    if count == 0:
        return np.zeros(len(sizes))
    count = min(count, sizes.shape[1])
    return sum_high(np.partition(sizes, sizes.shape[1] - count, axis=1)[:, -count:], axis=1)


def _moment(model: PointerModel) -> str:
    gap = moment_gap(model)
    error = _one_head(model, float(min(gap, 2**52)))
    return f"moment curve: others score lower by an integer, {gap} or more, worst error at most {error:.3g}"


def moment_gap(model: PointerModel) -> int:
    """By how much other keys score less than those of a set, exactly; an error for keys of another kind."""
    first = model.first
    if first.query != "moment" or first.keys != "moment":
        raise UnknownError("this bound is about moment-curve queries of integer keys")
    if first.key_width != 2 * first.pointers:
        raise RejectedError("moment-curve keys have 2 q powers, these do not")
    stored = model.tensors["embed.nodes"].tolist()
    if any(t != int(t) for t in stored) or len({int(t) for t in stored}) != model.n:
        raise RejectedError("the nodes are not distinct integers")
    return _least_square({int(t) for t in stored}, model.task.q)


def _least_square(nodes: set[int], q: int) -> int:
    """min over a node of the product of squared distances to the q nearest others, or to 16 of them: each is >= 1."""
    line, least = sorted(nodes), None
    for i, t in enumerate(line):
        apart = sorted(abs(t - s) for s in line[max(0, i - 16) : i + 17] if s != t)
        product = math.prod(apart[: min(q, 16)]) ** 2
        least = product if least is None else min(least, product)
    assert least is not None
    return least


def _one_head(model: PointerModel, gap: float) -> float:
    """Above |c - 1| + 2 c rho + leak, for scores before sharpness equal on the set and lower by `gap` elsewhere."""
    if len(model.heads) != 1 or not model.heads[0].selects:
        raise UnknownError("this bound needs one head that scores <query, key> as it stands")
    n, q, (head,) = model.n, model.task.q, model.heads
    sharp = float(model.sharpness.low)
    if not (sharp > 0.0 and gap > 0.0):
        raise RejectedError("other tokens may score as much as the pointers")
    others = exp(Ball.exact(-np.nextafter(np.float64(sharp * gap), 0.0))).high * ((n - q) / q)
    error = float(up(np.abs(np.float64(head.share - 1.0)) + 2.0 * head.share * others + model.leak))
    _within(model, error)
    return error


def _slots(model: PointerModel) -> str:
    first, n = model.first, model.n
    if first.query != "slots" or first.keys != "stored":
        raise UnknownError("this bound is about the keys of the pointers side by side")
    keys = Ball.exact(model.tensors["embed.keys"])
    missed, total = [], Ball.exact(np.zeros(first.pointers))
    for head in model.heads:
        slots = head.query.reshape(first.pointers, first.key_width, -1)
        used = np.flatnonzero(slots.any(axis=(1, 2)))
        if len(used) != 1:
            raise UnknownError("a head reads more or less than one pointer")
        one = Head(slots[used[0]], head.key, head.share)
        rates = []
        for start in range(0, n, max(1, BLOCK // n)):
            rows = np.arange(start, min(n, start + max(1, BLOCK // n)))
            low, _ = weights(model.scores(one, keys[rows]))
            rates.append(low[np.arange(len(rows)), rows])
        missed.append(2.0 * head.share * (1.0 - float(np.concatenate(rates).min())))
        total = total + Ball.exact(np.where(np.arange(first.pointers) == used[0], head.share, 0.0))
    wanted = np.full(first.pointers, 1.0 / first.pointers)
    off = total - Ball(wanted, np.full(first.pointers, 2.0**-52))
    error = float(up(sum_high(np.array(missed)) + sum_high(np.abs(off.mid) + off.rad) + model.leak, 4))
    _within(model, error)
    return f"{len(model.heads)} heads, one pointer each, worst error at most {error:.3g}"


def _within(model: PointerModel, error: float) -> None:
    if not 0.0 <= error <= model.task.eps:
        raise RejectedError(f"the error may reach {error:.3g}; eps is {model.task.eps:g}")


METHODS = {"exhaustive": _exhaustive, "babel": _babel, "moment": _moment, "slots": _slots}
