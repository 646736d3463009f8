"""Tasks in steps, models of several layers, and their streams on every input: what contract checks are tested on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.kernel.contracts.rows import Rows
from separatrix.kernel.contracts.stream import Stream
from separatrix.models.embed import embed
from separatrix.models.evaluate import _layer
from separatrix.models.model import Model

EMPTY = np.zeros((1, 0), dtype=np.int64)


@dataclass(frozen=True)
class Step(Task):
    """n positions with symbols 0 .. symbols - 1, one label everywhere; subclasses say which."""

    symbols: int = 2
    labels: int = 2
    seed: int = 0

    name = "test-step"
    gloss = "a step of a random task"
    source = "the tests"

    def domain(self, n: int) -> Sequence:
        return Sequence((np.arange(self.symbols),) * n, vocabulary=self.symbols)

    def outputs(self) -> Labels:
        return Labels(self.labels)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n))

    def rule(self, n: int, *shape: int) -> np.ndarray:
        """A random table of labels for each position."""
        return np.random.default_rng((self.seed, n)).integers(0, self.labels, (n, *shape))

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        return rng.integers(0, self.symbols, (size, n)), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))


class Partner(Step):
    """A table of the own symbol and that of one other position; cells force it."""

    name = "test-partner"

    def partner(self, n: int) -> np.ndarray:
        """Another position for each (itself for n = 1)."""
        shift = np.random.default_rng((self.seed, n, 1)).integers(1, max(2, n), n)
        return (np.arange(n) + shift) % n

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1]
        return self.rule(n, self.symbols, self.symbols)[np.arange(n), tokens, tokens[:, self.partner(n)]]

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        table, other = self.rule(n, self.symbols, self.symbols)[query], int(self.partner(n)[query])
        for own in range(self.symbols):
            held = np.arange(self.symbols)[:, None]
            if other == query:
                yield CellGroup(query, own, EMPTY, EMPTY, labels=table[own, [own]])
            else:
                yield CellGroup(query, own, np.full_like(held, other), held, labels=table[own])


class Before(Step):
    """A table of the own symbol and whether a 0 stands before; cells by an automaton, or by the last 0 (causal)."""

    name = "test-before"

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1]
        zero = np.cumsum(tokens == 0, axis=1) - (tokens == 0) > 0
        return self.rule(n, self.symbols, 2)[np.arange(n), tokens, zero.astype(np.int64)]

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        table = tuple(tuple(1 if state or not s else 0 for s in range(self.symbols)) for state in range(2))
        for own in range(self.symbols):
            for seen in range(2) if query else (0,):
                places = tuple(range(query))
                tie = Constraint("regular", transitions=table, accepting=(seen,), positions=places)
                label = self.rule(n, self.symbols, 2)[query, own, [seen]]
                yield CellGroup(query, own, EMPTY, EMPTY, labels=label, constraint=tie if query else Constraint())


class LastZero(Before):
    """The same answers; cells by the place of the last 0 before, which speak of nothing behind the query."""

    name = "test-last-zero"
    causal = True

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        anything, rest = np.arange(self.symbols), np.arange(1, self.symbols)
        for own in range(self.symbols):
            no, yes = self.rule(n, self.symbols, 2)[query, own]
            yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([no]), background=(rest,) * n)
            for last in range(query):
                where = (anything,) * (last + 1) + (rest,) * (n - last - 1)
                yield CellGroup(
                    query, own, np.array([[last]]), np.zeros((1, 1), np.int64), np.array([yes]), None, where
                )


class Anywhere(Step):
    """A table of the own symbol and whether a 0 stands at another position; cells by backgrounds."""

    name = "test-anywhere"

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        n = tokens.shape[1]
        others = (tokens == 0).sum(axis=1, keepdims=True) - (tokens == 0) > 0
        return self.rule(n, self.symbols, 2)[np.arange(n), tokens, others.astype(np.int64)]

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        others = np.delete(np.arange(n), query)[:, None]
        for own in range(self.symbols):
            no, yes = self.rule(n, self.symbols, 2)[query, own]
            if n > 1:
                yield CellGroup(query, own, others, np.zeros_like(others), np.full(n - 1, yes))
            rest = np.arange(1, self.symbols)
            yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([no]), background=(rest,) * n)


STEPS = (Partner, Before, LastZero, Anywhere)


def random_chain(rng: np.random.Generator, steps: int, causal: bool) -> tuple[Step, ...]:
    """Steps that fit one another; none that is causal unless asked for."""
    symbols = rng.integers(2, 4, steps + 1)
    kinds = [STEPS[rng.integers(0, 4)] for _ in range(steps)]
    kinds = [Before if kind is LastZero and not causal else kind for kind in kinds]
    seeds = rng.integers(0, 1000, steps)
    return tuple(
        kind(int(a), int(b), int(s)) for kind, a, b, s in zip(kinds, symbols[:-1], symbols[1:], seeds, strict=True)
    )


@dataclass(frozen=True)
class Whole(Step):
    """The chain as one task."""

    chain: tuple[Step, ...] = ()

    name = "test-whole"

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        for step in self.chain:
            tokens = step.answer(tokens)
        return tokens


def whole(chain: tuple[Step, ...]) -> Whole:
    """The task that a chain computes."""
    return Whole(chain[0].symbols, chain[-1].labels, 0, chain)


def random_model(rng: np.random.Generator, chain: tuple[Step, ...], n: int, mask: str) -> Model:
    """One attention layer a step, of all kinds; weights of size one, some of them zero."""
    d, layers = int(rng.integers(2, 5)), []
    if rng.random() < 0.2:
        layers.append(FeedForward(hidden=int(rng.integers(1, 4)), residual=bool(rng.random() < 0.5)))
    for _ in chain:
        layers.append(
            Attention(
                heads=int(rng.integers(1, 3)),
                key_width=int(rng.integers(1, 3)),
                value_width=int(rng.integers(1, 3)),
                mask=mask,  # pyright: ignore[reportArgumentType]
                scale=float(rng.choice([1.0, 0.5])),
                residual=bool(rng.random() < 0.7),
            )
        )
        for _ in range(int(rng.integers(0, 3)) if rng.random() < 0.7 else 0):
            layers.append(FeedForward(hidden=int(rng.integers(1, 5)), residual=bool(rng.random() < 0.7)))
    table = Table(chain[0].symbols, n if rng.random() < 0.8 else 0)
    arch = Arch(d, table, tuple(layers), Readout(chain[-1].labels), blank=bool(rng.random() < 0.3))
    tensors = {}
    for name, shape in tensor_shapes(arch).items():
        tensor = rng.standard_normal(shape) * rng.choice([0.3, 1.0, 3.0])
        tensors[name] = tensor * (rng.random(shape) < 0.7) * (rng.random() < 0.9)
    return Model(arch, tensors)


def inputs_of(task: Step, n: int) -> np.ndarray:
    """Every word."""
    return np.array(list(itertools.product(range(task.symbols), repeat=n)))


def in_cell(rows: Rows, row: int, stream: Stream, causal: bool, labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(batch,) which inputs, by the symbols (batch, positions) that a step reads and its answers, lie in a cell."""
    own = rows.own[row]
    query = int(stream.place[own])
    inside = (labels[:, query] == stream.symbol[own]) & (answers[:, query] == rows.label[row])
    for c in rows.forced[row]:
        inside &= labels[:, stream.place[c]] == stream.symbol[c]
    if rows.automaton is None:
        for j in range(query if causal else labels.shape[1]):
            if j != query and j not in stream.place[rows.forced[row]]:
                inside &= rows.allowed[rows.ground[row], stream.number[j, labels[:, j]]]
    elif rows.accepting is not None:
        state = np.zeros(len(labels), dtype=np.int64)
        for j in range(query):
            state = rows.automaton.table[state, labels[:, j]]
        inside &= rows.accepting[row][state]
    return inside


def streams(model: Model, tokens: np.ndarray) -> list[np.ndarray]:
    """(batch, positions, d) of the first map and behind every layer, in float64."""
    x = embed(model.arch, model.tensors, tokens)
    found = [x]
    for i, layer in enumerate(model.arch.layers):
        x = _layer(model, i, layer, x, np.arange(x.shape[1]))
        found.append(x)
    return found
