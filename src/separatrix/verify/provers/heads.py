"""The heads prover: decides one layer of several softmax heads on product cells, cell by cell.

Exact minima of single heads decide most cells; the denominator-vertex bound (`kernel.vertices`) the others, in boxes
where one is not enough. The search is plain float64; what is proved, the kernel says, and so it does of failing inputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.arch import Attention, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import CellGroup, Labels
from separatrix.core.errors import SeparatrixError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel.case import Progress, silent
from separatrix.kernel.forward import forward
from separatrix.kernel.head_tables import MOST_HEADS, View
from separatrix.kernel.heads import ALONE, CORNERS, Trees, groups, proved, read_model
from separatrix.models.model import Model
from separatrix.verify.provers.head_search import CLEAR, Pairs, corner_minima, descend, single_minima
from separatrix.verify.provers.head_trees import NEAR, Cutter, Tree, arrays, lifted
from separatrix.verify.provers.outcome import Outcome, refute, registry

TIME_LIMIT = 300.0  # seconds of search
NUMBERS = 2**22  # in the tables of the pairs that are decided together


@registry.register("heads")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves or refutes one unmasked attention layer of 2 to 10 heads, linear read-out, on product cells."""
    why = _unsuited(model, task, n)
    if why or semantics != REAL:
        return Outcome("unknown", None, why or f"several heads are proved in real arithmetic, not {semantics}")
    try:
        found = _search(model, task, n, time.perf_counter() + TIME_LIMIT, progress)
    except SeparatrixError as error:
        return Outcome("unknown", None, str(error))
    if not isinstance(found, list):
        return found
    claim = Claim(task.name, task.parameters(), n, "correct", semantics.text)
    layer = model.arch.layers[0]
    assert isinstance(layer, Attention)
    numbers = arrays(found, layer.heads)
    certificate = Certificate("heads", claim, PROVED, task.source_sha256(), {}, numbers, model.reference())
    verdict = judge(certificate, model.arch, model.tensors, progress)
    if not verdict.accepted:
        return Outcome("unknown", None, verdict.sentence)
    return Outcome("proved", certificate, verdict.sentence)


def _search(model: Model, task: Task, n: int, deadline: float, progress: Progress) -> list[Tree] | Outcome:
    """The trees of all pairs, or why there are none: first what is cheap, for all cells, then what is left."""
    trees: list[list[Tree]] = []
    left: list[tuple[int, CellGroup, View]] = []
    cells = undecided = 0
    for piece, view in _pieces(model, task, n):
        part = decide(piece, view, 0.0, hasty=True)
        if (outcome := part.refute(model, task, n)) is not None:
            return outcome
        if (part.state == 0).any():
            left.append((len(trees), piece, view))
        trees.append(part.trees)
        cells += len(piece)
        progress(f"{cells:,} cells")
    for at, piece, view in left:
        part = decide(piece, view, 0.0 if undecided else deadline, hasty=True)
        if (outcome := part.refute(model, task, n)) is not None:
            return outcome
        undecided += int((part.state == 0).sum())
        trees[at] = part.trees
        progress(f"{len(left)} parts of the search left, at most")
    if undecided:
        return Outcome("unknown", None, f"at least {undecided} pairs of a cell and a rival are undecided")
    return [tree for some in trees for tree in some]


