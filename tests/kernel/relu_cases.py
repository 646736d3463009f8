"""Random models with a ReLU layer and layer norms, some of whose pairs fail, and the truth by enumeration."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.reference import random_tensors
from kernel.heads_cases import OneCell
from separatrix.core.arch import Arch, Attention, FeedForward, LayerNorm, Readout, Table
from separatrix.core.domain import CellGroup, Labels
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.kernel.relu_tables import Scene
from separatrix.models.evaluate import evaluate, normalised
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.majority import Majority

NORMS = ("none", "first", "middle", "last", "all", "no bias")


@dataclass(frozen=True)
class Instance:
    """One model with the task that it tries."""

    family: str
    model: Model
    task: Task
    n: int


def tasks(rng: np.random.Generator) -> tuple[Task, int]:
    """A small task of some kind of cells."""
    kind = rng.choice(["product", "product", "count", "distinct", "regular"])
    if kind == "count":
        return Majority(), int(rng.choice([3, 5]))
    if kind == "distinct":
        keys = int(rng.integers(2, 4))
        return AssociativeRecall(keys, 2, joined=True), int(rng.integers(1, keys + 1))
    if kind == "regular":
        return Dyck(1, int(rng.integers(1, 3))), int(rng.choice([2, 4]))
    symbols = int(rng.integers(2, 4))
    return IndexLookup(symbols), int(rng.integers(1, 6 if symbols == 2 else 5))


def layers(rng: np.random.Generator, heads: int, norm: str, hidden: int) -> tuple:
    """Attention, a ReLU layer unless hidden is 0, and the norms."""
    one = Attention(
        heads,
        2,
        2,
        scale=float(rng.choice([0.5, 1.0])),
        residual=bool(rng.integers(2)),
        norm="pre" if norm in ("first", "all") else "none",
    )
    made: list = [one]
    if hidden:
        made.append(
            FeedForward(hidden, residual=bool(rng.integers(2)), norm="pre" if norm in ("middle", "all") else "none")
        )
    if norm in ("last", "all", "no bias"):
        made.append(LayerNorm(1e-3, bias=norm != "no bias"))
    return tuple(made)


def anyhow(seed: int, heads: int, norm: str) -> Instance:
    """Normal weights; the first position that may hold a label's symbol is favoured by the read-out's bias."""
    rng = np.random.default_rng((seed, heads, NORMS.index(norm), 81))
    task, n = tasks(rng)
    domain, outputs = task.domain(n), task.outputs()
    assert isinstance(outputs, Labels)
    hidden = int(rng.choice([0, 1, 3, 6])) if norm not in ("middle", "none") else int(rng.choice([1, 3, 6]))
    table = domain.positions if rng.integers(4) else 0
    arch = Arch(
        outputs.k + 2,
        Table(domain.vocabulary, table),
        layers(rng, heads, norm, hidden),
        Readout(outputs.k),
        blank=bool(rng.integers(4) == 0),
    )
    t = random_tensors(arch, rng, float(rng.choice([0.3, 0.6, 1.0])))
    t |= {name: np.full(tensor.shape, 1e-2) for name, tensor in t.items() if name.endswith("eps")}
    if norm == "no bias":
        t["readout.bias"] = np.full(outputs.k, 0.25)
    return Instance(f"{norm} of {heads}, {task.name}", Model(arch, t), task, n)


def cases(seeds: range) -> Iterator[Instance]:
    """One model a seed: 1, 2, 1 or 3 heads, and norms in turn."""
    for seed in seeds:
        yield anyhow(seed, (1, 2, 1, 3)[seed % 4], NORMS[seed // 4 % len(NORMS)])


def truth(model: Model, task: Task, n: int, group: CellGroup) -> tuple[np.ndarray, np.ndarray]:
    """(cells, k - 1) the least float64 margin over every other answer, and the inputs (cells, k - 1, T), enumerated."""
    where, labels, answers = group.background or task.domain(n).alphabets, group.labels, model.arch.readout.outputs
    assert labels is not None
    least, inputs = np.empty((len(group), answers - 1)), np.empty((len(group), answers - 1, len(where)), dtype=np.int64)
    for cell in range(len(group)):
        allowed = [np.asarray(a).tolist() for a in where]
        allowed[group.query] = [group.token]
        for position, symbol in zip(group.positions[cell], group.symbols[cell], strict=True):
            allowed[position] = [int(symbol)]
        rows = np.array(list(itertools.product(*allowed)))
        rows = rows[group.constraint.holds(rows)]
        logits = evaluate(model, rows, queries=[group.query])[:, 0]
        margins = logits[:, [labels[cell]]] - np.delete(logits, labels[cell], axis=1)
        at = margins.argmin(axis=0)
        least[cell], inputs[cell] = margins[at, np.arange(answers - 1)], rows[at]
    return least, inputs


def inputs_of(scene: Scene, group: CellGroup, task: Task, n: int, cell: int) -> np.ndarray:
    """Every word of a cell, as columns of the scene (words, J), by the task's own definition of the constraint."""
    where = group.background or task.domain(n).alphabets
    ids = scene.words.ids
    allowed = [np.searchsorted(ids[:-2], np.asarray(a)).tolist() for a in where]
    allowed[group.query] = [len(ids) - 2]
    for position, symbol in zip(group.positions[cell], group.symbols[cell], strict=True):
        allowed[position] = [int(np.searchsorted(ids[:-2], symbol))]
    columns = np.array(list(itertools.product(*allowed)))
    columns = columns[group.constraint.holds(ids[columns])]
    blanks = np.full((len(columns), scene.words.allowed.shape[0] - columns.shape[1]), len(ids) - 1)
    return np.concatenate([columns, blanks], axis=1)


