"""Certificate kind `heads`: one layer of several softmax heads answers right on every input of every cell.

The arrays give, for every cell and every other answer in the order in which the task lists them, one tree that cuts the
cell by the values of the denominators D_h, in preorder, and a way to prove each leaf. `node` (K,) holds
    h >= 0   two children follow: D_h <= the next number of `split`, then D_h >= it;
    -1       every head alone: N_h - tau_h D_h >= 0 for all h, and sum_h tau_h + const > 0;
    -2       the corners of the box of all 1/D_h (see `vertices`), with sum_h tau_h + const >= 0;
    -3       the same, with multipliers for the box.
`split` (inner nodes,), `tau` (leaves, H), `plus` and `minus` (leaves -3, 2, H) are read in the same order. The kernel
derives all boxes, from ranges of the D_h that it computes: no bound is taken from the certificate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from separatrix.core.arch import Arch, Table
from separatrix.core.domain import CellGroup, Labels, PointerSets
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.balls import sum_high, sum_low
from separatrix.kernel.case import Case
from separatrix.kernel.head_tables import Heads, View
from separatrix.kernel.vertices import Leaves, alone_low, corners_low

ALONE, CORNERS, MULTIPLIERS = -1, -2, -3
MOST_WORK = 2**40  # terms of all corners of all leaves
LARGEST = 2.0**1000  # of tau, so that exact sums do not overflow


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    if case.semantics.spec is not None:
        raise UnknownError("the heads check is in real arithmetic only")
    task, n = case.task, case.n
    heads = read_model(task, n, case.model(), case.tensors)
    trees = Trees.of(case.arrays, heads.count, len(heads.slot.mid) * task.domain(n).vocabulary)
    cells = 0
    for group in groups(task, n):
        cells += len(group)
        with np.errstate(all="ignore"):  # overflow becomes an infinity, which proves nothing
            view = View.of(heads, group, task.domain(n))
            bad = np.argwhere(~proved(view, trees))
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
    return f"the model answers {case.where} right on every input ({cells} cells, real arithmetic)"


def read_model(task: Task, n: int, arch: Arch, tensors: Mapping[str, np.ndarray]) -> Heads:
    """The heads, once task and model fit each other; RejectedError or UnknownError otherwise."""
    domain, outputs = task.domain(n), task.outputs()
    if isinstance(arch.first, Table) and domain.vocabulary != arch.first.vocabulary:
        raise RejectedError(f"the model knows {arch.first.vocabulary} tokens, the task {domain.vocabulary}")
    if domain.constraint.kind != "product" or domain.reals is not None or domain.lengths:
        raise UnknownError("the heads check needs a product domain of symbols and one length")
    if any(isinstance(alphabet, PointerSets) for alphabet in domain.alphabets):
        raise UnknownError("the heads check needs one symbol a token")
    if not isinstance(outputs, Labels) or outputs.k != arch.readout.outputs:
        raise RejectedError(f"the model has {arch.readout.outputs} outputs, the task {outputs}")
    with np.errstate(all="ignore"):
        return Heads.of(arch, tensors, domain.positions)


def groups(task: Task, n: int) -> Iterator[CellGroup]:
    """All groups of all queries, in the order of the certificate."""
    for query in task.queries(n):
        given = task.cells(n, query)
        if given is None:
            raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
        for group in given:
            if group.query != query:
                raise RejectedError(f"the task gave cells of another query for query {query}")
            if len(group):
                yield group


@dataclass(slots=True)
class Trees:
    """The arrays of a certificate, read from front to back."""

    node: np.ndarray
    split: np.ndarray
    tau: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    at: list[int] = field(default_factory=lambda: [0, 0, 0, 0])  # next node, split, leaf, leaf with multipliers

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], heads: int, terms: int) -> Trees:
        """Checks names, types, shapes and numbers; `terms` bounds the terms of one separable sum."""
        names = ("node", "split", "tau", "plus", "minus")
        if set(arrays) != set(names):
            raise InputError(f"the arrays of this kind of certificate are {', '.join(names)}")
        node = arrays["node"]
        if node.dtype != np.int64 or node.ndim != 1 or ((node < MULTIPLIERS) | (node >= heads)).any():
            raise InputError("array node holds something that is neither a head nor a kind of leaf")
        leaves, several = int((node < 0).sum()), int((node == MULTIPLIERS).sum())
        shapes = ((len(node),), (len(node) - leaves,), (leaves, heads), (several, 2, heads), (several, 2, heads))
        for name, shape in zip(names[1:], shapes[1:], strict=True):
            array = arrays[name]
            if array.dtype != np.float64 or array.shape != shape or not np.isfinite(array).all():
                raise InputError(f"array {name} does not hold {shape} finite numbers")
        if (arrays["plus"] < 0).any() or (arrays["minus"] < 0).any():
            raise RejectedError("a multiplier is negative")
        if (np.abs(arrays["tau"]) > LARGEST).any():
            raise RejectedError("a number in array tau is too large for its sums")
        if leaves * terms * 2**heads > MOST_WORK:
            raise UnknownError(f"checking {leaves} leaves with {heads} heads takes more than {MOST_WORK} steps")
        return cls(node, arrays["split"], arrays["tau"], arrays["plus"], arrays["minus"])

    def take(self, low: np.ndarray, high: np.ndarray) -> Iterator[tuple[int, np.ndarray, int, np.ndarray, np.ndarray]]:
        """The leaves of the next tree: kind, tau, number of its multipliers, and the box derived from the root's."""
        boxes = [(low, high)]
        while boxes:
            a, b = boxes.pop()
            if self.at[0] == len(self.node):
                raise RejectedError("the certificate ends before the cells do")
            kind = int(self.node[self.at[0]])
            self.at[0] += 1
            if kind < 0:
                yield kind, self.tau[self.at[2]], self.at[3], a, b
                self.at[2] += 1
                self.at[3] += kind == MULTIPLIERS
                continue
            cut = self.split[self.at[1]]
            self.at[1] += 1
            if not a[kind] < cut < b[kind]:
                raise RejectedError("a denominator is split outside its range")
            upper, lower = a.copy(), b.copy()
            upper[kind] = lower[kind] = cut
            boxes += [(upper, b), (a, lower)]

    def close(self) -> None:
        """RejectedError where something is left over."""
        if self.at[0] != len(self.node):
            raise RejectedError("the certificate goes on after the last cell")


