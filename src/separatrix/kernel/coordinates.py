"""Certificate kind `coordinates`: Bob can read each of Alice's coordinates, so a state keeps all of them.

Alice holds the positions before the cut: used position p any symbol of a set A_p, every other one a fixed filler. For
each p the evidence names Bob's tokens y_p and a scored position of his. If on the whole product of the sets the answer
at (x, y_p) depends on x_p alone, and injectively, then different x have different rows: prod |A_p| rows, and a
recurrent model carries sum log2 |A_p| bits across the cut (index lookup: Bhattamishra et al. 2024, Theorem 3).
Labels are read off the task's cells: a cell that contains every such input with x_p = s carries the answer for s. For
tasks without cells they come from `Task.constant`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from separatrix.core.domain import CellGroup, Labels, PointerSets, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel import levels
from separatrix.kernel.case import Case
from separatrix.kernel.needs import (
    claimed,
    cut_of,
    inside,
    integers,
    log2_low,
    named_arrays,
    numbered,
    open_domain,
    require,
    require_legal,
    shown,
)

MOST_WORK = 2**31  # cells and background entries that are streamed


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    claim = claimed(case, "rnn", "state")
    domain = open_domain(case)
    real = not isinstance(case.task.outputs(), Labels)
    cut, used, amount = levels.amount(case, domain) if real else _amount(case, domain)
    require(claim, amount, "bits")
    return (
        f"every recurrent model (any transition, one pass) that answers {case.where} right at the positions from {cut} "
        f"on carries at least {shown(claim)} bits across that cut (coordinates that Bob can read: {used})"
    )


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes {x in the product of the A_p : x_p = s, Bob holds y_p}, one for each entry of `symbols`.

    Attributes:
        cut: Alice's positions are 0 .. cut-1. positions (u,): the used ones, increasing.
        offsets (u+1,): A_p of the k-th used position is symbols[offsets[k]:offsets[k+1]], increasing.
        fillers (cut,): the symbol at an unused position. single (positions,): False at used positions.
        suffixes (u, rest), queries (u,): Bob's tokens and his scored position for the k-th used position.
        found: (len(symbols),) the label of the cell that contains the box, -1 where none is known yet.
    """

    cut: int
    positions: np.ndarray
    offsets: np.ndarray
    symbols: np.ndarray
    fillers: np.ndarray
    single: np.ndarray
    suffixes: np.ndarray
    queries: np.ndarray
    found: np.ndarray

    @classmethod
    def of(cls, case: Case, domain: Sequence) -> Boxes:
        """From the evidence; InputError or RejectedError where it is malformed or illegal."""
        (cut,) = case.fields(cut=int)
        cut_of(cut, domain)
        named_arrays(case, "positions", "offsets", "symbols", "fillers", "suffixes", "queries")
        positions = integers(case, "positions", None)
        u = len(positions)
        offsets, symbols = integers(case, "offsets", u + 1), integers(case, "symbols", None)
        fillers, queries = integers(case, "fillers", cut), integers(case, "queries", u)
        suffixes = integers(case, "suffixes", u, domain.positions - cut)
        if not u or positions[0] < 0 or positions[-1] >= cut or (np.diff(positions) <= 0).any():
            raise InputError("positions must increase and lie before the cut")
        if offsets[0] != 0 or offsets[-1] != len(symbols) or (np.diff(offsets) < 2).any():
            raise InputError("offsets must split symbols into sets of two or more")
        if (np.delete(np.diff(symbols), offsets[1:-1] - 1) <= 0).any():
            raise InputError("symbols must increase within each set")
        if not set(queries.tolist()) <= {q for q in case.task.queries(case.n) if q >= cut}:
            raise RejectedError("a query is not a scored position on Bob's side")
        places = np.repeat(positions, np.diff(offsets))
        if not inside(domain.alphabets, places, symbols).all():
            raise RejectedError("an allowed symbol is not legal at its position")
        require_legal(domain, 0, fillers[None], "fillers")
        require_legal(domain, cut, suffixes, "suffixes")
        single = np.ones(domain.positions, dtype=bool)
        single[positions] = False
        found = np.full(len(symbols), -1, dtype=np.int64)
        return cls(cut, positions, offsets, symbols, fillers, single, suffixes, queries, found)

    def alice(self) -> tuple[np.ndarray, np.ndarray]:
        """(places, symbols): everything that Alice may hold."""
        free = np.flatnonzero(self.single[: self.cut])
        places = np.r_[free, np.repeat(self.positions, np.diff(self.offsets))]
        return places, np.r_[self.fillers[free], self.symbols]

    def unread(self, at: int) -> RejectedError:
        """What is said of box `at` that no cell contains."""
        k = int(np.searchsorted(self.offsets, at, side="right")) - 1
        where = f"position {self.positions[k]} = {self.symbols[at]}"
        return RejectedError(f"{where}: the answer is not known with these Bob tokens")

    def enter(self, at: np.ndarray, labels: np.ndarray) -> None:
        """Notes the labels of boxes `at`; two cells that contain one box must agree."""
        before = self.found[at]
        self.found[at] = labels
        if (labels < 0).any() or (self.found[at] != labels).any() or ((before >= 0) & (before != labels)).any():
            raise RejectedError("cells of this task that share an input carry different answers")


