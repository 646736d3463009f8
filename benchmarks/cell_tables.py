"""A cell of a one-layer model as plain tables, from which the peers start: what each symbol at each position adds.

The query and its token are known in a cell, so that every score and every head's output is read from tables of
position and symbol; no other method has to find its way through the embedding. Plain float64, no prover involved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Attention, FeedForward
from separatrix.core.domain import CellGroup, Constraint
from separatrix.core.task import Task
from separatrix.models import Model


@dataclass(frozen=True, slots=True)
class CellTable:
    """One cell; J positions with W columns (symbols) each, H heads, F hidden units (0 without a ReLU layer).

    score (H, J, W); value (H, J, W, F + k): what a column adds, times the head's weight, to the pre-activations and to
    the k logits; own (F + k): what is there without attention; out (F, k): from the hidden units to the logits.
    allowed (J, W): columns that some word of the cell has there (its superset that is a product). ids (J, W): their
    symbols; constraint: what ties positions together, which only some methods can express.
    """

    score: np.ndarray
    value: np.ndarray
    own: np.ndarray
    out: np.ndarray
    allowed: np.ndarray
    ids: np.ndarray
    label: int
    constraint: Constraint
    query: int

    @property
    def hidden(self) -> int:
        """F."""
        return len(self.out)

    @property
    def rivals(self) -> list[int]:
        """The wrong answers."""
        return [k for k in range(self.out.shape[1]) if k != self.label]

    def logits(self, columns: np.ndarray) -> np.ndarray:
        """(k,) of the word that has these columns (J,)."""
        at = np.arange(len(columns))
        score = self.score[:, at, columns]
        weight = np.exp(score - score.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        stream = np.einsum("hj,hjm->m", weight, self.value[:, at, columns]) + self.own
        return np.maximum(stream[: self.hidden], 0.0) @ self.out + stream[self.hidden :]


def cells_of(model: Model, task: Task, n: int, some: int | None = None) -> Iterator[CellTable]:
    """Every cell in the task's order, or `some` of them, evenly spread."""
    query = task.queries(n)
    groups = [group for q in query for group in task.cells(n, q) or ()]
    sizes = [len(group) for group in groups]
    total = sum(sizes)
    wanted = range(total) if some is None or some >= total else (np.arange(some) * total // some).tolist()
    ends = np.cumsum(sizes)
    for number in wanted:
        g = int(np.searchsorted(ends, number, side="right"))
        yield _table(model, task, n, groups[g], number - int(ends[g] - sizes[g]))


def _table(model: Model, task: Task, n: int, group: CellGroup, cell: int) -> CellTable:
    t = {name: np.asarray(tensor, dtype=np.float64) for name, tensor in model.tensors.items()}
    layer, *rest = model.transformer.layers
    assert isinstance(layer, Attention), "the first layer is attention"
    assert group.labels is not None and isinstance(group.token, int), "cells of symbols with labels"
    ids, allowed = _columns(task, n, group, cell)
    token, place = t["embed.token"], t["embed.position"]
    x = token[ids] + place[: len(ids), None]
    asks = token[group.token] + place[group.query]
    keys = np.einsum("jwd,hdm->hjwm", x, t["layers.0.key"])
    score = np.einsum("hm,hjwm->hjw", np.einsum("d,hdm->hm", asks, t["layers.0.query"]), keys) * layer.scale
    value = np.einsum("jwd,hdv,hve->hjwe", x, t["layers.0.value"], t["layers.0.output"], optimize=True)
    own, readout, out = asks * layer.residual, t["readout.weight"], np.zeros((0, t["readout.weight"].shape[1]))
    into, constant, bias = np.zeros((len(own), 0)), np.zeros(0), t["readout.bias"]
    if rest:
        (second,) = rest
        assert isinstance(second, FeedForward) and second.norm == "none" == layer.norm, "ReLU layers without norms"
        into, constant, out = t["layers.1.in"], t["layers.1.in_bias"], t["layers.1.out"] @ readout
        bias, readout = bias + t["layers.1.out_bias"] @ readout, readout * second.residual
    both = np.concatenate([into, readout], axis=1)
    return CellTable(
        score, value @ both, own @ both + np.concatenate([constant, bias]), out, allowed, ids,
        int(group.labels[cell]), group.constraint, group.query,
    )  # fmt: skip


def _columns(task: Task, n: int, group: CellGroup, cell: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols by position and column, and which of them occur there in the cell, as far as single positions tell."""
    where = list(group.background or task.domain(n).alphabets)
    for position, symbol in zip(group.positions[cell], group.symbols[cell], strict=True):
        where[position] = np.array([symbol])
    where[group.query] = np.array([group.token])
    width = max(map(len, where))
    ids = np.array([np.resize(alphabet, width) for alphabet in where])
    allowed = np.array([np.arange(width) < len(alphabet) for alphabet in where])
    tie = group.constraint
    if tie.kind == "distinct":
        tied = tie.places(len(where))
        for j in tied:
            if len(where[j]) == 1:
                for other in tied[tied != j]:
                    allowed[other] &= tie.class_of(ids[other]) != tie.class_of(where[j])[0]
    elif tie.kind == "count":
        tied = tie.places(len(where))
        if tie.count == 0:
            allowed[tied] &= ids[tied] != tie.symbol
        elif tie.count == len(tied):
            allowed[tied] &= ids[tied] == tie.symbol
    return ids, allowed
