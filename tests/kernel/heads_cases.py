"""Random models of several heads, about half of whose cells fail, and the truth about every cell by enumeration."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.heads import Instance, instance
from core.reference import random_tensors
from separatrix.core.arch import Arch, Attention, Readout, Table
from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.task import Task
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup


def several(seed: int, heads: int) -> Instance:
    """One head shared out among several: each has its own temperature and noise, and some shares are negative."""
    return share_out(instance(seed), np.random.default_rng((seed, heads, 79)), heads)


def share_out(made: Instance, rng: np.random.Generator, heads: int) -> Instance:
    """A model of one head as one of several."""
    layer, t = made.model.arch.layers[0], dict(made.model.tensors)
    assert isinstance(layer, Attention)
    share = rng.dirichlet(np.ones(heads) * 3.0)
    if rng.random() < 0.4:
        share = share + (lambda x: x - x.mean())(rng.normal(size=heads) * 0.5)
    heat = np.exp(rng.normal(size=heads) * float(rng.choice([0.05, 0.5, 1.0])))
    noise = float(rng.choice([0.0, 0.02, 0.1]))
    for name in ("query", "key", "value", "output"):
        whole = np.repeat(t[f"layers.0.{name}"].astype(np.float64), heads, axis=0)
        whole = whole * (heat if name == "query" else share if name == "output" else np.ones(heads))[:, None, None]
        t[f"layers.0.{name}"] = whole + noise * rng.normal(size=whole.shape) * np.abs(whole).max()
    arch = dataclasses.replace(made.model.arch, layers=(dataclasses.replace(layer, heads=heads),))
    return Instance(f"{made.family} of {heads}", Model(arch, t), made.task, made.n)


def anyhow(seed: int, heads: int) -> Instance:
    """Normal weights on index lookup, with every variant of the architecture; the right symbol is favoured a little."""
    rng = np.random.default_rng((seed, heads, 80))
    symbols = int(rng.integers(2, 5))
    n = int(rng.integers(2, 7 if symbols == 2 else 5 if symbols == 3 else 4))
    blank, residual, table = (bool(b) for b in rng.integers(2, size=3))
    width = symbols + 2
    arch = Arch(
        width,
        Table(symbols + n, (n + 1) * (table or n > 3)),
        (Attention(heads, 2, 2, scale=float(rng.choice([0.5, 1.0, 2.0])), residual=residual),),
        Readout(symbols),
        blank=blank,
    )
    t = random_tensors(arch, rng, float(rng.choice([0.5, 1.0])))
    if rng.random() < 0.3:
        t["readout.bias"] = np.zeros(symbols)
    return Instance(f"anyhow of {heads}", Model(arch, t), IndexLookup(symbols), n)


def cases(seeds: range) -> Iterator[Instance]:
    """One or two models a seed, of 2, 3 or 4 heads."""
    for seed in seeds:
        yield several(seed, 2 + seed % 3)
        if seed % 3 == 0:
            yield anyhow(seed, 2 + seed // 3 % 3)


@dataclass(frozen=True)
class Truth:
    """least (cells, k - 1): the least float64 margin of the label over each other answer; inputs (cells, k - 1, T)."""

    least: np.ndarray
    inputs: np.ndarray


def truth(model: Model, task: Task, n: int, group: CellGroup) -> Truth:
    """Every input of every cell of a group, evaluated."""
    where, labels, answers = group.background or task.domain(n).alphabets, group.labels, model.arch.readout.outputs
    assert labels is not None
    least, inputs = np.empty((len(group), answers - 1)), np.empty((len(group), answers - 1, len(where)), dtype=np.int64)
    for cell in range(len(group)):
        allowed = [np.asarray(a).tolist() for a in where]
        allowed[group.query] = [group.token]
        for position, symbol in zip(group.positions[cell], group.symbols[cell], strict=True):
            allowed[position] = [int(symbol)]
        rows = np.array(list(itertools.product(*allowed)))
        logits = evaluate(model, rows, queries=[group.query])[:, 0]
        margins = logits[:, [labels[cell]]] - np.delete(logits, labels[cell], axis=1)
        at = margins.argmin(axis=0)
        least[cell], inputs[cell] = margins[at, np.arange(answers - 1)], rows[at]
    return Truth(least, inputs)


@dataclass(frozen=True)
class OneCell(Task):
    """A test task: one cell of index lookup as a task of its own. The query is fixed, and so is the symbol it wants."""

    symbols: int = 4
    index: int = 1
    symbol: int = 3

    name = "test-one-cell"
    gloss = "index lookup where the index and the answer are known"
    source = "these tests"

    def domain(self, n: int) -> Sequence:
        symbols = np.arange(self.symbols)
        alphabets = [symbols] * n + [np.array([self.symbols + self.index])]
        alphabets[self.index] = np.array([self.symbol])
        return Sequence(tuple(alphabets), vocabulary=self.symbols + n)

    def outputs(self) -> Labels:
        return Labels(self.symbols)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return np.full((len(tokens), 1), self.symbol)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        none = np.zeros((1, 0), dtype=np.int64)
        yield CellGroup(n, self.symbols + self.index, none, none, np.array([self.symbol]))

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        return np.stack([rng.choice(a, size) for a in self.domain(n).alphabets], axis=1), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))


def split_case() -> tuple[Model, OneCell, int]:
    """A model, right on one cell: two answers need a cut and multipliers, the third is beaten by every head alone."""
    return anyhow(213, 3).model, OneCell(4, 1, 3), 2
