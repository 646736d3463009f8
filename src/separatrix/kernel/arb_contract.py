"""Kind `contract` in Arb: the chain of `contract`, from the same cells, with none of its numeric code.

The stream of a position that holds an abstract symbol lies in a box, here one ball a coordinate. A layer encloses in
every cell what its heads return (`arb_attend`) and what its ReLU layers make of it (`arb_feed`); the hull of the
cells with one label is the next box. Cells, labels and the coordinates that nobody reads are whole numbers, and come
from the same code as for the float64 engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.arch import Attention, FeedForward, Table
from separatrix.core.domain import Labels
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs, at_some_precision
from separatrix.kernel.arb_attend import Head, least
from separatrix.kernel.arb_contract_floats import Read, Roundings, Rules, spread
from separatrix.kernel.arb_feed import Feed
from separatrix.kernel.arb_nets import number
from separatrix.kernel.balls import Ball
from separatrix.kernel.case import Case
from separatrix.kernel.contract import check_tasks, read_noise, symbols_of
from separatrix.kernel.contracts.attend import MOST_TERMS
from separatrix.kernel.contracts.layers import Block, Weights, blocks_of
from separatrix.kernel.contracts.rounded import Floats
from separatrix.kernel.contracts.rows import Rows, rows_of
from separatrix.kernel.contracts.stream import Stream, by_key, compress

NEAR = 2.0**-40


def check_contract(case: Case) -> str:
    """The claim in a sentence, or an error."""
    name, noise, terms, merge = case.fields(factor=str, noise=str, terms=int, merge=bool)
    case.no_arrays()
    factors = case.task.factors()
    if name not in factors:
        raise InputError(f"task {case.task.name} has no factor {name!r}; it has {', '.join(factors) or 'none'}")
    if not 0 <= terms <= MOST_TERMS:
        raise InputError(f"evidence terms = {str(terms)[:40]} is not a number from 0 to {MOST_TERMS}")
    spec = case.semantics.spec
    weights = Weights(case.model(), case.tensors, read_noise(noise), terms, merge, Floats.of(spec))
    check_tasks(case.task, factors[name], case.n, weights.arch)
    cells = at_some_precision(lambda: _check(case, factors[name], weights))
    layers = " + ".join(f"{count:,}" for count in cells)
    how = f"{layers} cells, layer by layer, {case.semantics} arithmetic, arb"
    return f"the model answers {case.where} right on every input ({how})"


@dataclass(frozen=True, slots=True)
class Boxes:
    """classes: positions and symbols, as integers. box (classes, d): where the stream lies."""

    classes: Stream
    box: Arbs

    @classmethod
    def of(cls, box: Arbs, place: np.ndarray, symbol: np.ndarray, positions: int, symbols: int) -> Boxes:
        """The hull of all boxes with equal place and symbol; RejectedError where a position has none."""
        order, starts = by_key(place * symbols + symbol)
        place, symbol = place[order[starts]], symbol[order[starts]]
        if len(np.unique(place)) != positions:
            raise RejectedError("a position of the stream holds no symbol at all")
        number = np.full((positions, symbols), -1, dtype=np.int64)
        number[place, symbol] = np.arange(len(place))
        nothing = Ball.exact(np.zeros((len(place), 0)))
        return cls(Stream(nothing, place, symbol, number), hulls(box, order, starts))


def hulls(box: Arbs, order: np.ndarray, starts: np.ndarray) -> Arbs:
    """(groups, d) balls around the boxes of each group; the very ball where all are one point."""
    found = []
    for rows in np.split(box[order], starts[1:]):
        same = np.array([all(bool(v == column[0]) for v in column) for column in rows.T])
        found.append(np.where(same, rows[0], ab.around(rows)))
    return np.array(found, dtype=object).reshape(len(starts), box.shape[1])


def _check(case: Case, chain: tuple[Task, ...], weights: Weights) -> list[int]:
    arch, n = weights.arch, case.n
    first, blocks = blocks_of(arch)
    if len(blocks) != len(chain):
        raise UnknownError(f"the model has {len(blocks)} attention layers, the factorisation {len(chain)} tasks")
    t = {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
    rules = None if case.semantics.spec is None else Rules(case.semantics.spec)
    if rules is not None:
        rules.require(*(ab.size(tensor) for tensor in t.values()))
    stream = _tokens(case, weights, t, first, rules)
    cells = []
    for step, (sub, block) in enumerate(zip(chain, blocks, strict=True)):
        case.progress(f"layer {step + 1} of {len(chain)}, arb")
        classes = stream.classes
        if not np.isin(classes.symbol[classes.place < sub.domain(n).positions], symbols_of(sub, n)).all():
            raise RejectedError(f"task {sub.name} does not read every label of the layer before")
        if sub.causal and not block.is_causal(arch):
            raise UnknownError(f"layer {block.layer} sees positions behind its own, of which {sub.name} says nothing")
        last = step + 1 == len(chain)
        rows = rows_of(sub, n, classes, sub.queries(n), arch.blank and not last)
        cells.append(sum(map(len, rows)))
        layer = Layer(weights, t, block, rules)
        if last:
            if not cells[-1]:
                raise RejectedError("the last factor has no cells at this length")
            for part in rows:
                layer.require(part, stream, sub)
        else:
            stream = layer.after(rows, stream, sub)
    return cells


def _tokens(case: Case, weights: Weights, t: dict[str, Arbs], first: tuple[int, ...], rules: Rules | None) -> Boxes:
    """The embedded tokens, behind feed-forward layers that stand before any attention."""
    domain, arch = case.task.domain(case.n), weights.arch
    assert isinstance(arch.first, Table)
    place = np.concatenate([np.full(len(a), j) for j, a in enumerate(domain.alphabets)])
    symbol = np.concatenate([np.asarray(a) for a in domain.alphabets])
    if len(symbol) and (symbol.min() < 0 or symbol.max() >= domain.vocabulary):
        raise RejectedError("the domain allows a symbol outside its vocabulary")
    rest = {name: part if rules is None else rules.rest(case.tensors[name]) for name, part in _embedding(t).items()}
    box = rest["embed.token"][symbol]
    if arch.first.positions:
        other = rest["embed.position"][place]
        box = box + other if rules is None else rules.add(box, other)
    if arch.blank:
        place, symbol = np.append(place, domain.positions), np.append(symbol, 0)
        box = np.concatenate([box, rest["embed.blank"][None]])
    box = np.where(weights.alive(0), box, ab.zero())
    for i in first:
        box = _behind(weights, t, i, box, rules)[0]
    return Boxes.of(box, place, symbol, domain.positions + arch.blank, domain.vocabulary)


def _embedding(t: dict[str, Arbs]) -> dict[str, Arbs]:
    return {name: part for name, part in t.items() if name.startswith("embed.")}


def _behind(weights: Weights, t: dict[str, Arbs], i: int, box: Arbs, rules: Rules | None) -> tuple[Arbs, Arbs, Arbs]:
    """(rows, d) around the stream behind feed-forward layer i; in a float format (rows, hidden) by how much its units
    err, and (rows, d) what the sums behind them lose.
    """
    found = _feed(weights, t, i).ranges(box, weights.noise)
    if rules is None:
        return found, found, found
    inner, before, out, bias = (weights.tensors[f"layers.{i}.{name}"] for name in ("in", "in_bias", "out", "out_bias"))
    read = rules.multiply(box, inner, before)
    units = ab.relu(read.ball)
    off = ab.smaller(read.lost, ab.high(units))  # |relu(p^) - relu(p)| is at most what p^ or p can be
    made = rules.multiply(units, out, bias, box if weights.arch.layers[i].residual else None)
    found = spread(found, ab.dot(off, ab.size(t[f"layers.{i}.out"])) + made.lost)
    return np.where(ab.rad(made.ball) <= ab.rad(found), made.ball, found), off, made.lost


def _feed(weights: Weights, t: dict[str, Arbs], i: int, functional: Arbs | None = None) -> Feed:
    """Layer i; with a functional (d, c), followed by it."""
    layer = weights.arch.layers[i]
    assert isinstance(layer, FeedForward)
    inner, before, out, bias = (t[f"layers.{i}.{name}"] for name in ("in", "in_bias", "out", "out_bias"))
    if functional is None:
        alive = weights.alive(i + 1)
        functional = ab.arbs(np.diag(alive.astype(np.float64)))
        out, bias = (np.where(alive, part, ab.zero()) for part in (out, bias))
    else:
        out, bias = ab.dot(out, functional), ab.dot(bias, functional)
    skip = functional if layer.residual else np.full(functional.shape, ab.zero())
    return Feed(weights.tensors[f"layers.{i}.in"], inner, before, out, bias, skip)


@dataclass(frozen=True, slots=True)
class Layer:
    """An attention layer and the feed-forward layers behind it, with all weights as Arb numbers."""

    weights: Weights
    t: dict[str, Arbs]
    block: Block
    rules: Rules | None = None

    def after(self, rows: list[Rows], stream: Boxes, task: Task) -> Boxes:
        """The stream behind the block, by the labels of its task."""
        outputs, classes = task.outputs(), stream.classes
        assert isinstance(outputs, Labels)
        boxes, places, labels = [], [], []
        for part in rows:
            box = self.attention(stream, part)
            if self.block.feeds:
                name = compress(classes.place[part.own], part.label)
                if not self.weights.merge:  # cells that force the same symbols at other positions are one cell
                    name = compress(part.own, part.label, *classes.symbol[part.forced].T)
                order, starts = by_key(name)
                box, part = hulls(box, order, starts), part.take(order[starts])
            for i in self.block.feeds:
                box = _behind(self.weights, self.t, i, box, self.rules)[0]
            boxes.append(box)
            places.append(classes.place[part.own])
            labels.append(part.label)
        box = np.concatenate(boxes)
        if not ab.finite(box).all():
            raise RejectedError(f"behind {task.name}, a coordinate that matters is not bounded")
        return Boxes.of(box, np.concatenate(places), np.concatenate(labels), classes.positions, outputs.k)

    def attention(self, stream: Boxes, rows: Rows) -> Arbs:
        """(rows, d) around the stream behind the attention layer, in every cell."""
        layer, alive = self.weights.arch.layers[self.block.layer], self.weights.alive(self.block.layer + 1)
        assert isinstance(layer, Attention)
        box = np.full((len(rows), self.weights.arch.width), ab.zero())
        if layer.residual:
            box = np.where(alive, stream.box[rows.own], ab.zero())
        roundings, eye = self._roundings(stream), ab.arbs(np.eye(self.weights.arch.width))
        if roundings is not None:
            box = roundings.carried(box)
        for h in range(layer.heads):
            name = f"layers.{self.block.layer}."
            value, output = (self.weights.tensors[name + part][h] for part in ("value", "output"))
            columns = np.flatnonzero(((value != 0).any(axis=0) @ (output != 0)) & alive)
            if len(columns):
                through = ab.dot(ab.arbs(value), ab.arbs(output[:, columns]))
                loss = None if roundings is None else roundings.loss(h, eye[:, columns])
                below, above = self._head(stream, rows, h, through, loss)
                box[:, columns] = box[:, columns] + ab.between(below, above)
        return box

    def require(self, rows: Rows, stream: Boxes, task: Task) -> None:
        """RejectedError unless every label beats every rival in every cell, Undecided where that is not known."""
        place = stream.classes.place
        for label in np.unique(rows.label).tolist():
            part = rows.take(np.flatnonzero(rows.label == label))
            rivals = np.delete(np.arange(self.weights.arch.readout.outputs), label)
            if not len(rivals):
                continue
            margins: Any = self._margins(part, stream, label, rivals)
            for row, rival in np.ndindex(*margins.shape):
                below = margins[row, rival].lower()
                why = (
                    f"last layer ({task.name}): at position {place[part.own[row]]}, label {label} is not proved to "
                    f"beat {rivals[rival]} (least margin {float(below.mid()):.3g})"
                )
                if not below > 0:  # next to 0, more bits may tell
                    raise RejectedError(why) if below < -NEAR else ab.Undecided(why)

    def _margins(self, rows: Rows, stream: Boxes, label: int, rivals: np.ndarray) -> Arbs:
        weights, layer = self.weights, self.weights.arch.layers[self.block.layer]
        assert isinstance(layer, Attention)
        readout, bias = self.t["readout.weight"], self.t["readout.bias"]
        functional, ahead = readout[:, [label]] - readout[:, rivals], bias[label] - bias[rivals]
        if self.block.feeds:
            box = self.attention(stream, rows)
            for i in self.block.feeds[:-1]:
                box = _behind(weights, self.t, i, box, self.rules)[0]
            return self._behind_units(box, self.block.feeds[-1], label, rivals)
        margins = np.full((len(rows), functional.shape[1]), ab.zero()) + ahead
        if layer.residual:
            margins = margins + ab.dot(stream.box[rows.own], functional)
        roundings, read = self._roundings(stream), None
        if roundings is not None and self.rules is not None:
            read = Read.of(self.rules, weights.tensors, label, rivals)
            margins = margins - roundings.taken(stream.box[rows.own], read)
        for h in range(layer.heads):
            value, output = (self.t[f"layers.{self.block.layer}.{name}"][h] for name in ("value", "output"))
            through = ab.dot(value, ab.dot(output, functional))
            loss = None if roundings is None or read is None else roundings.loss(h, read.sizes, read.count)
            margins = margins + self._head(stream, rows, h, through, loss, both=False)[0]
        return margins

    def _behind_units(self, box: Arbs, i: int, label: int, rivals: np.ndarray) -> Arbs:
        """(rows, rivals) the margins behind the last feed-forward layer."""
        readout, bias = self.t["readout.weight"], self.t["readout.bias"]
        functional = readout[:, [label]] - readout[:, rivals]
        found = _feed(self.weights, self.t, i, functional).ranges(box, self.weights.noise) + (
            bias[label] - bias[rivals]
        )
        if self.rules is None:
            return found
        box, off, lost = _behind(self.weights, self.t, i, box, self.rules)
        tensors = self.weights.tensors
        logits = self.rules.multiply(box, tensors["readout.weight"], tensors["readout.bias"])
        taken = ab.dot(off, ab.size(ab.dot(self.t[f"layers.{i}.out"], functional))) + ab.dot(lost, ab.size(functional))
        taken = taken + logits.lost[:, [label]] + logits.lost[:, rivals]
        return ab.larger(ab.low(found - taken), ab.low(logits.ball[:, [label]] - logits.ball[:, rivals]))

    def _roundings(self, stream: Boxes) -> Roundings | None:
        layer = self.weights.arch.layers[self.block.layer]
        assert isinstance(layer, Attention)
        if self.rules is None:
            return None
        names = ("query", "key", "value", "output")
        parts = [self.weights.tensors[f"layers.{self.block.layer}.{name}"] for name in names]
        return Roundings.of(self.rules, stream.box, parts, layer.scale, layer.residual, stream.classes.positions)

    def _head(
        self, stream: Boxes, rows: Rows, h: int, through: Arbs, loss: Arbs | None, both: bool = True
    ) -> tuple[Arbs, Arbs]:
        """(rows, c) below and above what head h adds to c functionals `through` (d, c) of the stream.

        loss (classes, c): what rounding takes, each class by its share; None in real arithmetic.
        """
        i, layer, rules = self.block.layer, self.weights.arch.layers[self.block.layer], self.rules
        assert isinstance(layer, Attention)
        values = ab.dot(stream.box, through)
        if rules is None or loss is None:
            query = ab.dot(stream.box, self.t[f"layers.{i}.query"][h]) * number(layer.scale)
            key = ab.dot(stream.box, self.t[f"layers.{i}.key"][h])
        else:
            stored = (self.weights.tensors[f"layers.{i}.{name}"][h] for name in ("query", "key"))
            query, key = (rules.multiply(stream.box, w).ball for w in stored)
            values = spread(values, loss)
        ends = np.concatenate([ab.low(values), -ab.high(values)], axis=1) if both else ab.low(values)
        found = least(Head(query, key, ends, layer.mask == "causal", rules, layer.scale), rows, stream.classes)
        return found[:, : through.shape[1]], -found[:, through.shape[1] :]
