"""Certificate kind `heads`: one layer of several softmax heads answers right on every input of every cell.

The arrays give, for every cell and every other answer in the order in which the task lists them, one tree that cuts the
cell by the values of the denominators D_h, in preorder, and a way to prove each leaf. `node` (K,) holds
    h >= 0   two children follow: D_h <= the next number of `split`, then D_h >= it;
    -1       every head alone: N_h - tau_h D_h >= 0 for all h, and sum_h tau_h + const > 0;
    -2       the corners of the box of all 1/D_h (see `vertices`), with sum_h tau_h + const >= 0;
    -3       the same, with multipliers for the box.
`split` (inner nodes,), `tau` (leaves, H), `plus` and `minus` (leaves -3, 2, H) are read in the same order. Where words
are distinct there may be dual prices of the classes (see `constraints`): `priced` and `prices`, one row for each (leaf,
corner) that needs them, and `ranged` and `spans` (cells, 2 H, classes), for the least and greatest D_h of these cells.
The kernel derives all boxes, from ranges of the D_h that it computes: no bound is taken from
the certificate. In a floating-point format the same sums are taken of smaller margins (see `head_loss`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Arch
from separatrix.core.errors import RejectedError
from separatrix.core.semantics import FloatSpec
from separatrix.core.task import Task
from separatrix.kernel.balls import sum_high, sum_low
from separatrix.kernel.case import Case
from separatrix.kernel.head_tables import Heads, View
from separatrix.kernel.head_trees import ALONE, LARGEST, MULTIPLIERS, Trees
from separatrix.kernel.labelled import fitting_domain, groups
from separatrix.kernel.vertices import Leaves, alone_low, corners_low


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    task, n = case.task, case.n
    heads = read_model(task, n, case.model(), case.tensors, case.semantics.spec)
    trees = Trees.of(case.arrays, heads.count, len(heads.slot.mid) * task.domain(n).vocabulary)
    cells = 0
    for group in groups(task, n):
        cells += len(group)
        with np.errstate(all="ignore"):  # overflow becomes an infinity, which proves nothing
            view = View.of(heads, group, task.domain(n))
            bad = np.argwhere(~(margins_low(view, trees) > 0))
        if len(bad):
            cell, rival = bad[0]
            rival += rival >= view.labels[cell]
            raise RejectedError(
                f"query position {group.query}, token {group.token}: cell {cell} is not proved to beat answer {rival}"
            )
        case.progress(f"{cells:,} cells")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    trees.close()
    return f"the model answers {case.where} right on every input ({cells} cells, {case.semantics} arithmetic)"


def read_model(
    task: Task, n: int, arch: Arch, tensors: Mapping[str, np.ndarray], spec: FloatSpec | None = None
) -> Heads:
    """The heads, once task and model fit each other; RejectedError or UnknownError otherwise."""
    domain = fitting_domain(task, n, arch, "heads")
    with np.errstate(all="ignore"):
        return Heads.of(arch, tensors, domain.positions, spec)


def margins_low(view: View, trees: Trees) -> np.ndarray:
    """(cells, k - 1) floats below logit[label] - logit[other] on every input of each cell, by the next trees.

    A positive number proves that the label beats that answer; -inf says that the tree proves nothing.
    """
    cells, answers = len(view.labels), view.constant.mid.shape[0]
    spans = trees.spans_of(cells)
    low, high = ranges(view, spans)
    heads = low.shape[1]
    constant = _constants(view)
    rows: list[tuple[int, int, int, int, int]] = []  # cell, rival, kind, number of the leaf, and of its multipliers
    taus, lows, highs, sums = [], [], [], []
    for cell in range(cells):
        for rival in (r for r in range(answers) if r != view.labels[cell]):
            for kind, leaf, tau, number, a, b in trees.take(low[cell], high[cell]):
                rows.append((cell, rival, kind, leaf, number if kind == MULTIPLIERS else -1))
                taus.append(tau)
                lows.append(a)
                highs.append(b)
                sums.append(_sum_rule(tau, float(constant[cell, rival]), kind == ALONE))
    result = np.full((cells, answers), np.inf)
    if rows:
        cell, rival, kind, leaf, number = np.array(rows).T
        plus, minus = np.zeros((2, len(rows), 2, heads))
        plus[number >= 0], minus[number >= 0] = (array[number[number >= 0]] for array in (trees.plus, trees.minus))
        prices = None if view.words is None else trees.prices_of(leaf, heads)
        leaves = Leaves(cell, rival, np.array(taus), np.array(lows), np.array(highs), plus, minus, prices)
        least, alone = np.array(sums), kind == ALONE
        least[alone] = np.where(alone_low(view, leaves[alone]) >= 0, least[alone], -np.inf)
        corner = corners_low(view, leaves[~alone])
        least[~alone] = np.where(corner > 0, sum_low(np.stack([corner, least[~alone]])), -np.inf)
        np.minimum.at(result, (cell, rival), least)
    others = np.arange(answers) != view.labels[:, None]
    return result[others].reshape(cells, answers - 1)


def _constants(view: View) -> np.ndarray:
    """(cells, k) floats below what the bias and the residual add to label - rival, as computed."""
    answers = view.constant.mid.shape[0]
    constant = np.stack([(view.constant[[label] * answers] - view.constant).low for label in view.labels])
    if view.loss is not None:
        rivals = np.arange(answers)
        taken = np.stack([view.loss.taken_once(np.full(answers, label), rivals) for label in view.labels])
        constant = np.nextafter(constant - taken, -np.inf)
    return constant


def _sum_rule(tau: np.ndarray, constant: float, strictly: bool) -> float:
    """A float below sum tau + constant where that is >= 0, or > 0; -inf where it is not.

    `fsum` rounds the exact sum once, so its sign is exact.
    """
    if not abs(constant) <= LARGEST:
        return -math.inf
    total = math.fsum([*tau.tolist(), constant])
    if not (total > 0 if strictly else total >= 0):
        return -math.inf
    return math.nextafter(total, -math.inf) if total else 0.0


def ranges(view: View, spans: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(cells, H) floats below and above every D_h on each cell; spans (cells, 2 H, classes): prices, any are sound."""
    low, high = view.exponentials(np.arange(len(view.labels)))
    if view.words is None:
        return sum_low(low.min(axis=3), axis=2), sum_high(high.max(axis=3), axis=2)
    heads = low.shape[1]
    prices = [None] * len(low) if spans is None else spans
    both = [view.words.low(c, np.concatenate([low[c], -high[c]]), prices[c]) for c in range(len(low))]
    both = np.array(both).reshape(len(low), 2 * heads)
    return both[:, :heads], -both[:, heads:]
