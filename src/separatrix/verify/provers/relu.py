"""The relu prover: decides one attention layer followed by a ReLU layer, with or without layer norms, cell by cell.

A relaxation method for all pairs of a cell and a rival at once decides most of them; the others are cut into boxes.
The search is plain float64; what is proved, the kernel says, and so it does of failing inputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.arch import Attention
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import CellGroup
from separatrix.core.errors import SeparatrixError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel.case import Progress, silent
from separatrix.kernel.forward import forward
from separatrix.kernel.labelled import groups
from separatrix.kernel.relu import Trees, proved, read_model
from separatrix.kernel.relu_bounds import Ranges
from separatrix.kernel.relu_tables import Scene
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import Outcome, refute, registry
from separatrix.verify.provers.relu_dual import CLEAR, Guess, Pairs, Point, descend, first_tau, relax
from separatrix.verify.provers.relu_search import Work
from separatrix.verify.provers.relu_trees import Forest, Tree, arrays
from separatrix.verify.provers.tally import Failure, Tally

TIME_LIMIT = 300.0  # seconds of search
ROUNDS = 40  # of the relaxation method
NUMBERS = 2**23  # in the tables of the cells that are decided together


@registry.register("relu")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves or refutes one unmasked attention layer with a ReLU layer or layer norms, on cells of every kind."""
    if semantics != REAL:
        return Outcome("unknown", None, f"ReLU layers and layer norms are proved in real arithmetic, not {semantics}")
    first = model.arch.layers[0]
    if len(model.arch.layers) == 1 and (not isinstance(first, Attention) or first.norm == "none"):
        return Outcome("unknown", None, "the model has neither a ReLU layer nor a layer norm: see the other provers")
    try:
        found = _search(model, task, n, time.perf_counter() + TIME_LIMIT, progress)
    except SeparatrixError as error:
        return Outcome("unknown", None, str(error))
    if isinstance(found, Outcome):
        return found
    claim = Claim(task.name, task.parameters(), n, "correct", semantics.text)
    certificate = Certificate("relu", claim, PROVED, task.source_sha256(), {}, found, model.reference())
    verdict = judge(certificate, model.arch, model.tensors, progress)
    if not verdict.accepted:
        return Outcome("unknown", None, verdict.sentence)
    return Outcome("proved", certificate, verdict.sentence)


def _search(model: Model, task: Task, n: int, deadline: float, progress: Progress) -> dict[str, np.ndarray] | Outcome:
    """The arrays of a certificate, or why there are none: first what is cheap, for all cells, then what is left."""
    parts: list[Part] = []
    cells = undecided = 0
    for group, work, guess in _pieces(model, task, n):
        part = decide(group, work, guess, 0.0, hasty=True)
        if (outcome := part.refute(model, task, n)) is not None:
            return outcome
        parts.append(part)
        cells += len(group)
        progress(f"{cells:,} cells")
    for part in parts:
        part.finish(0.0 if undecided else deadline, hasty=True)
        if (outcome := part.refute(model, task, n)) is not None:
            return outcome
        undecided += int((part.state == 0).sum())
    if undecided:
        return Outcome("unknown", None, f"at least {undecided} pairs of a cell and a rival are undecided")
    if not parts:
        return Outcome("unknown", None, "the task has no cells at this length")
    return arrays([tree for part in parts for tree in part.trees], [part.guess for part in parts], parts[0].work)


def decide_cells(model: Model, task: Task, n: int, time_limit: float | None = None) -> Tally:
    """Decides every cell by itself, as `prove` would; raises SeparatrixError where the model or task is not suited.

    The time limit is for the search; cells that it does not reach are undecided.
    """
    start = time.perf_counter()
    deadline = start + (TIME_LIMIT if time_limit is None else time_limit)
    parts = [decide(*piece, 0.0, hasty=False) for piece in _pieces(model, task, n)]
    done = refuted = cells = 0
    worst: list[Failure] = []
    left = sum(part.open_cells() for part in parts)
    for part in parts:
        now = time.perf_counter()
        share = max(0.0, deadline - now) * max(1, part.open_cells()) / max(1, left)
        left -= part.open_cells()
        part.finish(now + 2 * share, hasty=False)
        trees = Trees.of(arrays(part.trees, [part.guess], part.work), part.work.scene.net, 1)
        with np.errstate(all="ignore"):
            sure = np.atleast_1d(proved(part.work.scene, trees).all(axis=1))
        for cell in range(len(sure)):
            failures = [] if sure[cell] else part.failures(model, task, n, cell)
            worst += failures[:1]
            refuted += bool(failures)
        done, cells = done + int(sure.sum()), cells + len(sure)
    worst.sort(key=lambda failure: failure.margin)
    return Tally(done, refuted, cells - done - refuted, cells, worst, time.perf_counter() - start)


