"""Least words, in plain float64: what minimises a sum of terms over the words of a cell. It proves nothing.

Costs are (positions, symbols), +inf where a symbol is not allowed; a word is one symbol number a position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Constraint


@dataclass(frozen=True, slots=True)
class Least:
    """The least sum over a cell's words, +inf for none; `word` (positions,) attains it."""

    value: float
    word: np.ndarray


def least_word(constraint: Constraint, cost: np.ndarray, used: np.ndarray) -> Least:
    """The least word at the tied positions, one row of `cost` each; symbol number s is the id used[s]."""
    match constraint.kind:
        case "count":
            return _count(cost, used == constraint.symbol, constraint.count)
        case "distinct":
            return assign(constraint, cost, used)[0]
        case "regular":
            return _regular(constraint, cost, used)
    return Least(float(cost.min(axis=1).sum()), cost.argmin(axis=1))


def _count(cost: np.ndarray, this: np.ndarray, count: int) -> Least:
    """The `count` positions where the symbol costs least more than the best other one."""
    other, there = np.where(this, np.inf, cost), np.where(this, cost, np.inf)
    base, with_symbol = other.min(axis=1), there.min(axis=1)
    must, cannot = np.isinf(base), np.isinf(with_symbol)
    gain = np.where(must, -np.inf, np.where(cannot, np.inf, with_symbol - np.where(must, 0.0, base)))
    chosen = np.zeros(len(cost), dtype=bool)
    chosen[np.argsort(gain, kind="stable")[: max(0, count)]] = True
    word = np.where(chosen, there.argmin(axis=1), other.argmin(axis=1))
    if not 0 <= count <= len(cost):
        return Least(np.inf, word)
    return Least(float(np.where(chosen, with_symbol, base).sum()), word)


def assign(constraint: Constraint, cost: np.ndarray, used: np.ndarray) -> tuple[Least, dict[int, float]]:
    """The least word of distinct classes, and a price b <= 0 of each class that proves it the least.

    With sigma the optimal assignment, b_k = min(0, min over rows j of b_sigma(j) + c_jk - c_jsigma(j)), the length of
    the shortest chain of exchanges: c_jk - b_k is then least at k = sigma(j), and b is 0 at classes that are not taken.
    """
    from scipy.optimize import linear_sum_assignment

    kinds = constraint.class_of(used)
    classes = np.unique(kinds[(kinds >= 0) & np.isfinite(cost).any(axis=0)])
    of_class = [np.flatnonzero(kinds == kind) for kind in classes] if constraint.classes else []
    if of_class:
        best = np.stack([s[cost[:, s].argmin(axis=1)] for s in of_class], axis=1)
    else:  # every symbol is a class of its own
        best = np.broadcast_to(np.searchsorted(used, classes), (len(cost), len(classes)))
    by_class = np.take_along_axis(cost, best, axis=1)
    rows = np.arange(len(cost))
    try:
        taken = linear_sum_assignment(by_class)[1]
    except ValueError:  # no assignment, or numbers that are not finite
        taken = np.zeros(0, dtype=np.int64)
    if len(taken) < len(cost):
        return Least(np.inf, cost.argmin(axis=1)), {}
    price = np.zeros(len(classes))
    more = by_class - by_class[rows, taken][:, None]
    for _ in rows:
        shorter = np.minimum(price, (price[taken][:, None] + more).min(axis=0, initial=0.0))
        if np.array_equal(shorter, price):
            break
        price = shorter
    least = Least(float(by_class[rows, taken].sum()), best[rows, taken])
    return least, dict(zip(classes.tolist(), price.tolist(), strict=True))


def _regular(constraint: Constraint, cost: np.ndarray, used: np.ndarray) -> Least:
    """The shortest path from state 0 into an accepting state, with back-pointers."""
    table = np.array(constraint.transitions)
    known = np.flatnonzero(used < table.shape[1])
    leads = table[:, used[known]].reshape(-1)
    order = np.argsort(leads, kind="stable")
    targets, starts = np.unique(leads[order], return_index=True)
    least = np.full(len(table), np.inf)
    least[0] = 0.0
    back = np.zeros((len(cost), len(table)), dtype=np.int64)  # pair (state, symbol) that leads here at the least cost
    for j, row in enumerate(cost):
        pairs = (least[:, None] + row[known]).reshape(-1)[order]
        least = np.full(len(table), np.inf)
        least[targets] = np.minimum.reduceat(pairs, starts)
        ranked = np.lexsort((pairs, leads[order]))
        back[j, targets] = order[ranked[starts]]
    accepting = np.array(constraint.accepting, dtype=np.int64)
    word = np.zeros(len(cost), dtype=np.int64)
    if not len(accepting) or not np.isfinite(least[accepting]).any():
        return Least(np.inf, word)
    state = int(accepting[least[accepting].argmin()])
    value = float(least[state])
    for j in reversed(range(len(cost))):
        state, symbol = divmod(int(back[j, state]), len(known))
        word[j] = known[symbol]
    return Least(value, word)
