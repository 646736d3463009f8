"""Certificate kind `contract`: a model of any depth, checked one attention layer at a time.

The task factors as answer = t_L(.. t_2(t_1(x))) (part of its definition): every t_l but the last answers at every
position, and t_(l+1) reads the labels of t_l as its symbols. The kernel follows the stream: while position i holds the
symbol s, its stream lies in a box (centre and radii). Layer l then encloses, in every cell of t_l, what its heads
return (see `contracts.attend`) and what its feed-forward layers make of it (`contracts.feed`), and the hull over the
cells with label s is the box of the symbol s for the next layer. Coordinates that no later weight reads are left out,
exactly; all others carry their range. After the last layer every label must beat every rival in every cell.

The certificate names the factorisation and three choices: coordinates whose radius is at most `noise` are treated as
known by the feed-forward step; a head is told all about its cells up to `terms` terms, of the others only who asks;
with `merge` the hull over the cells with one label is taken before the feed-forward step, and not behind it.
They decide how tight the ranges are, never whether they are right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from separatrix.core.arch import Arch, Table
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel.balls import Ball
from separatrix.kernel.case import Case, Progress, silent
from separatrix.kernel.contracts.attend import MOST_TERMS
from separatrix.kernel.contracts.layers import Block, Weights, blocks_of
from separatrix.kernel.contracts.rounded import Floats
from separatrix.kernel.contracts.rows import Rows, rows_of
from separatrix.kernel.contracts.stream import Stream, by_key, compress, hull


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    name, noise, terms, merge = case.fields(factor=str, noise=str, terms=int, merge=bool)
    case.no_arrays()
    factors = case.task.factors()
    if name not in factors:
        raise InputError(f"task {case.task.name} has no factor {name!r}; it has {', '.join(factors) or 'none'}")
    if not 0 <= terms <= MOST_TERMS:
        raise InputError(f"evidence terms = {str(terms)[:40]} is not a number from 0 to {MOST_TERMS}")
    model = Weights(case.model(), case.tensors, read_noise(noise), terms, merge, Floats.of(case.semantics.spec))
    cells = check(case.task, factors[name], case.n, model, case.progress)
    layers = " + ".join(f"{count:,}" for count in cells)
    how = f"{layers} cells, layer by layer, {case.semantics} arithmetic"
    return f"the model answers {case.where} right on every input ({how})"


def read_noise(text: str) -> float:
    """The threshold from its hex-float string; InputError unless it is a number from 0 on."""
    try:
        noise = float.fromhex(text)
    except (ValueError, OverflowError):
        noise = -1.0
    if not 0 <= noise < np.inf:
        raise InputError(f"evidence noise = {text[:40]!r} is not the hex string of a finite number from 0 on")
    return noise


@np.errstate(all="ignore")  # overflow becomes an infinite radius, which proves nothing
def check(task: Task, chain: Sequence[Task], n: int, weights: Weights, progress: Progress = silent) -> list[int]:
    """Checks every layer; the numbers of cells, or RejectedError, or UnknownError for what it does not handle."""
    arch = weights.arch
    check_tasks(task, chain, n, arch)
    first, blocks = blocks_of(arch)
    if len(blocks) != len(chain):
        raise UnknownError(f"the model has {len(blocks)} attention layers, the factorisation {len(chain)} tasks")
    if weights.floats is not None:
        weights.floats.require(*(np.abs(tensor.astype(np.float64)) for tensor in weights.tensors.values()))
    stream = _tokens(task, n, weights, first)
    cells = []
    for step, (sub, block) in enumerate(zip(chain, blocks, strict=True)):
        progress(f"layer {step + 1} of {len(chain)}")
        if not np.isin(stream.symbol[stream.place < sub.domain(n).positions], symbols_of(sub, n)).all():
            raise RejectedError(f"task {sub.name} does not read every label of the layer before")
        if sub.causal and not block.is_causal(arch):
            raise UnknownError(f"layer {block.layer} sees positions behind its own, of which {sub.name} says nothing")
        last = step + 1 == len(chain)
        rows = rows_of(sub, n, stream, sub.queries(n), arch.blank and not last)
        cells.append(sum(map(len, rows)))
        if last:
            for part in rows:
                _check_margins(part, stream, block, weights, sub)
            if not cells[-1]:
                raise RejectedError("the last factor has no cells at this length")
        else:
            stream = _next(rows, stream, block, weights, sub)
    return cells


def check_tasks(task: Task, chain: Sequence[Task], n: int, arch: Arch) -> None:
    domain, outputs = task.domain(n), task.outputs()
    if not isinstance(outputs, Labels) or chain[-1].outputs() != outputs or outputs.k != arch.readout.outputs:
        raise RejectedError("the model's read-out, the task and its last factor do not have the same labels")
    if arch.readout.decision != "argmax" or not isinstance(arch.first, Table):
        raise UnknownError("the contract check needs a table of tokens and an argmax read-out")
    if arch.first.vocabulary != domain.vocabulary or arch.first.positions not in (0, domain.positions):
        raise RejectedError("the model's tables do not have the task's tokens and positions")
    if domain.lengths or domain.reals is not None or any(isinstance(a, PointerSets) for a in domain.alphabets):
        raise UnknownError("the contract check needs a domain of symbols and one length")
    everywhere = tuple(range(domain.positions))
    for one, two in zip(chain, [*chain[1:], None], strict=True):
        labels, other = one.outputs(), one.domain(n)
        if other.positions != domain.positions or other.lengths or other.reals is not None:
            raise RejectedError("the factors do not have the task's positions")
        if tuple(one.queries(n)) != (task.queries(n) if two is None else everywhere):
            raise RejectedError(
                "the factors do not fit: the last answers where the task is scored, the others everywhere"
            )
        if not isinstance(labels, Labels) or (two is not None and two.domain(n).vocabulary != labels.k):
            raise RejectedError("the factors do not fit: each reads the labels of the one before")
    if chain[0].domain(n).vocabulary != domain.vocabulary:
        raise RejectedError("the first factor does not read the task's tokens")


def symbols_of(task: Task, n: int) -> np.ndarray:
    return np.unique(np.concatenate([np.asarray(alphabet) for alphabet in task.domain(n).alphabets]))


def _tokens(task: Task, n: int, weights: Weights, first: tuple[int, ...]) -> Stream:
    """The embedded tokens, behind feed-forward layers that stand before any attention."""
    domain, blank = task.domain(n), weights.arch.blank
    place = np.concatenate([np.full(len(a), j) for j, a in enumerate(domain.alphabets)])
    symbol = np.concatenate([np.asarray(a) for a in domain.alphabets])
    if len(symbol) and (symbol.min() < 0 or symbol.max() >= domain.vocabulary):
        raise RejectedError("the domain allows a symbol outside its vocabulary")
    box = weights.embedded(symbol, place)
    if blank:
        place, symbol = np.append(place, domain.positions), np.append(symbol, 0)
        box = Ball(*(np.concatenate([a, b]) for a, b in zip((box.mid, box.rad), weights.blank(), strict=True)))
    for layer in first:
        box = weights.behind(layer, box)
    return Stream.of(box, place, symbol, domain.positions + blank, domain.vocabulary)


def _next(rows: list[Rows], stream: Stream, block: Block, weights: Weights, task: Task) -> Stream:
    """The stream behind a block, by the labels of its task."""
    outputs = task.outputs()
    assert isinstance(outputs, Labels)
    boxes, places, labels = [], [], []
    for part in rows:
        box = block.attention(weights, stream, part)
        if block.feeds:
            name = compress(stream.place[part.own], part.label)
            if not weights.merge:  # cells that force the same symbols at other positions are one cell
                name = compress(part.own, part.label, *stream.symbol[part.forced].T)
            order, starts = by_key(name)
            box, part = hull(box, order, starts), part.take(order[starts])
        for layer in block.feeds:
            box = weights.behind(layer, box)
        boxes.append(box)
        places.append(stream.place[part.own])
        labels.append(part.label)
    box = Ball(np.concatenate([b.mid for b in boxes]), np.concatenate([b.rad for b in boxes]))
    if not (box.rad < np.inf).all():
        raise RejectedError(f"behind {task.name}, a coordinate that matters is not bounded")
    return Stream.of(box, np.concatenate(places), np.concatenate(labels), stream.positions, outputs.k)


def _check_margins(rows: Rows, stream: Stream, block: Block, weights: Weights, task: Task) -> None:
    """RejectedError unless every label beats every rival in every cell."""
    for label in np.unique(rows.label):
        part = rows.take(np.flatnonzero(rows.label == label))
        low = block.margins(weights, stream, part, int(label))
        if not (low > 0).all():
            bad = np.argwhere(~(low > 0))[0]
            rival = int(bad[1]) + (bad[1] >= label)
            raise RejectedError(
                f"last layer ({task.name}): at position {stream.place[part.own[bad[0]]]}, label {label} is not proved "
                f"to beat {rival} (least margin {low[tuple(bad)]:.3g})"
            )
