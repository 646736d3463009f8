"""Certificate kind `relu`: one attention layer, then perhaps a ReLU layer, answers right on every input of every cell.

Layer norms may stand before either and at the end. Array `range` (cells, 2, R, H) guesses, for every feature that is
ranged (see `relu_net`), the least and the greatest share of each head: the kernel derives ranges from it that hold for
any guess, head by head, or by corners where `joint` (cells, 2, R) is 1. The other arrays give, for every cell and every
other answer in the order in which the task lists them, one tree that cuts the cell, in preorder, and multipliers for
each leaf (see `relu_bounds`). `node` (K,) holds
    v >= 0   two children follow: variable v is at most the next number of `split`, then at least that number; the
             variables are the F pre-activations (times s), the H denominators, and s where there is an inner norm;
    -1       a leaf, every head alone;
    -2       the corners of the box of all 1 / D_h;
    -3       the same, with multipliers for the box.
`split` (inner nodes,), `slope` (leaves, F), `tau` (leaves, H; width 0 where H = 1), `plus` and
`minus` (leaves -3, 2, H) are read in the same order. A box that holds no input, by the ranges that the kernel derived,
needs no proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from separatrix.core.arch import Arch
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.case import Case
from separatrix.kernel.labelled import fitting_domain, groups
from separatrix.kernel.relu_bounds import Box, Leaves, Ranges, leaves_low
from separatrix.kernel.relu_net import Net
from separatrix.kernel.relu_tables import Scene

ALONE, CORNERS, MULTIPLIERS = -1, -2, -3
MOST_WORK = 2**42  # terms of all corners of all leaves
LARGEST = 2.0**300  # of a multiplier
NAMES = ("node", "split", "range", "joint", "slope", "tau", "plus", "minus")


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    if case.semantics.spec is not None:
        raise UnknownError("the relu check is in real arithmetic only")
    task, n = case.task, case.n
    net = read_model(task, n, case.model(), case.tensors)
    trees = Trees.of(case.arrays, net, len(net.slot.mid) * task.domain(n).vocabulary)
    cells = 0
    for group in groups(task, n):
        cells += len(group)
        with np.errstate(all="ignore"):  # overflow becomes an infinity, which proves nothing
            scene = Scene.of(net, group, task.domain(n))
            bad = np.argwhere(~proved(scene, trees))
        if len(bad):
            cell, rival = bad[0]
            rival += rival >= scene.labels[cell]
            raise RejectedError(
                f"query position {group.query}, token {group.token}: cell {cell} is not proved to beat answer {rival}"
            )
        case.progress(f"{cells:,} cells")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    trees.close()
    return f"the model answers {case.where} right on every input ({cells} cells, real arithmetic)"


def read_model(task: Task, n: int, arch: Arch, tensors: Mapping[str, np.ndarray]) -> Net:
    """The model, once task and model fit each other; RejectedError or UnknownError otherwise."""
    domain = fitting_domain(task, n, arch, "relu")
    with np.errstate(all="ignore"):
        return Net.of(arch, tensors, domain.positions)


@dataclass(slots=True)
class Trees:
    """The arrays of a certificate, read from front to back. at: next node, split, leaf, leaf with multipliers, cell."""

    arrays: Mapping[str, np.ndarray]
    at: list[int] = field(default_factory=lambda: [0, 0, 0, 0, 0])

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], net: Net, terms: int) -> Trees:
        """Checks names, types, shapes and numbers; `terms` bounds the terms of one separable sum."""
        if set(arrays) != set(NAMES):
            raise InputError(f"the arrays of this kind of certificate are {', '.join(NAMES)}")
        node, heads, hidden = arrays["node"], net.heads, net.hidden
        variables = hidden + heads + (net.inner_eps is not None)
        if node.dtype != np.int64 or node.ndim != 1 or ((node < MULTIPLIERS) | (node >= variables)).any():
            raise InputError("array node holds something that is neither a variable nor a kind of leaf")
        leaves, several = int((node < 0).sum()), int((node == MULTIPLIERS).sum())
        joint = arrays["joint"]
        cells = len(arrays["range"]) if arrays["range"].ndim else 0
        shapes = {
            "split": (len(node) - leaves,),
            "range": (cells, 2, len(net.ranged), heads),
            "slope": (leaves, hidden),
            "tau": (leaves, heads if heads > 1 else 0),
            "plus": (several, 2, heads),
            "minus": (several, 2, heads),
        }
        if joint.dtype != np.int64 or joint.shape != (cells, 2, len(net.ranged)) or not np.isin(joint, (0, 1)).all():
            raise InputError(f"array joint does not hold {cells} x 2 x {len(net.ranged)} times 0 or 1")
        for name, shape in shapes.items():
            array = arrays[name]
            if array.dtype.name not in ("float64", "float32") or array.shape != shape or not np.isfinite(array).all():
                raise InputError(f"array {name} does not hold {shape} finite numbers")
            if (np.abs(array.astype(np.float64)) > LARGEST).any():
                raise RejectedError(f"a number in array {name} is too large")
        if (arrays["plus"] < 0).any() or (arrays["minus"] < 0).any():
            raise RejectedError("a multiplier is negative")
        if ((leaves + int(joint.sum())) * 2**heads + joint.size * heads) * terms > MOST_WORK:
            raise UnknownError(f"checking {leaves} leaves with {heads} heads takes more than {MOST_WORK} steps")
        return cls(
            {name: arrays[name] if name in ("node", "joint") else arrays[name].astype(np.float64) for name in NAMES}
        )

    def ranges(self, scene: Scene) -> Ranges:
        """Those of the next cells, one group."""
        start, count = self.at[4], len(scene.labels)
        self.at[4] += count
        if self.at[4] > len(self.arrays["range"]):
            raise RejectedError("the certificate ends before the cells do")
        part = slice(start, start + count)
        return Ranges.of(scene, self.arrays["range"][part], self.arrays["joint"][part] > 0)

    def take(self, low: np.ndarray, high: np.ndarray) -> Iterator[tuple[int, int, int, np.ndarray, np.ndarray]]:
        """The leaves of the next tree: kind, its number, that of its multipliers, and its box within the root's."""
        boxes, node, split = [(low, high)], self.arrays["node"], self.arrays["split"]
        while boxes:
            a, b = boxes.pop()
            if self.at[0] == len(node):
                raise RejectedError("the certificate ends before the cells do")
            kind = int(node[self.at[0]])
            self.at[0] += 1
            if kind < 0:
                yield kind, self.at[2], self.at[3], a, b
                self.at[2] += 1
                self.at[3] += kind == MULTIPLIERS
                continue
            cut = split[self.at[1]]
            self.at[1] += 1
            if not a[kind] < cut < b[kind]:
                raise RejectedError("a variable is split outside its range")
            upper, lower = a.copy(), b.copy()
            upper[kind] = lower[kind] = cut
            boxes += [(upper, b), (a, lower)]

    def close(self) -> None:
        """RejectedError where something is left over."""
        if self.at[0] != len(self.arrays["node"]) or self.at[4] != len(self.arrays["range"]):
            raise RejectedError("the certificate goes on after the last cell")


