"""Certificate kind `tuples`: one layer of attention over tuples of tokens answers right on every input.

The task asks whether some tuple of positions holds a hit (`Task.tuples`, part of its definition). With weights e^S and
M what a tuple adds to logit[label] - logit[rival], constants included, the label wins iff sum e^S M > 0 over all
tuples. Where a hit occurs, one tuple is a hit and the others are anything; where none does, every tuple is one of the
others, and so are mixed tuples with the model's blank. Tuples overlap, so treating them as independent is a relaxation:
what is proved holds, what is not may still be true. Several heads are bounded one by one, which is another relaxation.
Positions must not matter to the model, so that N enters as a factor alone and the work does not grow with N.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import HigherOrder, Strassen, Table
from separatrix.core.domain import Labels, PointerSets, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.balls import Ball, exp, sum_low, times_low
from separatrix.kernel.case import Case
from separatrix.kernel.forward import products
from separatrix.kernel.strassen import pair_scores

MOST_TUPLES = 2**22  # of symbols, that one table holds
MOST_WORK = 2**34  # exponentials in all
MOST_HEADS = 8
LEVELS = 16  # how finely the mean of one head of several is known


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    given = asked(case)
    with np.errstate(all="ignore"):  # overflow becomes an infinite radius, which proves nothing
        tables = Tables.of(case)
        for done, (token, hits) in enumerate(given.tokens):
            tables.check(token, hits, given.positions)
            case.progress(f"{done + 1:,} tokens")
    return f"the model answers {case.where} right on every input ({len(given.tokens)} tokens that ask, real arithmetic)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the task asks of tuples: tokens with their hits (k, slots), every pair once."""

    tokens: list[tuple[int, np.ndarray]]
    slots: int
    positions: int


def asked(case: Case) -> Asked:
    """RejectedError where the model does not fit the task, UnknownError for another task or architecture."""
    case.fields()
    case.no_arrays()
    task, n, domain = case.task, case.n, case.task.domain(case.n)
    vocabulary, arch, outputs = _vocabulary(domain), case.model(), task.outputs()
    match arch.layers:
        case (HigherOrder() | Strassen() as layer,) if layer.heads <= MOST_HEADS:
            pass
        case _:
            raise UnknownError(
                f"the tuples check decides models of one layer of attention over tuples, up to {MOST_HEADS} heads"
            )
    if not isinstance(arch.first, Table) or arch.first.positions:
        raise UnknownError("the tuples check needs a token table without positions")
    if arch.first.vocabulary != vocabulary or outputs != Labels(2) or arch.readout.outputs != 2:
        raise RejectedError("the model's tokens or outputs do not fit the task")
    if arch.readout.decision != "argmax":
        raise UnknownError("the tuples check needs an argmax read-out")
    slots, rows = layer.order - 1, vocabulary + arch.blank
    if rows**slots > MOST_TUPLES or domain.positions**slots > 2**53:
        raise UnknownError(f"{rows} symbols or {domain.positions} positions have too many tuples")
    found: dict[tuple[int, bytes], np.ndarray] = {}
    for query in task.queries(n):
        groups = task.tuples(n, query)
        if groups is None:
            raise UnknownError(f"task {task.name} does not ask for tuples")
        seen = []
        for group in groups:
            seen.append(group.token)
            if group.query != query or group.hits.ndim != 2 or group.hits.shape[1] != slots:
                raise RejectedError(f"the task asks for other tuples than those of {slots} tokens")
            if group.hits.size and not 0 <= group.hits.min() <= group.hits.max() < vocabulary:
                raise RejectedError("a hit of this task holds a symbol that its domain does not have")
            found.setdefault((group.token, group.hits.tobytes()), group.hits)
            if len(found) * layer.heads * rows**slots > MOST_WORK:
                raise UnknownError(f"more than {MOST_WORK} exponentials are needed")
        if sorted(seen) != list(range(vocabulary)):
            raise RejectedError(f"the task does not speak of every token at query {query} once")
    if not found:
        raise RejectedError("the task scores no input at this length")
    return Asked([(token, hits) for (token, _), hits in found.items()], slots, domain.positions)