def proved(view: View, trees: Trees) -> np.ndarray:
    """(cells, k - 1) whether the next trees prove that the label beats each other answer, for a whole group."""
    cells, answers = len(view.labels), view.constant.mid.shape[0]
    low, high = ranges(view)
    constant = np.stack([(view.constant[[label] * answers] - view.constant).low for label in view.labels])
    rows: list[tuple[int, int, int, int]] = []  # cell, rival, kind, number of the multipliers
    taus, lows, highs, sums = [], [], [], []
    for cell in range(cells):
        for rival in (r for r in range(answers) if r != view.labels[cell]):
            for kind, tau, number, a, b in trees.take(low[cell], high[cell]):
                rows.append((cell, rival, kind, number if kind == MULTIPLIERS else -1))
                taus.append(tau)
                lows.append(a)
                highs.append(b)
                sums.append(_sum_rule(tau, float(constant[cell, rival]), kind == ALONE))
    result = np.ones((cells, answers), dtype=bool)
    if rows:
        cell, rival, kind, number = np.array(rows).T
        plus, minus = np.zeros((2, len(rows), 2, low.shape[1]))
        plus[number >= 0], minus[number >= 0] = (array[number[number >= 0]] for array in (trees.plus, trees.minus))
        leaves = Leaves(cell, rival, np.array(taus), np.array(lows), np.array(highs), plus, minus)
        fine = np.array(sums)
        alone = kind == ALONE
        fine[alone] &= alone_low(view, leaves[alone]) >= 0
        fine[~alone] &= corners_low(view, leaves[~alone]) > 0
        np.logical_and.at(result, (cell, rival), fine)
    others = np.arange(answers) != view.labels[:, None]
    return result[others].reshape(cells, answers - 1)


def _sum_rule(tau: np.ndarray, constant: float, strictly: bool) -> bool:
    """Whether sum tau + constant >= 0, or > 0; `fsum` rounds the exact sum once, so its sign is exact."""
    if not abs(constant) <= LARGEST:
        return False
    total = math.fsum([*tau.tolist(), constant])
    return total > 0 if strictly else total >= 0


def ranges(view: View) -> tuple[np.ndarray, np.ndarray]:
    """(cells, H) floats below and above every D_h on each cell."""
    low, high = view.exponentials(np.arange(len(view.labels)))
    return sum_low(low.min(axis=3), axis=2), sum_high(high.max(axis=3), axis=2)