def proved(scene: Scene, trees: Trees) -> np.ndarray:
    """(cells, k - 1) whether the next trees prove that the label beats each other answer, for a whole group."""
    net, cells, answers = scene.net, len(scene.labels), scene.net.answers
    ranges = trees.ranges(scene)
    low, high = root_box(scene, ranges)
    rows: list[tuple[int, int, int, int, int]] = []  # cell, rival, kind, leaf, number of the multipliers
    lows, highs = [], []
    for cell in range(cells):
        for rival in (r for r in range(answers) if r != scene.labels[cell]):
            for kind, leaf, number, a, b in trees.take(low[cell], high[cell]):
                rows.append((cell, rival, kind, leaf, number if kind == MULTIPLIERS else -1))
                lows.append(a)
                highs.append(b)
    result = np.ones((cells, answers), dtype=bool)
    if rows:
        cell, rival, kind, leaf, number = np.array(rows).T
        plus, minus = np.zeros((2, len(rows), 2, net.heads))
        for array, name in ((plus, "plus"), (minus, "minus")):
            array[number >= 0] = trees.arrays[name][number[number >= 0]]
        box = split_box(net, np.array(lows), np.array(highs))
        slope, tau = (trees.arrays[name][leaf] for name in ("slope", "tau"))
        leaves = Leaves(cell, rival, kind == ALONE, box, slope, tau, plus, minus)
        np.logical_and.at(result, (cell, rival), leaves_low(scene, ranges, leaves) > 0)
    others = np.arange(answers) != scene.labels[:, None]
    return result[others].reshape(cells, answers - 1)


def root_box(scene: Scene, ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
    """(C, variables) the whole range of each variable of a tree; of pre-activations, all floats."""
    free = np.full((len(scene.labels), scene.net.hidden), np.inf)
    parts = [(-free, free), ranges.heads]
    if scene.net.inner_eps is not None:
        parts.append((ranges.s[0][:, None], ranges.s[1][:, None]))
    return np.concatenate([part[0] for part in parts], axis=1), np.concatenate([part[1] for part in parts], axis=1)


def split_box(net: Net, low: np.ndarray, high: np.ndarray) -> Box:
    """The box of leaves, from the ends (L, variables) of the variables."""
    hidden, heads = net.hidden, net.heads
    s = low[:, hidden + heads :], high[:, hidden + heads :]
    ones = np.ones(len(low))
    return Box(
        (low[:, :hidden], high[:, :hidden]),
        (low[:, hidden : hidden + heads], high[:, hidden : hidden + heads]),
        (s[0][:, 0], s[1][:, 0]) if net.inner_eps is not None else (ones, ones),
    )