def _amount(case: Case, domain: Sequence) -> tuple[int, int, Fraction]:
    """(cut, coordinates, bits) that the evidence shows."""
    if domain.reals is not None or any(isinstance(a, PointerSets) for a in numbered(domain.alphabets)[1]):
        raise UnknownError("coordinates with labels are checked for one symbol a token")
    boxes, outputs = Boxes.of(case, domain), case.task.outputs()
    if isinstance(outputs, Labels) and np.diff(boxes.offsets).max() > outputs.k:  # before any box is read
        raise RejectedError("two symbols of one position get the same answer: there are more symbols than answers")
    work = MOST_WORK
    for query in np.unique(boxes.queries).tolist():
        groups = case.task.cells(case.n, query)
        if groups is None:
            work = _constant(case, boxes, query, work)
            continue
        waiting: dict[int, list[int]] = {}
        for k in np.flatnonzero(boxes.queries == query).tolist():
            waiting.setdefault(int(boxes.suffixes[k, query - boxes.cut]), []).append(k)
        for group in groups:
            work -= 1 + len(group) + (0 if group.background is None else domain.positions)
            if work < 0:
                raise UnknownError(f"this task has more than {MOST_WORK} cells to read")
            if group.query != query or group.labels is None or isinstance(group.token, tuple):
                raise RejectedError("the task gave cells of another query, or without labels")
            if group.constraint.kind == "product" and (asked := waiting.get(int(group.token))):
                _read(boxes, group, asked)
    if (boxes.found < 0).any():
        raise boxes.unread(int(np.argmax(boxes.found < 0)))
    sizes = np.diff(boxes.offsets)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((boxes.found, owner))
    if ((np.diff(owner[order]) == 0) & (np.diff(boxes.found[order]) == 0)).any():
        raise RejectedError("two symbols of one position get the same answer")
    each = zip(*np.unique(sizes, return_counts=True), strict=True)
    return boxes.cut, len(sizes), sum((int(count) * log2_low(int(size)) for size, count in each), Fraction(0))


def _constant(case: Case, boxes: Boxes, query: int, work: int) -> int:
    """Notes what the task says of every box that is asked about at `query`; returns the work that is left."""
    task = case.task
    if type(task).constant is Task.constant:  # it decides no boxes
        raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
    sets = np.split(boxes.symbols, boxes.offsets[1:-1])
    hers = [boxes.fillers[p : p + 1] for p in range(boxes.cut)]
    for p, symbols in zip(boxes.positions.tolist(), sets, strict=True):
        hers[p] = symbols
    for k in np.flatnonzero(boxes.queries == query).tolist():
        his = list(boxes.suffixes[k][:, None])
        for at, symbol in enumerate(sets[k].tolist(), int(boxes.offsets[k])):
            work -= len(boxes.symbols) + len(boxes.single)
            if work < 0:
                raise UnknownError(f"this task has more than {MOST_WORK} symbols of boxes to read")
            box = [*hers, *his]
            box[int(boxes.positions[k])] = np.array([symbol])
            label = task.constant(case.n, query, tuple(box))
            if label is None:
                raise boxes.unread(at)
            boxes.found[at] = label
    return work


def _read(boxes: Boxes, group: CellGroup, asked: list[int]) -> None:
    """Notes the label of every box of the used positions `asked` that lies in a cell of the group.

    A box lies in a cell iff each forced position holds the forced symbol in every input of the box, and each other
    position (but the query) only symbols of the background; the domain's own alphabets contain every box.
    """
    background, forced, held = group.background, group.positions, group.symbols
    assert group.labels is not None
    outside = np.zeros(0, dtype=np.int64)
    if background is not None:
        places, symbols = boxes.alice()
        outside = np.unique(places[~inside(background, places, symbols)])
    for k in asked:
        p, suffix, start, stop = boxes.positions[k], boxes.suffixes[k], boxes.offsets[k], boxes.offsets[k + 1]
        own = forced == p
        mine = forced < boxes.cut
        value = np.where(
            mine, boxes.fillers[np.where(mine, forced, 0)], suffix[np.where(mine, boxes.cut, forced) - boxes.cut]
        )
        fits = (own | (boxes.single[forced] & (value == held))).all(axis=1)
        allowed = np.ones(stop - start, dtype=bool)
        if background is not None:
            bob = np.arange(boxes.cut, len(boxes.single))
            beyond = np.r_[outside, bob[~inside(background, bob, suffix)]]
            beyond = beyond[(beyond != p) & (beyond != group.query)]
            if len(beyond) > forced.shape[1]:
                continue
            fits &= (forced[:, :, None] == beyond).any(axis=1).all(axis=1)
            allowed = np.isin(boxes.symbols[start:stop], background[int(p)])
        names = own.any(axis=1)
        cells = np.flatnonzero(fits & names)  # the cell forces p: it contains the box of that symbol alone
        if len(cells):
            high = np.where(own[cells], held[cells], np.iinfo(np.int64).min).max(axis=1)
            low = np.where(own[cells], held[cells], np.iinfo(np.int64).max).min(axis=1)
            at = start + np.searchsorted(boxes.symbols[start:stop], high)
            good = (at < stop) & (high == low)
            good[good] = boxes.symbols[at[good]] == high[good]
            boxes.enter(at[good], group.labels[cells[good]])
        for cell in np.flatnonzero(fits & ~names):  # the cell leaves p free: it contains the boxes of allowed symbols
            at = start + np.flatnonzero(allowed)
            boxes.enter(at, np.full(len(at), group.labels[cell]))
