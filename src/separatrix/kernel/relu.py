"""Certificate kind `relu`: one attention layer, then perhaps a ReLU layer, answers right on every input of every cell.

Layer norms may stand before either and at the end. Array `range` (cells, 2, R, H) guesses, for every feature that is
ranged (see `relu_net`), the least and the greatest share of each head: the kernel derives ranges from it that hold for
any guess (see `relu_ranges`). The other arrays give, for every cell and every other answer in the order in which the
task lists them, one tree that cuts the cell, in preorder, and multipliers for each leaf (see `relu_bounds`). `node`
(K,) holds
    v >= 0   two children follow: variable v is at most the next number of `split`, then at least that number; the
             variables are the F pre-activations (times s), the H denominators, and s where there is an inner norm;
             from their number on, v counts slots: the slot holds a symbol in the next set of `symbols`, then none;
    -1       a leaf, every head alone;
    -2       the corners of the box of all 1 / D_h;
    -3       the same, with multipliers for the box.
`split` (cut variables,), `symbols` (cut slots, symbols in bytes of eight), `slope` (leaves, F), `tau` (leaves, H;
width 0 where H = 1), `plus` and `minus` (leaves -3, 2, H) are read in the same order. A box that holds no input, by the
ranges that the kernel derived, needs no proof. In a floating-point format every margin must exceed what the format may
take from it (see `relu_loss`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Arch
from separatrix.core.errors import RejectedError
from separatrix.core.semantics import FloatSpec
from separatrix.core.task import Task
from separatrix.kernel.case import Case
from separatrix.kernel.labelled import fitting_domain, groups
from separatrix.kernel.relu_bounds import Box, Leaves, leaves_low
from separatrix.kernel.relu_net import Net
from separatrix.kernel.relu_ranges import Ranges, units
from separatrix.kernel.relu_tables import Scene
from separatrix.kernel.relu_trees import ALONE, MULTIPLIERS, Trees


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    task, n = case.task, case.n
    net = read_model(task, n, case.model(), case.tensors, case.semantics.spec)
    trees = Trees.of(case.arrays, net, task.domain(n).vocabulary)
    cells = 0
    for group in groups(task, n):
        cells += len(group)
        with np.errstate(all="ignore"):  # overflow becomes an infinity, which proves nothing
            scene = Scene.of(net, group, task.domain(n))
            bad = np.argwhere(~(margins_low(scene, trees) > 0))
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
    return f"the model answers {case.where} right on every input ({cells} cells, {case.semantics} arithmetic)"


def read_model(task: Task, n: int, arch: Arch, tensors: Mapping[str, np.ndarray], spec: FloatSpec | None = None) -> Net:
    """The model, once task and model fit each other; RejectedError or UnknownError otherwise."""
    domain = fitting_domain(task, n, arch, "relu")
    with np.errstate(all="ignore"):
        return Net.of(arch, tensors, domain.positions, spec)


def margins_low(scene: Scene, trees: Trees) -> np.ndarray:
    """(cells, k - 1) floats below logit[label] - logit[other], times what norms divide by, for a whole group.

    By the next trees; a positive number proves that the label beats that answer. In a floating-point format these are
    the margins as computed.
    """
    net, cells, answers = scene.net, len(scene.labels), scene.net.answers
    ranges = trees.ranges(scene)
    low, high = root_box(scene, ranges)
    rows: list[tuple[int, int, int, int, int]] = []  # cell, rival, kind, leaf, number of the multipliers
    lows, highs, parts, only = [], [], [], []
    for cell in range(cells):
        for rival in (r for r in range(answers) if r != scene.labels[cell]):
            for kind, leaf, number, a, b, part in trees.take(scene.words, cell, low[cell], high[cell]):
                rows.append((cell, rival, kind, leaf, number if kind == MULTIPLIERS else -1))
                lows.append(a)
                highs.append(b)
                parts.append(-1 if part is None else len(only))
                only += [] if part is None else [part]
    result, taken = np.full((cells, answers), np.inf), np.zeros((cells, answers))
    if scene.loss is not None:
        taken = scene.loss.taken(scene.labels, units(scene, ranges.features, ranges.s)[1])
    if rows:
        cell, rival, kind, leaf, number = np.array(rows).T
        plus, minus = np.zeros((2, len(rows), 2, net.heads))
        for array, name in ((plus, "plus"), (minus, "minus")):
            array[number >= 0] = trees.arrays[name][number[number >= 0]]
        whole = scene.words.parts(np.array(only, dtype=bool).reshape(len(only), *scene.words.allowed.shape))
        box = split_box(net, np.array(lows), np.array(highs), np.array(parts), whole)
        slope, tau = (trees.arrays[name][leaf] for name in ("slope", "tau"))
        leaves = Leaves(cell, rival, kind == ALONE, box, slope, tau, plus, minus, taken[cell, rival])
        np.minimum.at(result, (cell, rival), leaves_low(scene, ranges, leaves))
    others = np.arange(answers) != scene.labels[:, None]
    return result[others].reshape(cells, answers - 1)


def root_box(scene: Scene, ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
    """(C, variables) the whole range of each variable of a tree; of pre-activations, all floats."""
    free = np.full((len(scene.labels), scene.net.hidden), np.inf)
    parts = [(-free, free), ranges.heads]
    if scene.net.inner_eps is not None:
        parts.append((ranges.s[0][:, None], ranges.s[1][:, None]))
    return np.concatenate([part[0] for part in parts], axis=1), np.concatenate([part[1] for part in parts], axis=1)


def split_box(net: Net, low: np.ndarray, high: np.ndarray, part: np.ndarray, only: np.ndarray) -> Box:
    """The box of leaves, from the ends (L, variables) of the variables and what the slots hold (see `Box`)."""
    hidden, heads = net.hidden, net.heads
    s = low[:, hidden + heads :], high[:, hidden + heads :]
    ones = np.ones(len(low))
    return Box(
        (low[:, :hidden], high[:, :hidden]),
        (low[:, hidden : hidden + heads], high[:, hidden : hidden + heads]),
        (s[0][:, 0], s[1][:, 0]) if net.inner_eps is not None else (ones, ones),
        part,
        only,
    )