@dataclass(frozen=True, slots=True)
class Failure:
    """An input (positions,) on which the model errs at `query`, with its float64 margin; checked in balls."""

    tokens: np.ndarray
    query: int
    margin: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Cells by verdict: proved by the kernel, refuted by an input that the kernel evaluated, undecided.

    worst: one failing input a refuted cell, the least margin first.
    """

    proved: int
    refuted: int
    undecided: int
    cells: int
    worst: list[Failure]
    seconds: float = 0.0


def decide_cells(model: Model, task: Task, n: int, time_limit: float | None = None) -> Tally:
    """Decides every cell by itself, as `prove` would; raises SeparatrixError where the model or task is not suited.

    The time limit is for the search; cells that it does not reach are undecided.
    """
    start = time.perf_counter()
    if why := _unsuited(model, task, n):
        raise UnknownError(why)
    deadline = start + (TIME_LIMIT if time_limit is None else time_limit)
    done = refuted = cells = 0
    worst: list[Failure] = []
    for piece, view in _pieces(model, task, n):
        part = decide(piece, view, deadline, hasty=False)
        layer = model.arch.layers[0]
        assert isinstance(layer, Attention)
        trees = Trees.of(arrays(part.trees, layer.heads), layer.heads, 1)
        with np.errstate(all="ignore"):
            sure = np.atleast_1d(proved(view, trees).all(axis=1))
        for cell in range(len(sure)):
            failures = [] if sure[cell] else part.failures(model, task, n, cell)
            worst += failures[:1]
            refuted += bool(failures)
        done, cells = done + int(sure.sum()), cells + len(sure)
    worst.sort(key=lambda failure: failure.margin)
    return Tally(done, refuted, cells - done - refuted, cells, worst, time.perf_counter() - start)


def _unsuited(model: Model, task: Task, n: int) -> str:
    """Why this prover does not apply; empty when it does."""
    layer, domain = model.arch.layers[0], task.domain(n)
    if len(model.arch.layers) != 1 or not isinstance(layer, Attention) or layer.mask != "none":
        return "the model is not one unmasked attention layer"
    if not 2 <= layer.heads <= MOST_HEADS:
        return f"the model has {layer.heads} heads; this prover is for 2 to {MOST_HEADS}"
    if not isinstance(model.arch.first, Table) or not isinstance(task.outputs(), Labels):
        return "the model reads no token table or the task has no labels"
    if model.arch.first.vocabulary != domain.vocabulary or model.arch.first.positions not in (0, domain.positions):
        return f"the model's tables do not fit the task at n = {n}"
    return ""


@dataclass(frozen=True, slots=True)
class Part:
    """Some cells of a group, decided. state (P,): 1 proved, -1 an input fails, 0 neither; choice (P, J): inputs."""

    group: CellGroup
    view: View
    pairs: Pairs
    state: np.ndarray
    trees: list[Tree]
    choice: np.ndarray

    def tokens(self, pair: int) -> np.ndarray:
        """The input of a pair."""
        slots = np.arange(self.choice.shape[1])
        columns = self.view.at[self.pairs.cell[pair], slots, self.choice[pair]]
        tokens = self.view.symbols[columns]
        return tokens[tokens >= 0]  # without the blank

    def refute(self, model: Model, task: Task, n: int) -> Outcome | None:
        """The kernel's word on the first input that errs, if there is one."""
        for pair in np.flatnonzero(self.state < 0):
            outcome = refute(model, task, n, self.tokens(int(pair)), self.group.query)
            if outcome.verdict == "refuted":
                return outcome
        return None

    def failures(self, model: Model, task: Task, n: int, cell: int) -> list[Failure]:
        """Inputs of the cell on which the kernel's evaluation shows that the model errs."""
        found = []
        for pair in np.flatnonzero((self.pairs.cell == cell) & (self.state < 0)):
            tokens, query = self.tokens(int(pair)), self.group.query
            label = int(task.answer(tokens[None])[0, task.queries(n).index(query)])
            rival = int(self.pairs.rival[pair])
            logits = forward(model.transformer, model.tensors, tokens, query)
            margin = logits[[label]] - logits[[rival]]
            if task.domain(n).contains(tokens) and label != rival and margin.high[0] <= 0:
                found.append(Failure(tokens, query, float(margin.mid[0])))
        return sorted(found, key=lambda failure: failure.margin)


def _pieces(model: Model, task: Task, n: int) -> Iterator[tuple[CellGroup, View]]:
    """All cells, as many of a group at a time as fit into memory."""
    with np.errstate(all="ignore"):
        heads, domain = read_model(task, n, model.transformer, model.tensors), task.domain(n)
    for group in groups(task, n):
        widest = max(map(len, group.background or domain.alphabets))  # pyright: ignore[reportArgumentType]
        step = max(1, NUMBERS // (len(heads.bias.mid) * heads.count * len(heads.slot.mid) * widest))
        for start in range(0, len(group), step):
            cut = slice(start, start + step)
            labels = None if group.labels is None else group.labels[cut]
            piece = replace(group, positions=group.positions[cut], symbols=group.symbols[cut], labels=labels)
            with np.errstate(all="ignore"):
                view = View.of(heads, piece, domain)
            yield piece, view


@np.errstate(all="ignore")
def decide(group: CellGroup, view: View, deadline: float, hasty: bool) -> Part:
    """Per-head minima, descent, the corners of one box, then trees for what is left, until the deadline.

    `hasty` stops when an input fails.
    """
    pairs = Pairs.of(view)
    count, heads = pairs.low.shape
    state = np.zeros(count, dtype=np.int64)
    least, choice = single_minima(pairs)
    slack = least.sum(axis=1) + pairs.constant
    state[slack > CLEAR] = 1
    kinds, tau = np.full(count, ALONE), least - (slack / (2 * heads))[:, None]
    inputs = choice[:, 0].copy()
    trees = [Tree.leaf(int(kind), row) for kind, row in zip(kinds, tau, strict=True)]
    rest = np.flatnonzero(state == 0)
    if len(rest):
        margin, inputs[rest] = descend(pairs[rest], choice[rest])
        state[rest[margin < 0]] = -1
        rest = rest[margin > NEAR]
    if len(rest) and not (hasty and (state < 0).any()):
        some = pairs[rest]
        n, d = some.sums(inputs[rest][:, None])
        first = lifted((n / d)[:, 0], some.constant)
        value, _ = corner_minima(some, first, np.stack([1.0 / some.high, 1.0 / some.low], axis=1))
        good = value.min(axis=1) > CLEAR
        state[rest[good]] = 1
        for pair, row in zip(rest, first, strict=True):
            trees[pair] = Tree.leaf(CORNERS, row)
        most, _ = single_minima(some.negative())
        for at in np.flatnonzero(~good):
            if time.perf_counter() > deadline or (hasty and (state < 0).any()):
                break
            cutter = Cutter(some[np.array([at])], deadline)
            tree = cutter.tree((least[rest[at]], -most[at]), first[at])
            if tree is not None:
                trees[rest[at]], state[rest[at]] = tree, 1
            elif cutter.failing is not None:
                inputs[rest[at]], state[rest[at]] = cutter.failing, -1
    scaled = [tree.scaled(float(scale)) for tree, scale in zip(trees, pairs.scale, strict=True)]
    return Part(group, view, pairs, state, scaled, inputs)
