"""Certificate kind `contract`: two attention layers with a feed-forward layer between, checked one layer at a time.

The task factors as answer = outer.answer(inner.answer(x)) (part of its definition). Layer 1 must look at positions
only; its weights then enclose what attention returns in every cell of the inner task, a small interval around what the
cell forces. Through the feed-forward layer this gives, for each position i and each inner label s, a number below what
position i adds to logit[label] - logit[rival] on every input with inner label s there. Layer 2 must weigh all positions
equally, so that the margin is the mean of these numbers: a separable sum over the labels s, whose least value on every
cell of the outer task must be positive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, Table
from separatrix.core.domain import CellGroup, Labels
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.balls import Ball, exp, sum_high, sum_low
from separatrix.kernel.case import Case
from separatrix.kernel.piecewise import Units, least

MOST_ENTRIES = 2**24  # of the table of attention weights


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of the inner task, in rows: position, own symbol, inner label, and what the attention returns there."""

    position: np.ndarray
    token: np.ndarray
    label: np.ndarray
    noise: Ball  # (cells, value width)


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    (name,) = case.fields(factor=str)
    case.no_arrays()
    factors = case.task.factors()
    if name not in factors:
        raise InputError(f"task {case.task.name} has no factor {name!r}; it has {', '.join(factors) or 'none'}")
    inner, outer = factors[name]
    with np.errstate(all="ignore"):  # overflow becomes an infinite radius, which proves nothing
        cells, sums = check(case.task, inner, outer, case.n, case.model(), case.tensors)
    return f"the model answers {case.where} right on every input ({cells} cells of layer 1, {sums} of layer 2, real)"


def check(
    task: Task, inner: Task, outer: Task, n: int, arch: Arch, tensors: Mapping[str, np.ndarray]
) -> tuple[int, int]:
    """Checks both layers; the numbers of cells, or RejectedError, or UnknownError for another architecture."""
    domain, outputs = task.domain(n), task.outputs()
    if not isinstance(outputs, Labels) or outer.outputs() != outputs or outputs.k != arch.readout.outputs:
        raise RejectedError("the model's read-out, the task and its outer factor do not have the same labels")
    if outer.queries(n) != task.queries(n) or inner.queries(n) != tuple(range(n)):
        raise RejectedError("the factors do not fit: inner answers everywhere, outer where the task is scored")
    if domain.positions != n or domain.constraint.kind != "product" or domain.lengths or domain.reals is not None:
        raise UnknownError("the contract check needs a product domain of one length")
    first, _, _ = _layers(arch, n, domain.vocabulary)
    if n * n > MOST_ENTRIES:
        raise UnknownError(f"N = {n} is too long for the table of attention weights")
    t = {name: Ball.exact(tensor) for name, tensor in tensors.items()}
    cells = _first_layer(inner, n, t, first.scale, [np.asarray(a) for a in domain.alphabets])
    if t["layers.2.query"].mid.any() and t["layers.2.key"].mid.any():
        raise UnknownError("the second layer must weigh all positions equally (zero queries or keys)")
    through = t["layers.2.value"][0] @ (t["layers.2.output"][0] @ t["readout.weight"])  # (d, k)
    inner_outputs = inner.outputs()
    assert isinstance(inner_outputs, Labels)
    tables: dict[tuple[int, int], np.ndarray] = {}
    sums = 0
    for query in outer.queries(n):
        for group in outer.cells(n, query) or ():
            if not isinstance(group.token, int) or group.labels is None or group.constraint.kind != "product":
                raise UnknownError("the outer factor's cells must be products of labels")
            for label in np.unique(group.labels):
                rows = np.flatnonzero(group.labels == label)
                for rival in np.flatnonzero(np.arange(outputs.k) != label):
                    pair = int(label), int(rival)
                    if pair not in tables:
                        tables[pair] = _contributions(cells, t, through, *pair, n, inner_outputs.k)
                    _check_outer(group, rows, outer, n, tables[pair])
                sums += len(rows)
    if not len(cells.label) or not sums:
        raise RejectedError("a factor has no cells at this length")
    return len(cells.label), sums


def _layers(arch: Arch, n: int, vocabulary: int) -> tuple[Attention, FeedForward, Attention]:
    match arch.layers:
        case (Attention() as one, FeedForward() as middle, Attention() as two):
            pass
        case _:
            raise UnknownError("the contract check needs attention, feed-forward, attention")
    if (one.heads, two.heads) != (1, 1) or {one.mask, two.mask} != {"none"} or arch.blank:
        raise UnknownError("the contract check needs one unmasked head a layer, and no blank")
    if {one.norm, middle.norm, two.norm} != {"none"}:
        raise UnknownError("the contract check decides models without layer norm")
    if not one.residual or not middle.residual or two.residual:
        raise UnknownError("the contract check needs residual paths around the first two layers only")
    if not isinstance(arch.first, Table) or arch.first.positions != n or arch.first.vocabulary != vocabulary:
        raise UnknownError("the contract check needs a table of the task's tokens and positions")
    if arch.readout.decision != "argmax":
        raise UnknownError("the contract check needs an argmax read-out")
    return one, middle, two