def values(
    scene: Scene, group: CellGroup, made: Instance, cell: int, rival: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of every input of a cell: s S times the margin over `rival`, the features, s, S, D_h, from the model itself.

    Attention is evaluated input by input from the model's tensors; D_h in units of the scene's own shift.
    """
    columns = inputs_of(scene, group, made.task, made.n, cell)
    tokens = scene.words.ids[columns]
    tokens = tokens[:, : made.task.domain(made.n).positions]
    model, arch, net = made.model, made.model.arch, scene.net
    stream = _attended(model, tokens, group.query)
    d = arch.width
    centred = d * stream - stream.sum(axis=1, keepdims=True)
    t, layers_ = model.tensors, arch.layers
    s = outer = np.ones(len(tokens))
    parts = []
    after, ff = stream, next((layer for layer in layers_ if isinstance(layer, FeedForward)), None)
    if ff is not None:
        into, pre = t["layers.1.in"], stream
        if ff.norm == "pre":
            s = d * np.sqrt(stream.var(axis=1) + float(t["layers.1.norm_eps"]))
            into, pre = t["layers.1.norm_scale"][:, None] * into, centred
        parts.append(pre @ into)
        inner = stream
        if ff.norm == "pre":
            scale, bias, eps = (t[f"layers.1.norm_{name}"] for name in ("scale", "bias", "eps"))
            inner = normalised(stream, scale, bias, float(eps))
        hidden = np.maximum(inner @ t["layers.1.in"] + t["layers.1.in_bias"], 0.0)
        after = hidden @ t["layers.1.out"] + t["layers.1.out_bias"] + (stream if ff.residual else 0.0)
    readout = t["readout.weight"]
    if isinstance(layers_[-1], LayerNorm):
        i = len(layers_) - 1
        readout = t[f"layers.{i}.scale"][:, None] * readout
        readout = d * readout - readout.sum(axis=0)
        if net.outer_eps is not None:
            outer = d * np.sqrt(after.var(axis=1) + layers_[-1].eps)
        real_outer = d * np.sqrt(after.var(axis=1) + layers_[-1].eps)
    else:
        real_outer = outer
    if net.outs:
        parts.append(stream @ readout)
    parts.append(centred[:, : net.coordinates])
    logits = evaluate(model, tokens, queries=[group.query])[:, 0]
    margin = logits[:, scene.labels[cell]] - logits[:, rival if rival is not None else 0]
    weight = (scene.low + scene.high)[:, np.arange(columns.shape[1]), columns] / 2
    return margin * s * real_outer, np.concatenate(parts, axis=1), s, outer, weight.sum(axis=2).T


def _attended(model: Model, tokens: np.ndarray, query: int) -> np.ndarray:
    """(inputs, d) the stream at the query after the attention layer, by the model's own evaluation of that layer."""
    arch = dataclasses.replace(model.arch, layers=model.arch.layers[:1], readout=Readout(model.arch.width, "reals"))
    t = {name: tensor for name, tensor in model.tensors.items() if name in tensor_shapes(arch)}
    t |= {"readout.weight": np.eye(arch.width), "readout.bias": np.zeros(arch.width)}
    return evaluate(Model(arch, t), tokens, queries=[query])[:, 0]


def one_cell(seed: int, heads: int, norm: str) -> Instance:
    """Normal weights on one cell of index lookup, three symbols and four positions."""
    rng = np.random.default_rng((seed, heads, NORMS.index(norm), 82))
    task, n = OneCell(3, 1, 2), 4
    arch = Arch(5, Table(3 + n, n + 1), layers(rng, heads, norm, 6), Readout(3))
    t = random_tensors(arch, rng, 0.8)
    t |= {name: np.full(tensor.shape, 1e-2) for name, tensor in t.items() if name.endswith("eps")}
    return Instance(f"one cell, {norm} of {heads}", Model(arch, t), task, n)
