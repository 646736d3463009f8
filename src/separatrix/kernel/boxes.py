"""Certificate kind `boxes`: Bob can read each of Alice's positions, wherever they stand.

Alice's k-th position may hold any symbol of a set A_k. For each k the evidence names words for Bob's positions (often
one). If for every symbol s of A_k and each of these words the answer is one and the same on the box {Alice's k-th
position holds s, her others anything in their sets, Bob that word}, and different s differ at some of the words, then
any two of her words are told apart: prod |A_k| rows. The answer on a box comes from `Task.constant`, or from a cell
that contains it.

Claims: `state` of `rnn` (field `cut`: her positions lie before it, Bob's words agree there, the query lies after it),
and `one-way` of `transformer` (the token at the query is always the same): bits of a message after which Bob answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from separatrix.core.domain import CellGroup, Constraint, Labels, PointerSets, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.case import Case
from separatrix.kernel.needs import (
    MOST_POSITIONS,
    claimed,
    inside,
    integers,
    log2_low,
    named_arrays,
    numbered,
    require,
    shown,
)

MOST_WORK = 2**31  # entries of cells and words that are compared


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    target = (case.claim.arch, case.claim.measure)
    if target not in (("rnn", "state"), ("transformer", "one-way")):
        raise RejectedError(f"this kind says nothing about {target[1]} of {target[0]}")
    amount, state = claimed(case, *target), target[1] == "state"
    query, *cut = case.fields(query=int, **({"cut": int} if state else {}))
    if case.n > MOST_POSITIONS:
        raise UnknownError(f"inputs of more than {MOST_POSITIONS} positions are not checked")
    domain = case.task.domain(case.n)
    pointers = any(isinstance(a, PointerSets) for a in numbered(domain.alphabets)[1])
    if domain.constraint.kind not in ("product", "distinct") or domain.lengths or domain.reals or pointers:
        raise UnknownError("boxes are checked for words of one length, of one symbol a token")
    if not isinstance(case.task.outputs(), Labels) or query not in case.task.queries(case.n):
        raise RejectedError(f"position {query} is not scored with labels")
    boxes = Boxes.of(case, domain, query)
    if state:
        before = np.delete(boxes.words[:, : cut[0]], boxes.positions[boxes.positions < cut[0]], axis=1)
        if not 0 < cut[0] <= query or boxes.positions[-1] >= cut[0] or (before != before[:1]).any():
            raise RejectedError("Alice must hold everything before the cut, the same for all of Bob's words")
    elif (boxes.words[:, query] != boxes.words[0, query]).any():
        raise RejectedError("the token at the query must be known to both")
    seen: list[list[tuple[int | None, ...]]] = [[() for _ in symbols] for symbols in boxes.sets]
    for owner, labels in zip(boxes.owners.tolist(), _labels(case, boxes), strict=True):
        if None in labels:
            place, symbol = boxes.positions[owner], boxes.sets[owner][labels.index(None)]
            raise RejectedError(f"position {place} = {symbol}: the answer on that box is not known")
        seen[owner] = [(*past, label) for past, label in zip(seen[owner], labels, strict=True)]
    if any(len(set(answers)) != len(answers) for answers in seen):
        raise RejectedError("two symbols of one position get the same answers")
    require(amount, sum((log2_low(len(symbols)) for symbols in boxes.sets), Fraction(0)), "bits")
    if state:
        return (
            f"every recurrent model (any transition, one pass) that answers {case.where} right at position {query} "
            f"carries at least {shown(amount)} bits across cut {cut[0]} (Bob can read {len(boxes.sets)} positions)"
        )
    return (
        f"whoever holds these {len(boxes.sets)} positions of {case.where} sends at least {shown(amount)} bits to a "
        f"party that holds the others and then answers right at position {query}, whose token is common knowledge"
    )


@dataclass(frozen=True, slots=True)
class Boxes:
    """Alice's positions (u,), increasing, with their sets; Bob's words (w, positions), -1 at Alice's; the query.

    owners: (w,) which of Alice's positions each word asks about.
    """

    query: int
    positions: np.ndarray
    sets: list[np.ndarray]
    words: np.ndarray
    owners: np.ndarray
    places: np.ndarray = field(repr=False)  # of all entries of `sets`, one after the other
    symbols: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, case: Case, domain: Sequence, query: int) -> Boxes:
        """From the evidence; InputError or RejectedError where it is malformed, or a box holds illegal inputs."""
        named_arrays(case, "positions", "offsets", "symbols", "words", "owners")
        positions, n = integers(case, "positions", None), domain.positions
        u = len(positions)
        offsets, symbols = integers(case, "offsets", u + 1), integers(case, "symbols", None)
        words, owners = integers(case, "words", None, n), integers(case, "owners", None)
        if not u or positions[0] < 0 or positions[-1] >= n or (np.diff(positions) <= 0).any():
            raise InputError("positions must increase, and be there")
        if offsets[0] != 0 or offsets[-1] != len(symbols) or (np.diff(offsets) < 2).any():
            raise InputError("offsets must split symbols into sets of two or more")
        if (np.delete(np.diff(symbols), offsets[1:-1] - 1) <= 0).any():
            raise InputError("symbols must increase within each set")
        if len(owners) != len(words) or not len(words) or owners.min() < 0 or owners.max() >= u:
            raise InputError("every word of Bob's must ask about one of Alice's positions")
        if (positions == query).any() or (words[:, positions] != -1).any():
            raise InputError("Bob's words hold -1 at Alice's positions, and the query is not hers")
        places, others = np.repeat(positions, np.diff(offsets)), np.delete(np.arange(n), positions)
        if (
            not inside(domain.alphabets, places, symbols).all()
            or not inside(domain.alphabets, np.tile(others, len(words)), words[:, others].reshape(-1)).all()
        ):
            raise RejectedError("a symbol is not legal at its position")
        boxes = cls(query, positions, np.split(symbols, offsets[1:-1]), words, owners, places, symbols)
        if not all(boxes.obeys(w, domain.constraint) for w in range(len(words))):
            raise RejectedError("a box holds inputs that the task does not have")
        return boxes

    def obeys(self, w: int, constraint: Constraint) -> bool:
        """Whether every input of the boxes of word w obeys (for `distinct`: Alice's symbols keep their class)."""
        if constraint.kind == "product":
            return True
        if constraint.kind != "distinct":
            return False
        tied = set(constraint.places(self.words.shape[1]).tolist()) | {constraint.present}
        word = self.words[w].copy()
        for position, symbols in zip(self.positions.tolist(), self.sets, strict=True):
            if position in tied and len(set(constraint.class_of(symbols).tolist())) != 1:
                return False
            word[position] = symbols[0]
        return bool(constraint.holds(word[None])[0])

    def box(self, w: int, symbol: int) -> tuple[np.ndarray, ...]:
        """The sets of every position: one symbol, but for Alice's positions that word w does not ask about."""
        box = list(self.words[w][:, None])
        for position, symbols in zip(self.positions.tolist(), self.sets, strict=True):
            box[position] = symbols
        box[self.positions[self.owners[w]]] = np.array([symbol])
        return tuple(box)

    def in_cell(self, w: int, symbol: int, group: CellGroup, beyond: np.ndarray) -> int | None:
        """The label of a cell of the group that contains the box; `beyond` are the positions outside its background.

        A cell contains a box iff each forced position holds the forced symbol alone, and each other one (but the
        query) only symbols of the background.
        """
        assert group.labels is not None
        word, own = self.words[w].copy(), self.positions[self.owners[w]]
        word[own] = symbol
        fits = (word[group.positions] == group.symbols).all(axis=1)  # -1, where Alice is free, is no symbol
        if group.background is not None:
            if not (group.background[int(own)] == symbol).any():
                beyond = np.append(beyond, own)
            if len(beyond) > group.positions.shape[1]:
                return None
            fits &= (group.positions[:, :, None] == beyond).any(axis=1).all(axis=1)
        cells = np.flatnonzero(fits)
        return int(group.labels[cells[0]]) if len(cells) else None


def _labels(case: Case, boxes: Boxes) -> list[list[int | None]]:
    """For each word the answers by symbol, None where one is not known."""
    n, query, task, work = case.n, boxes.query, case.task, MOST_WORK
    if type(task).constant is Task.constant:  # it decides no boxes
        return _by_cells(case, boxes)
    found: list[list[int | None]] = []
    for w, owner in enumerate(boxes.owners.tolist()):
        work -= len(boxes.sets[owner]) * (len(boxes.places) + boxes.words.shape[1]) ** 2
        if work < 0:
            raise UnknownError("these are too many boxes to decide")
        found.append([task.constant(n, query, boxes.box(w, symbol)) for symbol in boxes.sets[owner].tolist()])
    return found


def _by_cells(case: Case, boxes: Boxes) -> list[list[int | None]]:
    task, query, work = case.task, boxes.query, MOST_WORK
    found: list[list[int | None]] = [[None] * len(boxes.sets[owner]) for owner in boxes.owners.tolist()]
    groups = task.cells(case.n, query)
    if groups is None:
        raise UnknownError(f"task {task.name} has no cells that say what it answers on these boxes")
    waiting: dict[int, list[int]] = {}
    for w, token in enumerate(boxes.words[:, query].tolist()):
        waiting.setdefault(token, []).append(w)
    for group in groups:
        if group.query != query or group.labels is None or isinstance(group.token, tuple):
            raise RejectedError("the task gave cells of another query, or without labels")
        for w in waiting.get(int(group.token), ()):
            symbols = boxes.sets[boxes.owners[w]]
            work -= group.positions.size * len(symbols) + boxes.words.shape[1]
            if work < 0:
                raise UnknownError("these are too many cells to read")
            if not boxes.obeys(w, group.constraint):
                continue
            beyond = _beyond(boxes, w, group)
            for at, symbol in enumerate(symbols.tolist()):
                if found[w][at] is None:
                    found[w][at] = boxes.in_cell(w, symbol, group, beyond)
        work -= len(group)
    return found


def _beyond(boxes: Boxes, w: int, group: CellGroup) -> np.ndarray:
    """Positions, but the query and the one that word w asks about, that may hold symbols outside the background."""
    if group.background is None:
        return np.zeros(0, dtype=np.int64)
    others = np.delete(np.arange(boxes.words.shape[1]), boxes.positions)
    bob = others[~inside(group.background, others, boxes.words[w, others])]
    hers = boxes.places[~inside(group.background, boxes.places, boxes.symbols)]
    beyond = np.unique(np.concatenate([bob, hers]))
    return beyond[(beyond != group.query) & (beyond != boxes.positions[boxes.owners[w]])]