def _first_layer(inner: Task, n: int, t: Mapping[str, Ball], scale: float, alphabets: list[np.ndarray]) -> Cells:
    """What the first attention layer returns in every cell of the inner task."""
    token, place = t["embed.token"], t["embed.position"]
    query, key, value = (t[f"layers.0.{name}"][0] for name in ("query", "key", "value"))
    if not (token @ query).is_zero().all() or not (token @ key).is_zero().all():
        raise UnknownError("the first layer's scores depend on symbols")
    if not (place @ value).is_zero().all():
        raise UnknownError("the first layer's values depend on positions")
    keys = place @ key
    score = ((place @ query) @ Ball(keys.mid.T, keys.rad.T)) * Ball.exact(np.float64(scale))
    weight = _softmax(score)
    carried = token @ value  # (V, dv)
    spread = _hull(carried, np.unique(np.concatenate(alphabets)))  # anybody's value
    positions, tokens, labels, noise = [], [], [], []
    for i in range(n):
        for group in inner.cells(n, i) or ():
            if group.query != i or not isinstance(group.token, int) or group.labels is None:
                raise RejectedError("the inner factor's cells are not cells of this position")
            if group.background is not None or group.constraint.kind != "product" or (group.positions == i).any():
                raise UnknownError("the inner factor's cells must leave the other positions free")
            count = len(group)
            at = np.c_[np.full(count, i), group.positions]
            held = np.c_[np.full(count, group.token), group.symbols]
            known = weight[i, at]  # (cells, 1 + forced)
            rest = _complement(known)
            total = rest[:, None] * spread[None]
            for f in range(at.shape[1]):
                total = total + known[:, [f]] * carried[held[:, f]]
            positions.append(np.full(count, i))
            tokens.append(np.full(count, group.token))
            labels.append(group.labels)
            noise.append(total)
    return Cells(
        np.concatenate(positions),
        np.concatenate(tokens),
        np.concatenate(labels),
        Ball(np.concatenate([b.mid for b in noise]), np.concatenate([b.rad for b in noise])),
    )


def _softmax(score: Ball) -> Ball:
    """(rows, N) weights: e_j / sum e, as intervals turned into balls."""
    e = exp(score - Ball.exact(score.mid.max(axis=1, keepdims=True)))
    low, high = np.maximum(e.low, 0.0), e.high
    least_sum = sum_low(low, axis=1)[:, None]
    if not (least_sum > 0.5).all():
        raise RejectedError("a row of attention weights cannot be normalised")
    return _between(low / sum_high(high, axis=1)[:, None], high / least_sum)


def _between(low: np.ndarray, high: np.ndarray) -> Ball:
    """A ball around [low, high], quotients of non-negative floats: a unit in the last place is added on both sides."""
    mid = low / 2 + high / 2
    return Ball(mid, (high - low) / 2 * (1.0 + 2.0**-50) + mid * 2.0**-50 + 2.0**-1000)


def _hull(values: Ball, rows: np.ndarray) -> Ball:
    """(columns,) a ball around the values of all these rows."""
    low, high = values.low[rows].min(axis=0), values.high[rows].max(axis=0)
    mid = low / 2 + high / 2
    return Ball(mid, np.nextafter(np.maximum(high - mid, mid - low), np.inf))


def _complement(known: Ball) -> Ball:
    """(cells,) 1 less the known weights of a row, which is not negative."""
    total = Ball.exact(np.ones(len(known.mid)))
    for f in range(known.mid.shape[1]):
        total = total - known[:, f]
    return total


def _contributions(
    cells: Cells, t: Mapping[str, Ball], through: Ball, label: int, rival: int, n: int, k: int
) -> np.ndarray:
    """(n, k) below what position i adds to logit[label] - logit[rival] (bias included) where its inner label is s.

    Infinite where no input gives position i the label s.
    """
    functional = through[:, [label]] - through[:, [rival]]  # (d, 1)
    bias = t["readout.bias"][[label]] - t["readout.bias"][[rival]]
    x = t["embed.token"][cells.token] + t["embed.position"][cells.position]
    put = t["layers.0.output"][0]  # (dv, d)
    offset = x @ t["layers.1.in"] + t["layers.1.in_bias"]
    units = Units.of(offset, put @ t["layers.1.in"])
    constant = (x @ functional)[:, 0] + ((t["layers.1.out_bias"][None] @ functional)[0] + bias)
    weights = (t["layers.1.out"] @ functional)[:, 0]
    low = least(units, weights, (put @ functional)[:, 0], constant, cells.noise)
    table = np.full((n, k), np.inf)
    np.minimum.at(table, (cells.position, cells.label), np.where(np.isnan(low), -np.inf, low))
    return table


def _check_outer(group: CellGroup, rows: np.ndarray, outer: Task, n: int, table: np.ndarray) -> None:
    """RejectedError unless the sum over positions is positive on these cells of the outer task."""
    where = group.background or outer.domain(n).alphabets
    least_each = np.array([table[j, np.asarray(where[j])].min() for j in range(n)])
    least_each[group.query] = table[group.query, group.token]
    terms = np.tile(least_each, (len(rows), 1))
    for f in range(group.positions.shape[1]):
        terms[np.arange(len(rows)), group.positions[rows, f]] = table[group.positions[rows, f], group.symbols[rows, f]]
    possible = ~np.isposinf(terms).any(axis=1)  # no input has a label that its position never takes
    low = sum_low(terms[possible], axis=1)
    if not (low > 0).all():
        worst = float(low.min()) if len(low) else 0.0
        raise RejectedError(f"layer 2: a cell is not proved right (least sum {worst:.3g})")