def _pieces(model: Model, task: Task, n: int) -> Iterator[tuple[CellGroup, Work, Guess]]:
    """All cells, as many of a group at a time as fit into memory, with their tables and guesses of ranges."""
    with np.errstate(all="ignore"):
        net, domain = read_model(task, n, model.transformer, model.tensors), task.domain(n)
    for group in groups(task, n):
        step = max(1, NUMBERS // (net.answers * (net.hidden + 1) * len(net.slot.mid)))
        for start in range(0, len(group), step):
            cut = slice(start, start + step)
            labels = None if group.labels is None else group.labels[cut]
            piece = replace(group, positions=group.positions[cut], symbols=group.symbols[cut], labels=labels)
            with np.errstate(all="ignore"):
                work = Work.of(Scene.of(net, piece, domain))
                guess = Guess.of(work)
            yield piece, work, guess


@dataclass(slots=True)
class Part:
    """Some cells of a group. state (P,): 1 proved, -1 an input fails, 0 neither; choice (P, J): inputs, as columns."""

    group: CellGroup
    work: Work
    guess: Guess
    ranges: Ranges
    pairs: Pairs
    state: np.ndarray
    trees: list[Tree]
    choice: np.ndarray

    def open_cells(self) -> int:
        """Cells that are neither proved nor refuted."""
        cells = len(self.work.scene.labels)
        bad, fine = np.zeros(cells, dtype=bool), np.ones(cells, dtype=bool)
        bad[self.pairs.cell[self.state < 0]] = True
        fine[self.pairs.cell[self.state == 0]] = False
        return int((~bad & ~fine).sum())

    def tokens(self, pair: int) -> np.ndarray:
        """The input of a pair."""
        tokens = self.work.scene.words.ids[self.choice[pair]]
        return tokens[tokens >= 0]  # without the blank

    def finish(self, deadline: float, hasty: bool) -> None:
        """Boxes for what is left, until the deadline; cells that fail anyway are left alone."""
        failed = np.zeros(len(self.work.scene.labels), dtype=bool)
        failed[self.pairs.cell[self.state < 0]] = True
        which = np.flatnonzero((self.state == 0) & ~failed[self.pairs.cell])
        if not len(which) or (hasty and failed.any()):
            return
        if self.work.scene.net.heads > 1 and self.work.scene.net.hidden:
            self._narrow(which, deadline)
            which = which[self.state[which] == 0]
            if not len(which):
                return
        start = Point(*(np.stack([getattr(self.trees[p], name)[0] for p in which]) for name in ("slope", "tau")))
        forest = Forest(self.work, self.ranges, self.pairs)
        with np.errstate(all="ignore"):
            forest.grow(which, start, deadline, hasty)
        for pair, tree in forest.trees.items():
            self.trees[pair], self.state[pair] = tree, 1
        for pair, choice in forest.failing.items():
            self.choice[pair], self.state[pair] = choice, -1

    def _narrow(self, which: np.ndarray, deadline: float) -> None:
        """Ranges of several heads together for the cells of these pairs, and another look at them."""
        with np.errstate(all="ignore"):
            for cell in np.unique(self.pairs.cell[which]):
                if time.perf_counter() < deadline:
                    self.guess.join(self.work, self.ranges, int(cell))
            self.ranges = self.guess.ranges(self.work)
            self.pairs = Pairs.of(self.work, self.ranges)
            some = self.pairs[which]
            start = Point(*(np.stack([getattr(self.trees[p], name)[0] for p in which]) for name in ("slope", "tau")))
            start.slope = np.clip(start.slope, *some.limits()[0])
            found = relax(self.work, some, ROUNDS, start, hasty=False)
        for row, pair in enumerate(which):
            self.trees[pair] = Tree().add(self.work.scene.net.heads, found.point.slope[row], found.point.tau[row])
            if found.bound[row] > CLEAR * some.scale[row]:
                self.state[pair] = 1
            elif found.value[row] < 0:
                self.state[pair], self.choice[pair] = -1, found.choice[row]

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
            if not task.domain(n).contains(tokens):
                continue
            label = int(task.answer(tokens[None])[0, task.queries(n).index(query)])
            rival = int(self.pairs.rival[pair])
            logits = forward(model.transformer, model.tensors, tokens, query)
            margin = logits[[label]] - logits[[rival]]
            if label != rival and margin.high[0] <= 0:
                found.append(Failure(tokens, query, float(margin.mid[0])))
        return sorted(found, key=lambda failure: failure.margin)


@np.errstate(all="ignore")
def decide(group: CellGroup, work: Work, guess: Guess, deadline: float, hasty: bool) -> Part:
    """The relaxation method and a descent for failing inputs; `hasty` stops when an input fails."""
    ranges = guess.ranges(work)
    pairs = Pairs.of(work, ranges)
    slope = pairs.slopes()
    tau, choice = first_tau(work, pairs, slope)
    found = relax(work, pairs, ROUNDS, Point(slope, tau), hasty)
    state = np.zeros(len(pairs), dtype=np.int64)
    state[found.bound > CLEAR * pairs.scale] = 1
    rest = np.flatnonzero(state == 0)
    if len(rest):
        for start in (choice, found.choice):
            value, where = descend(work, pairs[rest], start[rest])
            better = value < found.value[rest]
            found.value[rest[better]], found.choice[rest[better]] = value[better], where[better]
        state[rest[found.value[rest] < 0]] = -1
    heads = work.scene.net.heads
    trees = [Tree().add(heads, *row) for row in zip(found.point.slope, found.point.tau, strict=True)]
    return Part(group, work, guess, ranges, pairs, state, trees, found.choice)
