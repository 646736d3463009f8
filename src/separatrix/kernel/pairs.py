"""Certificate kind `pairs`: one head of attention over pairs of tokens, with positions, is right on every input.

The task says which pairs of held symbols decide its answer (`Task.pairs`, part of its definition). With weights e^S and
M what a pair adds to logit[label] - logit[rival], constants included, the label wins iff sum e^S M > 0 over all pairs
of tokens, the model's blank among them. Where a listed pair is held, two positions are known and the others are
anything; where none is, every pair is one that is not listed. Each pair of positions takes its least term on its own,
which is a relaxation: what is proved holds, what is not may still be true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from separatrix.core.arch import HigherOrder, Strassen, Table
from separatrix.core.domain import Ints, Labels, PairGroup, PointerSets, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.balls import Ball, exp, sum_low, times_low
from separatrix.kernel.case import Case
from separatrix.kernel.forward import products
from separatrix.kernel.strassen import pair_scores

MOST_CLASSES = 2**11  # a position and a symbol that it may hold
MOST_NUMBERS = 2**25  # pairs of them, times labels, that are held at once
MOST_WORK = 2**36  # terms in all, over queries, labels and rivals


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    with np.errstate(all="ignore"):  # overflow becomes an infinite radius, which proves nothing
        groups = check_groups(case, Part.of)
    return f"the model answers {case.where} right on every input ({groups:,} tokens that ask, real arithmetic)"


class Judge(Protocol):
    """Decides for all inputs with one token at the query."""

    def wins(self, group: PairGroup, label: int, rival: int) -> bool:
        """Whether `label` is proved to beat `rival` wherever the group says that it is the answer."""
        ...


def check_groups(case: Case, judge: Callable[[Shape, Classes], Judge]) -> int:
    """How many groups the task has, all proved; an error elsewhere."""
    case.fields()
    case.no_arrays()
    task, n, domain = case.task, case.n, case.task.domain(case.n)
    alphabets = _alphabets(domain)
    outputs = task.outputs()
    if not isinstance(outputs, Labels):
        raise UnknownError("the pairs check needs a task with labels")
    shape = Shape.of(case, domain, outputs.k)
    groups = work = 0
    for query in task.queries(n):
        found = task.pairs(n, query)
        if found is None:
            raise UnknownError(f"task {task.name} does not speak of pairs")
        seen = []
        for group in found:
            if group.query != query:
                raise RejectedError(f"task {task.name}: a group is of another query")
            seen.append(group.token)
            classes = Classes.of(shape, alphabets, query, group.token)
            part = judge(shape, classes)
            for label in np.unique([*group.labels, *([] if group.rest is None else [group.rest])]).tolist():
                if not 0 <= label < outputs.k:
                    raise RejectedError(f"task {task.name}: a group has the label {label}")
                for rival in range(outputs.k):
                    work += classes.count**2
                    if work > MOST_WORK:
                        raise UnknownError(f"more than {MOST_WORK} terms are to be added")
                    if rival != label and not part.wins(group, label, rival):
                        raise RejectedError(
                            f"token {group.token} at position {query} asks: {label} is not proved to beat {rival}"
                        )
            groups += 1
            case.progress(f"{groups:,} tokens that ask")
        if sorted(seen) != np.asarray(alphabets[query]).tolist():
            raise RejectedError(f"the task does not speak of every token at query {query} once")
    if not groups:
        raise RejectedError("the task scores no input at this length")
    return groups


@dataclass(frozen=True, slots=True)
class Shape:
    """A model that fits the task: one layer of attention over pairs, one head."""

    case: Case
    layer: HigherOrder | Strassen
    blank: bool

    @classmethod
    def of(cls, case: Case, domain: Sequence, labels: int) -> Shape:
        """RejectedError where the model does not fit the task, UnknownError for another architecture."""
        arch, layer = case.model(), case.model().layers[0]
        if len(arch.layers) != 1 or not isinstance(layer, HigherOrder | Strassen) or layer.order != 3:
            raise UnknownError("the pairs check decides models of one layer of attention over pairs of tokens")
        if layer.heads != 1:
            raise UnknownError(f"the pairs check decides one head; the model has {layer.heads}")
        if not isinstance(arch.first, Table) or arch.readout.decision != "argmax":
            raise UnknownError("the pairs check needs a token table and an argmax read-out")
        if arch.first.vocabulary != domain.vocabulary or arch.first.positions not in (0, domain.positions):
            raise RejectedError("the model's tables do not have the task's tokens and positions")
        if arch.readout.outputs != labels:
            raise RejectedError("the model's outputs do not fit the task's labels")
        return cls(case, layer, arch.blank)


@dataclass(frozen=True, slots=True)
class Classes:
    """Choices of a position and a symbol there, sorted by position, with one token at the query; the blank is the last.

    place (count,): the positions; the blank stands at one of its own. symbol: of all but the blank. number: class of
    (position, symbol). starts: where each position begins. same: pairs of two classes of one position, which no input
    holds. asking: the query's own class.
    """

    place: Ints
    symbol: Ints
    number: dict[tuple[int, int], int]
    starts: Ints
    same: np.ndarray
    asking: int

    @classmethod
    def of(cls, shape: Shape, alphabets: tuple[Ints, ...], query: int, token: int) -> Classes:
        """UnknownError where there are too many."""
        own = [np.array([token]) if j == query else np.asarray(a) for j, a in enumerate(alphabets)]
        place = np.repeat(np.arange(len(own)), [len(a) for a in own])
        symbol = np.concatenate(own)
        count = len(place) + shape.blank
        if count > MOST_CLASSES or count**2 * shape.case.model().readout.outputs > MOST_NUMBERS:
            raise UnknownError(f"{count} choices of a position and a symbol are too many for their pairs to be held")
        number = {pair: c for c, pair in enumerate(zip(place.tolist(), symbol.tolist(), strict=True))}
        place = np.append(place, len(own)) if shape.blank else place
        same = (place[:, None] == place) & ~np.eye(count, dtype=bool)
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        return cls(place, symbol, number, starts, same, number[query, token])

    @property
    def count(self) -> int:
        """How many, the blank included."""
        return len(self.place)

    def held(self, group: PairGroup) -> list[tuple[int, int, int]]:
        """(class, class, label) of the listed pairs that an input with this token can hold."""
        where, what = group.positions, group.symbols
        if where.shape != what.shape or where.shape != (len(group.labels), 2):
            raise RejectedError("the task's pairs do not name two positions, two symbols and a label each")
        held = []
        for (p, q), (a, b), label in zip(where.tolist(), what.tolist(), group.labels.tolist(), strict=True):
            if not (0 <= p <= int(self.place[-1]) and 0 <= q <= int(self.place[-1])):
                raise RejectedError("the task's pairs name a position that is not there")
            one, two = self.number.get((p, a)), self.number.get((q, b))
            if one is not None and two is not None and (p != q or a == b):
                held.append((one, two, label))
        return held

    def unlisted(self, held: list[tuple[int, int, int]]) -> bool:
        """Whether no two positions hold a listed pair whatever they hold: else every input holds one."""
        missing = ~self.same
        for one, two, _ in held:
            missing[one, two] = False
        some = np.logical_or.reduceat(np.logical_or.reduceat(missing, self.starts, 0), self.starts, 1)
        return bool(some.all())


@dataclass(frozen=True, slots=True)
class Part:
    """Of all pairs of classes: weight (classes, classes), logits (classes, classes, labels), constants included."""

    classes: Classes
    weight: Ball
    logits: Ball

    @classmethod
    def of(cls, shape: Shape, classes: Classes) -> Part:
        """From the model."""
        x, t, layer = _stream(shape, classes), shape.case.tensors, shape.layer
        asking = x[[classes.asking]]
        if isinstance(layer, Strassen):
            score = pair_scores(layer, t, 0, 0, x, asking)[0]
        else:
            key = products([x @ Ball.exact(map_[0]) for map_ in t["layers.0.keys"]])
            asks = (asking @ Ball.exact(t["layers.0.query"][0])) * Ball.exact(np.float64(layer.scale))
            score = (key @ asks[0][:, None])[:, 0]
        weight = exp(score - Ball.exact(np.float64(score.mid.max())))
        readout = Ball.exact(t["readout.weight"])
        constant = Ball.exact(t["readout.bias"])
        if layer.residual:
            constant = constant + (asking @ readout)[0]
        value = products([x @ Ball.exact(map_[0]) for map_ in t["layers.0.values"]])
        logits = value @ (Ball.exact(t["layers.0.output"][0]) @ readout) + constant[None]
        size = (classes.count, classes.count)
        square = Ball(weight.mid.reshape(size), weight.rad.reshape(size))
        cube = Ball(logits.mid.reshape(*size, -1), logits.rad.reshape(*size, -1))
        return cls(classes, square, cube)

    def wins(self, group: PairGroup, label: int, rival: int) -> bool:
        """Whether `label` is proved to beat `rival` wherever the group says that it is the answer."""
        margin = (self.logits[:, :, label] - self.logits[:, :, rival]).low
        term = times_low(np.maximum(self.weight.low, 0.0), self.weight.high, margin)
        term = np.where(self.classes.same, np.inf, np.where(np.isfinite(term), term, -np.inf))
        held, starts = self.classes.held(group), self.classes.starts
        cells = [(one, two) for one, two, answer in held if answer == label]
        if cells and not (self._forced(term, np.array(cells)) > 0).all():
            return False
        if group.rest != label:
            return True
        for one, two, _ in held:
            term[one, two] = np.inf
        if not self.classes.unlisted(held):
            return True
        rows = np.minimum.reduceat(term, starts, axis=0)
        return bool(sum_low(np.minimum.reduceat(rows, starts, axis=1).reshape(-1)) > 0)

    def _forced(self, term: np.ndarray, cells: Ints) -> np.ndarray:
        """(cells,) floats below the sum over all pairs where two classes are held, the rest free."""
        starts = self.classes.starts
        down, across = (np.minimum.reduceat(term, starts, axis=axis) for axis in (0, 1))
        blocks = np.minimum.reduceat(down, starts, axis=1)
        low = np.empty(len(cells))
        places = self.classes.place[cells]
        for pair in np.unique(places, axis=0):
            at = np.flatnonzero((places == pair).all(axis=1))
            free = np.ones(len(starts), dtype=bool)
            free[pair] = False
            rest = sum_low(blocks[np.ix_(free, free)].reshape(-1)) if free.any() else 0.0
            parts = [np.full(len(at), rest)]
            known = cells[at][:, : len(np.unique(pair))]
            for c in known.T:
                if free.any():
                    parts += [sum_low(across[c][:, free], axis=1), sum_low(down[:, c][free], axis=0)]
                parts += [term[c, other] for other in known.T]
            low[at] = sum_low(np.stack(parts))
        return low


def _stream(shape: Shape, classes: Classes) -> Ball:
    """(classes, d) the embedded tokens, then the blank."""
    t, here = shape.case.tensors, len(classes.symbol)
    x = Ball.exact(t["embed.token"][classes.symbol])
    if "embed.position" in t:
        x = x + Ball.exact(t["embed.position"][classes.place[:here]])
    if shape.blank:
        own = Ball.exact(t["embed.blank"][None])
        x = Ball(np.concatenate([x.mid, own.mid]), np.concatenate([x.rad, own.rad]))
    return x


def _alphabets(domain: Sequence) -> tuple[Ints, ...]:
    """One sorted array of symbols a position; UnknownError for domains of other kinds."""
    if domain.constraint.kind != "product" or domain.reals is not None or domain.lengths:
        raise UnknownError("the pairs check needs a product domain of symbols and one length")
    found = []
    for alphabet in domain.alphabets:
        if isinstance(alphabet, PointerSets):
            raise UnknownError("the pairs check needs one symbol a token")
        if not len(alphabet) or alphabet.min() < 0 or alphabet.max() >= domain.vocabulary:
            raise RejectedError("the domain allows no symbol, or one outside its vocabulary")
        found.append(alphabet)
    return tuple(found)