@dataclass(frozen=True, slots=True)
class Head:
    """One head: `score` maps a token that asks to the scores of all tuples of rows; margins by the label that is right.

    A margin is what a tuple adds to the right logit over the other, from below: (R^slots,) floats.
    """

    score: Callable[[int], Ball]
    margins: tuple[Groups, Groups]


@dataclass(frozen=True, slots=True)
class Groups:
    """Tuples sorted by which slots hold the blank, then by margin; those that agree in both are one group.

    margin (R^slots,); order, starts: where each group begins in it; level, blanks: (groups,) margin and kind.
    """

    margin: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    level: np.ndarray
    blanks: np.ndarray

    @classmethod
    def of(cls, margin: np.ndarray, vocabulary: int, shape: tuple[int, ...]) -> Groups:
        """Bit s of a tuple's kind says that its slot s holds the blank."""
        at = np.indices(shape) >= vocabulary
        kind = (at * 2 ** np.arange(len(shape)).reshape(-1, *(1,) * len(shape))).sum(axis=0).reshape(-1)
        order = np.lexsort((margin, kind))
        new = (np.diff(margin[order]) != 0) | (np.diff(kind[order]) != 0)
        starts = np.concatenate([[0], np.flatnonzero(new) + 1])
        return cls(margin, order, starts, margin[order[starts]], kind[order[starts]])


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything about the model that does not depend on the query; the blank's row, if any, is the last of R rows.

    constant (V, 2): logits without the heads, by the token that asks. rows: V (+ 1).
    """

    heads: tuple[Head, ...]
    constant: Ball
    rows: int
    slots: int

    @classmethod
    def of(cls, case: Case) -> Tables:
        """From a model that `asked` has let pass."""
        arch, t = case.model(), case.tensors
        layer = arch.layers[0]
        assert isinstance(layer, HigherOrder | Strassen)
        vocabulary, slots = len(t["embed.token"]), layer.order - 1
        rows = vocabulary + arch.blank
        x = token = Ball.exact(t["embed.token"])
        if arch.blank:
            x = Ball.exact(np.concatenate([t["embed.token"], t["embed.blank"][None]]))
        readout = Ball.exact(t["readout.weight"])
        constant = Ball.exact(t["readout.bias"])[None][np.zeros(vocabulary, dtype=np.int64)]
        if layer.residual:
            constant = constant + token @ readout
        heads = []
        for h in range(layer.heads):
            value = products([x @ Ball.exact(map_[h]) for map_ in t["layers.0.values"]])
            logits = value @ (Ball.exact(t["layers.0.output"][h]) @ readout)
            zero, one = (Groups.of((logits[:, a] - logits[:, 1 - a]).low, vocabulary, (rows,) * slots) for a in (0, 1))
            heads.append(Head(_scores(layer, t, h, x), (zero, one)))
        return cls(tuple(heads), constant, rows, slots)

    def check(self, token: int, hits: np.ndarray, positions: int) -> None:
        """RejectedError unless both answers are proved right wherever `token` asks."""
        is_hit = np.zeros((self.rows,) * self.slots, dtype=bool)
        is_hit[tuple(hits.T)] = True
        always = bool(is_hit[(token,) * self.slots])  # the query's own position, taken every time
        weights = []
        for head in self.heads:
            score = head.score(token)
            weights.append(exp(score - Ball.exact(np.float64(score.mid.max()))))
        for label in (0, 1):
            if not len(hits) if label else always:
                continue
            ahead = float((self.constant[token, label] - self.constant[token, 1 - label]).low)
            sums = [
                Sums.of(head.margins[label], weight, is_hit.reshape(-1), label, positions, self.slots)
                for head, weight in zip(self.heads, weights, strict=True)
            ]
            if len(sums) == 1:
                won = sums[0].least(-ahead) > 0
            else:
                shares = [each.share() for each in sums]
                won = sum_low(np.stack([*shares, np.full(len(shares[0]), ahead)])) > 0
            if not won.all():
                raise RejectedError(f"token {token} asks: the answer {label} is not proved to win")


@dataclass(frozen=True, slots=True)
class Sums:
    """One head and a token that asks, where some hit occurs (one entry a hit), or where none does (one entry).

    Of each group the least and the greatest weight, low and high, and how many tuples of its kind an input has besides
    the hit; `hit_low`, `hit_high`, `hit_margin` are the hits' own.
    """

    groups: Groups
    low: np.ndarray
    high: np.ndarray
    counts: dict[int, int]
    hit_low: np.ndarray
    hit_high: np.ndarray
    hit_margin: np.ndarray

    @classmethod
    def of(cls, groups: Groups, weight: Ball, is_hit: np.ndarray, label: int, positions: int, slots: int) -> Sums:
        """is_hit: (R^slots,)."""
        low, high = np.maximum(weight.low, 0.0), weight.high
        out = is_hit if label == 0 else np.zeros(len(is_hit), dtype=bool)
        least = np.minimum.reduceat(np.where(out, np.inf, low)[groups.order], groups.starts)
        most = np.maximum.reduceat(np.where(out, -np.inf, high)[groups.order], groups.starts)
        most = np.where(np.isnan(most), np.inf, most)
        counts = {int(kind): positions ** (slots - int(kind).bit_count()) for kind in np.unique(groups.blanks)}
        if label:
            counts[0] -= 1
            return cls(groups, least, most, counts, low[is_hit], high[is_hit], groups.margin[is_hit])
        return cls(groups, least, most, counts, np.zeros(1), np.zeros(1), np.zeros(1))

    def least(self, level: float) -> np.ndarray:
        """Floats below the sum of weight * (margin - level) over all tuples, in each entry."""
        kinds, open_ = self.groups.blanks, ~(self.low == np.inf)
        term = times_low(self.low[open_], self.high[open_], np.nextafter(self.groups.level[open_] - level, -np.inf))
        term = np.where(term > -np.inf, term, -np.inf)  # NaN becomes -inf
        parts = []
        for kind, count in self.counts.items():
            here = term[kinds[open_] == kind]
            if not len(here) and count:
                return np.full(len(self.hit_low), -np.inf)  # no tuple can stand there: nothing is claimed
            parts.append(_times(count, here.min(initial=np.inf)))
        hit = times_low(self.hit_low, self.hit_high, np.nextafter(self.hit_margin - level, -np.inf))
        hit = np.where(hit > -np.inf, hit, -np.inf)
        return sum_low(np.stack([hit, *(np.full(len(hit), part) for part in parts)]))

    def share(self) -> np.ndarray:
        """Floats below what this head of several adds, in each entry: the best of a few levels.

        What it adds is a mean of margins, so it is L or more iff the sum of weight * (margin - L) is 0 or more.
        """
        low, high = float(self.groups.margin.min()), float(self.groups.margin.max())
        best = np.full(len(self.hit_low), low)
        if not np.isfinite(high - low):
            return np.full(len(best), -np.inf)
        for level in low + (high - low) * np.arange(1, LEVELS) / LEVELS:
            fine = self.least(level) >= 0
            best = np.where(fine, level, best)
            if not fine.any():
                break
        return best


def _scores(layer: HigherOrder | Strassen, t: Mapping[str, np.ndarray], h: int, x: Ball) -> Callable[[int], Ball]:
    if isinstance(layer, Strassen):
        return lambda token: pair_scores(layer, t, 0, h, x, x[[token]])[0]
    key = products([x @ Ball.exact(map_[h]) for map_ in t["layers.0.keys"]])
    query = Ball.exact(t["layers.0.query"][h]) * Ball.exact(np.float64(layer.scale))
    return lambda token: (key @ (x[[token]] @ query)[0][:, None])[:, 0]


def _vocabulary(domain: Sequence) -> int:
    """The common alphabet's size; UnknownError for domains of other kinds."""
    if domain.constraint.kind != "product" or domain.reals is not None or domain.lengths:
        raise UnknownError("the tuples check needs a product domain of symbols and one length")
    whole = np.arange(domain.vocabulary)
    distinct: Iterable[object] = {id(a): a for a in domain.alphabets}.values()
    if any(isinstance(a, PointerSets) or not np.array_equal(np.asarray(a), whole) for a in distinct):
        raise UnknownError("the tuples check needs every symbol at every position")
    return domain.vocabulary


def _times(count: int, least: float) -> float:
    """A float below count times a number that is not below `least`."""
    if not count:
        return 0.0
    exact = np.array(float(count))
    return float(times_low(exact, exact, np.array(least)))
