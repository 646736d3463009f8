"""What one attention head returns on every input of a cell: lower bounds by the separable sum.

A head returns o = sum_j e_j v_j / Z, Z = sum_j e_j, over the positions j that it sees. For any number L

    o >= L + F/Z,    F = min over the cell of sum_j e_j (v_j - L),

and F is a sum over positions of least terms, each over the symbols that the cell leaves to the position (over the
words of an automaton where the cell has one). L is the value at the heaviest position that the cell determines, then
the bound itself while that helps. The bound never falls below the least value that can be seen at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from separatrix.core.domain import Ints
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.balls import TINY, Ball, U, exp, gamma, sum_high, sum_low
from separatrix.kernel.contracts.rounded import Floats
from separatrix.kernel.contracts.rows import Rows
from separatrix.kernel.contracts.stream import Stream, by_key, compress

MOST_SCORES = 2**25  # of one head: distinct queries times distinct keys
MOST_TERMS = 2**27  # of one head, for one column
CHUNK = 2**20  # terms that are looked at together
ROUNDS = 4
BAND = 512.0  # scores of the heaviest positions of the rows of one query: a shift for each band of this width
TIERS = 2.0**6  # units of rounding, over which rows of one query are told apart by their greatest scores
CLOSE = 2.0**-12  # another round must promise more than this share of the spread of the values


@dataclass(frozen=True, slots=True)
class Head:
    """One head on a stream: query and key (classes, m), the scale in the query; values (classes, c) lower ends.

    With `floats` queries and keys are as computed, the scale is applied to their product, and the values have lost
    what the sum may lose.
    """

    query: Ball
    key: Ball
    values: np.ndarray
    causal: bool
    floats: Floats | None = None
    scale: float = 1.0

    def scores(self, asking: Ints, keyed: Ints) -> Ball:
        """(asking, keyed) of these classes."""
        key = self.key[keyed]
        if self.floats is not None:
            return self.floats.scores(self.query[asking], key, self.scale)
        return self.query[asking] @ Ball(key.mid.T, key.rad.T)


def least(head: Head, rows: Rows, stream: Stream, terms: int) -> np.ndarray:
    """(rows, c) floats below what the head returns, in each column of its values, on every input of each cell.

    Queries whose cells are so many that more than `terms` terms are to be added are told nothing of their cells but who
    asks and what it holds.
    """
    plan = Plan.of(head, rows, stream)
    if plan.terms <= terms:
        return plan.bounds()
    counts = np.bincount(plan.asks[plan.first])  # groups of each query
    order = np.argsort(counts, kind="stable")
    cheap = np.zeros(len(counts), dtype=bool)
    cheap[order] = np.cumsum(counts[order]) * plan.width <= terms
    told, rest = np.flatnonzero(cheap[plan.asks]), np.flatnonzero(~cheap[plan.asks])
    low = np.empty((len(rows), head.values.shape[1]))
    if len(told):
        low[told] = Plan.of(head, rows.take(told), stream).bounds()
    own, back = np.unique(rows.own[rest], return_inverse=True)
    none = np.zeros(len(own), dtype=np.int64)
    everything = np.ones((1, len(stream.place)), dtype=bool)
    plan = Plan.of(head, Rows(own, np.zeros((len(own), 0), dtype=np.int64), none, none, everything), stream)
    if plan.terms > MOST_TERMS:
        raise UnknownError(f"a head has {plan.terms} terms to be added; at most {MOST_TERMS} are looked at")
    low[rest] = plan.bounds()[back.reshape(-1)]
    return low


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows in groups that share query, background, forced positions and L, so that all but a few terms are shared.

    Attributes:
        known: (rows, 1 + f) own and forced classes. seen: whether the head sees them. asks: (rows,) distinct query, and
            band of scores. kind: (classes,) distinct key. e_low, e_high: (queries, keys) e^(score - shift of the band).
        group: (rows,). first: (groups,) a row of each. level: (groups, c) the first L.
        like: (positions,) which of the `places` stands for the position: it has the same keys, values and allowed
            classes, so that its least term is the same number. places: increasing; with an automaton, every position.
        order, starts: classes at `places`, sorted into pairs of position and key, and where each pair begins; with an
            automaton each class is a pair of its own. place, key: (pairs,).
    """

    head: Head
    rows: Rows
    stream: Stream
    known: Ints
    seen: np.ndarray
    asks: Ints
    kind: Ints
    e_low: np.ndarray
    e_high: np.ndarray
    group: Ints
    first: Ints
    level: np.ndarray
    like: Ints
    places: Ints
    order: Ints
    starts: Ints
    place: Ints
    key: Ints

    @classmethod
    def of(cls, head: Head, rows: Rows, stream: Stream) -> Plan:
        """Scores, shifts and groups; UnknownError where there are too many scores."""
        known = np.concatenate([rows.own[:, None], rows.forced], axis=1)
        where, places = stream.place[known], np.arange(stream.positions)
        seen = where <= where[:, :1] if head.causal else np.ones(known.shape, dtype=bool)
        used, back = np.unique(rows.own, return_inverse=True)
        of, first = _distinct(head.query[used])
        asks, asking = of[back.reshape(-1)], used[first]
        kind, keyed = _distinct(head.key)
        if len(asking) * len(keyed) > MOST_SCORES:
            raise UnknownError(f"{len(asking)} queries times {len(keyed)} keys are more than {MOST_SCORES}")
        score = head.scores(asking, keyed)
        heard = np.where(seen, score.mid[asks[:, None], kind[known]], -np.inf)
        value, _ = _distinct(Ball.exact(head.values))
        like = places if rows.automaton is not None else _alike(stream, kind, value, rows)
        shown = np.unique(like)  # the first of all positions that are alike
        mine = np.flatnonzero(np.isin(stream.place, shown))
        order, starts = by_key(compress(stream.place[mine], (kind if rows.automaton is None else stream.symbol)[mine]))
        order = mine[order]
        of = order[starts]
        # any shift is right; e^(score - shift) must be a float for the heaviest position of every row
        best = heard.max(axis=1)
        if len(asking) * len(of) <= MOST_SCORES:  # others may be heavier whatever they hold
            sure = np.minimum.reduceat(score.mid[:, kind[of]], np.searchsorted(stream.place[of], shown), axis=1)
            sure = np.maximum.accumulate(sure[:, np.searchsorted(shown, like)], axis=1)
            best = np.maximum(best, sure[asks, where[:, 0] if head.causal else -1])
        level = np.rint(np.clip(best / BAND, -(2.0**40), 2.0**40)).astype(np.int64)
        banded = compress(asks, level - level.min())
        tops = np.zeros(len(asks))
        if head.floats is not None:  # rounding of the scores less the greatest one grows with the greatest
            tops = _tops(head, score.high, asks, kind, rows, stream, known, seen)
            tier = np.rint(np.clip(tops * (TIERS * head.floats.spec.unit), -(2.0**40), 2.0**40)).astype(np.int64)
            banded = compress(banded, tier - tier.min())
        at = np.unique(banded, return_index=True)[1]
        shift = Ball.exact(np.broadcast_to((level[at] * BAND)[:, None], (len(at), len(keyed))))
        if shift.mid.size > MOST_SCORES:
            raise UnknownError(f"the scores of {len(asking)} queries are too far apart to be held at once")
        if head.floats is not None:
            top = np.full(len(at), -np.inf)
            np.maximum.at(top, banded, tops)
            low_e, high_e = head.floats.exponentials(score[asks[at]], top, shift.mid)
        else:
            e = exp(score[asks[at]] - shift)
            low_e, high_e = np.maximum(e.low, 0.0), e.high
        asks = banded
        top = known[np.arange(len(known)), heard.argmax(axis=1)]
        group = compress(asks, rows.ground, *where[:, 1:].T, value[top])
        # where the asking position is the same, alike positions that are forced leave equal sums
        told = (part for at in where[:, 1:].T for part in (like[at], np.asarray(at < where[:, 0])))
        merged = compress(
            asks, rows.ground, where[:, 0], *(np.asarray(part, dtype=np.int64) for part in told), value[top]
        )
        group = min(group, merged, key=lambda numbers: int(numbers.max(initial=0)))
        first = np.unique(group, return_index=True)[1]
        parts = (known, seen, asks, kind, low_e, high_e, group, first, head.values[top[first]])
        parts = (*parts, np.searchsorted(shown, like), shown, order, starts)
        return cls(head, rows, stream, *parts, stream.place[of], kind[of])

    @property
    def terms(self) -> int:
        """How many terms are added up for one column of values."""
        return len(self.first) * self.width

    @property
    def width(self) -> int:
        """Terms, or sums of them, that are held for each group and column."""
        return max(len(self.starts), self.stream.positions)

    def bounds(self) -> np.ndarray:
        """(rows, c) the best of a few rounds."""
        order, starts = by_key(self.group)
        ends, columns = np.append(starts[1:], len(order)), self.head.values.shape[1]
        states = 1 if self.rows.automaton is None else len(self.rows.automaton.table)
        many = max(1, CHUNK // (self.width * columns * states))
        low = np.empty((len(order), columns))
        for begin in range(0, len(self.first), many):
            groups = np.arange(begin, min(begin + many, len(self.first)))
            which, at = order[starts[begin] : ends[groups[-1]]], starts[groups] - starts[begin]
            low[which] = Part(self, groups, which).bounds(at)
        return low


@dataclass(frozen=True, slots=True)
class Part:
    """Some groups of a plan, and their rows in the order of the groups."""

    plan: Plan
    groups: Ints
    which: Ints

    def bounds(self, at: Ints) -> np.ndarray:
        """(rows, c); `at` is where the rows of each group begin."""
        plan, first = self.plan, self.plan.first[self.groups]
        inner, here = plan.group[self.which] - self.groups[0], plan.stream.place[plan.rows.own[self.which]]
        e_low, e_high = (e[plan.asks[first]][:, plan.key] for e in (plan.e_low, plan.e_high))
        values, present = self._values(first)
        fixed = np.zeros((len(first), plan.stream.positions), dtype=bool)  # positions that the cell forces
        fixed[np.arange(len(first))[:, None], plan.stream.place[plan.known[first, 1:]]] = True
        ask, known = plan.asks[self.which][:, None], plan.known[self.which]
        seen = plan.seen[self.which]
        known_low, known_high = (np.where(seen, e[ask, plan.kind[known]], 0.0) for e in (plan.e_low, plan.e_high))
        known_values = plan.head.values[known]  # (rows, known, c)
        starts = np.searchsorted(plan.place, plan.places)
        least_e = np.minimum.reduceat(np.where(present, e_low, np.inf), starts, axis=1)[:, plan.like]
        most_e = np.maximum.reduceat(np.where(present, e_high, -np.inf), starts, axis=1)[:, plan.like]
        least_z = self._others(least_e[:, None], fixed, inner, here)
        total_low = np.maximum(sum_low(np.stack([*least_z, *known_low.T[:, :, None]])), 0.0)
        most = [-part for part in self._others(-most_e[:, None], fixed, inner, here)]
        total_high = sum_high(np.stack([*most, *known_high.T[:, :, None]]))
        floor = np.where(seen[:, :, None], known_values, np.inf).min(axis=1)
        floor = np.minimum(floor, values.min(axis=2)[inner])
        level, best = plan.level[self.groups], floor
        for _ in range(ROUNDS):
            terms = _times_low(e_low[:, None], e_high[:, None], np.nextafter(values - level[:, :, None], -np.inf))
            terms = np.where(present[:, None], terms, np.inf)
            own = np.nextafter(known_values - level[inner][:, None], -np.inf)
            own = np.where(seen[:, :, None], _times_low(known_low[:, :, None], known_high[:, :, None], own), 0.0)
            others = self._least_others(terms, starts, fixed, inner, here)
            total = sum_low(np.stack([*others, *own.transpose(1, 0, 2)]))
            share = np.nextafter(total / np.where(total < 0, total_low, total_high), -np.inf)
            bound = np.nextafter(level[inner] + share, -np.inf)
            best = np.maximum(best, np.where(bound > -np.inf, bound, -np.inf))  # NaN proves nothing
            gap = np.abs(share - total / np.where(total < 0, total_high, total_low))  # what is left to be won
            raised = np.minimum.reduceat(best, at, axis=0)
            worth = (gap > CLOSE * (np.abs(best) + np.abs(level[inner]))).any()
            if not worth or (raised == level).all() or not np.isfinite(raised).all():
                break
            level = raised
        return best

    def _values(self, first: Ints) -> tuple[np.ndarray, np.ndarray]:
        """(groups, c, pairs) least values under each group's background, and (groups, pairs) where there is any."""
        plan = self.plan
        grounds, of = np.unique(plan.rows.ground[first], return_inverse=True)
        allowed = plan.rows.allowed[grounds][:, plan.order]
        sorted_values = plan.head.values[plan.order].T
        least = np.where(allowed[:, None], sorted_values, np.inf)
        least, present = (
            np.minimum.reduceat(least, plan.starts, axis=2),
            np.logical_or.reduceat(allowed, plan.starts, 1),
        )
        return least[of.reshape(-1)], present[of.reshape(-1)]

    def _others(self, each: np.ndarray, fixed: np.ndarray, inner: Ints, here: Ints) -> list[np.ndarray]:
        """[(rows, c)] floats below the sums of each (groups, c, positions) over what is seen before and after one."""
        each, causal = np.where(fixed[:, None], 0.0, each), self.plan.head.causal
        if len(inner) <= 2 * len(each):
            at = np.arange(each.shape[2])
            seen = at < here[:, None] if causal else at != here[:, None]
            return [sum_low(np.where(seen[:, None], each[inner], 0.0), axis=2)]
        parts = [_sums_before(each)[inner, :, here]]
        if not causal:
            parts.append(_sums_before(each[:, :, ::-1])[inner, :, each.shape[2] - 1 - here])
        return parts

    def _least_others(
        self, terms: np.ndarray, starts: Ints, fixed: np.ndarray, inner: Ints, here: Ints
    ) -> list[np.ndarray]:
        """The same for least terms (groups, c, pairs) of the positions, tied together where there is an automaton."""
        each = np.minimum.reduceat(terms, starts, axis=2)[:, :, self.plan.like]
        automaton, accepting = self.plan.rows.automaton, self.plan.rows.accepting
        if automaton is None or accepting is None:
            return self._others(each, fixed, inner, here)
        least = automaton.least(terms, self.plan.stream, int(here.max()))[here, inner]  # (rows, c, states)
        parts = [np.where(accepting[self.which][:, None], least, np.inf).min(axis=2)]
        if not self.plan.head.causal:
            parts.append(_sums_before(each[:, :, ::-1])[inner, :, each.shape[2] - 1 - here])
        return parts


def _tops(
    head: Head, high: np.ndarray, asks: Ints, kind: Ints, rows: Rows, stream: Stream, known: Ints, seen: np.ndarray
) -> np.ndarray:
    """(rows,) above the greatest score that the asking position may see; high (queries, keys)."""
    top = np.where(seen, high[asks[:, None], kind[known]], -np.inf).max(axis=1)
    pair = compress(asks, rows.ground)
    order, starts = by_key(pair)
    ends = np.append(starts[1:], len(order))
    last = np.searchsorted(stream.place, stream.place[rows.own], side="right") - 1 if head.causal else None
    many = max(1, CHUNK // len(kind))
    for begin in range(0, len(starts), many):
        some = order[starts[begin : begin + many]]
        heard = np.where(rows.allowed[rows.ground[some]], high[asks[some]][:, kind], -np.inf)
        which = order[starts[begin] : ends[min(begin + many, len(starts)) - 1]]
        if last is None:
            top[which] = np.maximum(top[which], heard.max(axis=1)[pair[which] - pair[some[0]]])
        else:
            np.maximum.accumulate(heard, axis=1, out=heard)
            top[which] = np.maximum(top[which], heard[pair[which] - pair[some[0]], last[which]])
    if not np.isfinite(top).all():
        raise RejectedError("a score is not bounded")
    return top


def _sums_before(each: np.ndarray) -> np.ndarray:
    """(.., positions + 1) floats below the sums of the first 0, 1, .. entries of the last axis."""
    n = each.shape[-1]
    slack = np.abs(each)
    np.cumsum(slack, axis=-1, out=slack)
    slack *= gamma(n + 8) * (1.0 + (2 * n + 16) * U)  # the last 8 for the subtraction below, and for this product
    slack += TINY
    sums = np.zeros((*each.shape[:-1], n + 1))
    np.cumsum(each, axis=-1, out=sums[..., 1:])
    sums[..., 1:] -= slack
    return sums


def _times_low(low: np.ndarray, high: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """A float below x * factor for every x in [low, high], low >= 0; -inf where that is not known."""
    product = np.where(factor >= 0, low, high) * factor
    slack = np.abs(product)
    slack *= 4 * U  # one for the product, one for the difference, and two to spare
    slack += TINY
    product -= slack
    product[~(product > -np.inf)] = -np.inf
    return product


def _alike(stream: Stream, kind: Ints, value: Ints, rows: Rows) -> Ints:
    """(positions,) the first position whose classes have, one by one, the same keys, values and grounds."""
    grounds = np.unique(rows.ground)
    allowed = np.packbits(rows.allowed[grounds], axis=0).T  # (classes, bytes)
    columns = np.concatenate([np.stack([kind, value], axis=1).view(np.uint8), allowed], axis=1)
    bounds = np.searchsorted(stream.place, np.arange(stream.positions + 1)).tolist()
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(columns[a:b].tobytes(), j) for j, (a, b) in enumerate(pairwise(bounds))])


def _distinct(ball: Ball) -> tuple[Ints, Ints]:
    """(rows,) numbers that are equal where the rows are, bit by bit, and a row for each number."""
    rows = np.ascontiguousarray(np.concatenate([ball.mid, ball.rad], axis=1) + 0.0)
    if not rows.shape[1]:
        return np.zeros(len(rows), dtype=np.int64), np.zeros(1, dtype=np.int64)
    seen: dict[bytes, int] = {}
    of = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rows], dtype=np.int64)
    return of, np.unique(of, return_index=True)[1]
