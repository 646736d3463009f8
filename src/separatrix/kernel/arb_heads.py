"""Kinds `heads`, and `separable` where symbols are tied together or arithmetic is rounded, in Arb.

A tree of a `heads` certificate cuts a cell by the values of the denominators D_h; `head_trees` reads it. On a leaf
    alone:    N_h - tau_h D_h >= 0 for every head, and sum tau + const > 0;
    corners:  sum tau + const >= 0, and sum_h w_h (N_h - tau_h D_h) - plus_h (D_h - a_h) - minus_h (b_h - D_h) > 0 at
              the corners w of the box of all 1/D_h, a separable sum (see `vertices`).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from separatrix.core.errors import RejectedError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs, at_some_precision, decide
from separatrix.kernel.arb_nets import number
from separatrix.kernel.arb_sight import MOST_HEADS, Sight, Weights
from separatrix.kernel.arb_words import Words
from separatrix.kernel.case import Case
from separatrix.kernel.head_trees import ALONE, MULTIPLIERS, Trees
from separatrix.kernel.labelled import groups
from separatrix.kernel.prices import Prices


def check_heads(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    cells = at_some_precision(lambda: _heads(case))
    return f"the model answers {case.where} right on every input ({cells} cells, {case.semantics} arithmetic, arb)"


def _heads(case: Case) -> int:
    weights = Weights.of(case, MOST_HEADS)
    trees = Trees.of(case.arrays, len(weights.query), len(weights.slot) * len(weights.token))
    cells = 0
    for group in groups(case.task, case.n):
        cells += len(group)
        trees.spans_of(len(group))
        sight = Sight.of(weights, case, group, case.semantics.spec)
        for cell, label in enumerate(sight.labels.tolist()):
            low, high = denominators(sight.words, sight.e, cell)
            for rival in (r for r in range(len(weights.bias)) if r != label):
                for kind, _, tau, several, a, b in trees.take(low, high):
                    at = f"query position {group.query}, token {group.token}: cell {cell} is not proved to beat {rival}"
                    plus, minus = trees.plus, trees.minus
                    multipliers = (plus[several], minus[several]) if kind == MULTIPLIERS else None
                    _leaf(sight, cell, label, rival, kind == ALONE, tau, a, b, multipliers, at)
        case.progress(f"{cells:,} cells, arb")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    trees.close()
    return cells


def denominators(words: Words, exponentials: Arbs, cell: int, only: np.ndarray | None = None) -> tuple[Arbs, Arbs]:
    """(H,) the ends of the range of every D_h on a cell, or on the part of it that `only` names."""
    low = [words.least(e, cell, only) for e in exponentials]
    high = [words.least(-e, cell, only) for e in exponentials]
    return ab.low(np.array(low, dtype=object)), -ab.low(np.array(high, dtype=object))


def _leaf(
    sight: Sight,
    cell: int,
    label: int,
    rival: int,
    alone: bool,
    tau: np.ndarray,
    low: Arbs,
    high: Arbs,
    multipliers: tuple[np.ndarray, np.ndarray] | None,
    at: str,
) -> None:
    """RejectedError where the leaf does not prove that the label beats the rival, Undecided where that is not known."""
    gap, constant = sight.margins(label, rival)
    tau, low, high = ab.arbs(tau), ab.arbs(low), ab.arbs(high)
    rest = ab.total(tau) + constant
    terms = sight.e * (gap - tau[:, None, None])
    if alone:
        _require(rest > 0, rest <= 0, at)
        for own in terms:
            least = sight.words.least(own, cell)
            _require(least >= 0, least < 0, at)
        return
    _require(rest >= 0, rest < 0, at)
    _require((low > 0).all(), (low <= 0).any(), at)
    ends = []  # by head: (terms, offset) where w_h is 1/high, and where it is 1/low
    for h, own in enumerate(terms):
        pair = []
        for end, w in enumerate((1 / high[h], 1 / low[h])):
            part, offset = own * w, ab.zero()
            if multipliers is not None:
                plus, minus = (number(m[end, h]) for m in multipliers)
                part, offset = part + sight.e[h] * (minus - plus), plus * low[h] - minus * high[h]
            pair.append((part, offset))
        ends.append(pair)
    for corner in itertools.product((0, 1), repeat=len(ends)):
        picked = [pair[end] for pair, end in zip(ends, corner, strict=True)]
        whole = sum((part for part, _ in picked), ab.zero())
        least = sight.words.least(whole, cell) + sum((offset for _, offset in picked), ab.zero())  # pyright: ignore
        _require(least > 0, least <= 0, at)


def _require(positive: object, wrong: object, at: str) -> None:
    if not decide(positive, wrong, at):
        raise RejectedError(at)


def check_sums(case: Case) -> str:
    """`separatrix` kind `separable` on cells of any kind, in any arithmetic: one sum a cell and rival."""
    case.fields()
    if case.arrays:  # prices: any would do, and none are read, but they must have the right form
        prices = Prices.of(case, case.task.domain(case.n).vocabulary, case.model().readout.outputs)
        assert prices is not None
        prices.require_cells(sum(map(len, groups(case.task, case.n))))
    cells = at_some_precision(lambda: _sums(case))
    return f"the model answers {case.where} right on every input ({cells} cells, {case.semantics} arithmetic, arb)"


def _sums(case: Case) -> int:
    weights = Weights.of(case, 1)
    cells = 0
    for group in groups(case.task, case.n):
        cells += len(group)
        sight = Sight.of(weights, case, group, case.semantics.spec)
        for cell, label in enumerate(sight.labels.tolist()):
            for rival in (r for r in range(len(weights.bias)) if r != label):
                gap, constant = sight.margins(label, rival)
                least: Any = sight.words.least(sight.e[0] * (gap[0] + constant), cell)
                at = f"query position {group.query}, token {group.token}: cell {cell} does not beat answer {rival}"
                if not decide(least > 0, least <= 0, at):
                    raise RejectedError(f"{at} (least weighted margin {float(least.mid()):.3g})")
        case.progress(f"{cells:,} cells, arb")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    return cells
