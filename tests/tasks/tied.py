"""Test tasks whose cells tie positions together, one a kind, and random heads for them and the registered ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.heads import Instance, blur, count, lookup
from core.reference import Mixed, arb_right, head
from separatrix.core.domain import CellGroup, Constraint, Sequence
from separatrix.core.task import Task
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.majority import Majority
from tasks.cover import words

NOTHING = np.zeros((1, 0), dtype=np.int64)


@dataclass(frozen=True)
class Tally(Mixed):
    """The same answers as Mixed, by count cells: symbol 0 stands c times, at all positions or all but the query.

    Positions that cannot hold 0 are tied too; with `split` half of the cells force a 0 at the first position able to.
    """

    with_query: bool = False
    split: bool = False

    name = "test-tally"

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        able = [j for j in range(n) if j != query and self.alphabet(j)[0] == 0]
        places = tuple(j for j in range(n) if self.with_query or j != query)
        for token in self.alphabet(query).tolist():
            own = int(self.with_query and token == 0)
            for zeros in range(len(able) + 1):
                constraint = Constraint("count", symbol=0, count=zeros + own, positions=places)
                label = np.array([min(zeros, self.most)])
                if not self.split or not able:
                    yield CellGroup(query, token, NOTHING, NOTHING, label, constraint=constraint)
                    continue
                first = np.array([[able[0]]])
                held = [s for s in self.alphabet(able[0]).tolist() if zeros - (s == 0) in range(len(able))]
                yield CellGroup(
                    query,
                    token,
                    np.repeat(first, len(held), axis=0),
                    np.array(held)[:, None],
                    np.repeat(label, len(held)),
                    constraint=constraint,
                )


@dataclass(frozen=True)
class TiedLookup(IndexLookup):
    """Index lookup among words with distinct classes (symbols modulo `classes`), or with no two equal neighbours."""

    classes: int = 0
    kind: str = "distinct"
    relaxed: bool = False

    name = "test-tied-lookup"

    def tie(self, n: int) -> Constraint:
        """The constraint on the first n positions."""
        places = tuple(range(n))
        if self.kind == "distinct":
            of = tuple((np.arange(self.symbols + n) % self.classes).tolist()) if self.classes else ()
            return Constraint("distinct", positions=places, classes=of)
        lost = self.symbols + 1  # state s + 1: the last symbol was s
        rows = [[lost if state == s + 1 else s + 1 for s in range(self.symbols)] for state in range(lost)]
        transitions = (*map(tuple, rows), (lost,) * self.symbols)
        return Constraint("regular", transitions=transitions, accepting=tuple(range(lost)), positions=places)

    def domain(self, n: int) -> Sequence:
        free = super().domain(n)
        return Sequence(free.alphabets, free.vocabulary, self.tie(n))

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        for group in super().cells(n, query):
            tie = Constraint() if self.relaxed else self.tie(n)
            yield CellGroup(query, group.token, group.positions, group.symbols, group.labels, constraint=tie)


@dataclass(frozen=True)
class Neighbours(Mixed):
    """Tied words that hold the query: the answers of Mixed where no two neighbours are equal, or all are distinct."""

    kind: str = "regular"

    name = "test-neighbours"

    def tie(self) -> Constraint:
        """On every position."""
        if self.kind == "distinct":
            return Constraint("distinct")
        return TiedLookup(self.vocabulary, kind="regular").tie(1)

    def domain(self, n: int) -> Sequence:
        free = super().domain(n)
        tie = self.tie()
        whole = Constraint(tie.kind, transitions=tie.transitions, accepting=tie.accepting)
        return Sequence(free.alphabets, free.vocabulary, whole)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """Those of Mixed, one by one, where they hold a word of the domain."""
        constraint, inputs = self.domain(n).constraint, words(self.domain(n))
        for group in super().cells(n, query):
            assert group.labels is not None and group.background is not None
            for cell in range(len(group)):
                places, symbols = group.positions[cell], group.symbols[cell]
                inside = (inputs[:, places] == symbols).all(axis=1) & (inputs[:, query] == group.token)
                rest = [j for j in range(n) if j != query and j not in places]
                if (inside & (inputs[:, rest] > 0).all(axis=1)).any():
                    one = slice(cell, cell + 1)
                    yield CellGroup(
                        query, group.token, places[None], symbols[None], group.labels[one], None, group.background,
                        constraint,
                    )  # fmt: skip


def majority(rng: np.random.Generator, noise: float, beta: float) -> Instance:
    """Uniform attention counts ones; the read-out compares with a half."""
    n, table, blank = 2 * int(rng.integers(0, 4)) + 1, bool(rng.integers(2)), bool(rng.integers(2))
    width, eye = 3, np.eye(3)
    token = np.zeros((3, width))
    token[:, 0] = [-1.0, 1.0, 0.0]
    token[:, 1:] = rng.normal(size=(3, 2)) * noise
    tensors = {
        "embed.token": token,
        "layers.0.query": eye[None, :, [1]] * beta,
        "layers.0.key": eye[None, :, [2]],
        "layers.0.value": eye[None, :, [0]],
        "layers.0.output": eye[None, [0]],
        "readout.weight": np.outer(eye[0], [-1.0, 1.0]),
        "readout.bias": np.zeros(2),
    }
    if blank:
        tensors["embed.blank"] = np.zeros(width)
    if table:
        tensors["embed.position"] = np.zeros((n + 1, width))
    arch = head(3, n + 1, 2, width, key=1, value=1, table=table, blank=blank)
    return Instance("majority", Model(arch, blur(tensors, rng, noise)), Majority(), n)


def recall(rng: np.random.Generator, noise: float, beta: float) -> Instance:
    """Joined pairs: a key attends to its pair; all keys are a little near, the first one is nearer to all."""
    keys, labels = int(rng.integers(2, 6)), 2
    n, beta = int(rng.integers(1, min(keys, 3) + 1)), float(rng.uniform(0.5, 4.0))
    task = AssociativeRecall(keys, labels, joined=True)
    blank, table = bool(rng.integers(2)), bool(rng.integers(2))
    width = keys + labels
    vocabulary = keys * (labels + 1)
    token = np.zeros((vocabulary, width))
    pair = np.arange(keys * labels)
    near = np.eye(keys) + 0.5 * rng.uniform() * rng.random((keys, keys)) * (1 - np.eye(keys))
    near[0, 1:] = rng.uniform(0.0, 1.0)
    token[pair, :keys] = near[pair // labels]
    token[pair, keys + pair % labels] = 1.0
    token[keys * labels :, :keys] = np.eye(keys)
    eye = np.eye(width)
    query = eye[None, :, :keys] * beta
    tensors = {
        "embed.token": token,
        "layers.0.query": query,
        "layers.0.key": eye[None, :, :keys],
        "layers.0.value": eye[None, :, keys:],
        "layers.0.output": eye[None, keys:],
        "readout.weight": eye[:, keys:],
        "readout.bias": np.zeros(labels),
    }
    if blank:
        tensors["embed.blank"] = np.zeros(width)
    if table:
        tensors["embed.position"] = np.zeros((n + 1, width))
    arch = head(vocabulary, n + 1, labels, width, key=keys, value=labels, table=table, blank=blank)
    return Instance("recall", Model(arch, blur(tensors, rng, noise)), task, n)


def separate(rng: np.random.Generator, noise: float, beta: float) -> Instance:
    """Keys and labels of their own: the labels are averaged, which is right for one pair and never for two."""
    keys, labels, n = int(rng.integers(2, 4)), 2, int(rng.integers(1, 3))
    task, width = AssociativeRecall(keys, labels), 3
    token = np.zeros((keys + labels, width))
    token[keys:, 0] = [1.0, -1.0]
    token[keys:, 1] = beta
    token[:, 2] = 1.0
    eye = np.eye(width)
    tensors = {
        "embed.token": token,
        "embed.position": np.zeros((2 * n + 1, width)),
        "layers.0.query": eye[None, :, [2]],
        "layers.0.key": eye[None, :, [1]],
        "layers.0.value": eye[None, :, [0]],
        "layers.0.output": eye[None, [0]],
        "readout.weight": np.outer(eye[0], [1.0, -1.0]),
        "readout.bias": np.zeros(2),
    }
    arch = head(keys + labels, 2 * n + 1, 2, width, key=1, value=1)
    return Instance("separate", Model(arch, blur(tensors, rng, noise)), task, n)


def dyck(rng: np.random.Generator, noise: float, beta: float) -> Instance:
    """One type, depth 1: openers and closers alternate, which one head can tell. Most other languages are beyond it.

    Weights are 1 where the bracket fits its position, else e^(2 beta) for a closer and e^(-2 beta) for an opener;
    values make what fits the greatest; the end token's own value is the threshold.
    """
    types, depth = ((1, 1), (1, 1), (1, 1), (1, 1), (1, 2), (2, 2))[int(rng.integers(6))]
    n = 2 * int(rng.integers(1, 3 if types == 2 else 4))
    task, vocabulary, width = Dyck(types, depth), 2 * types + 1, 3
    odd, least = np.arange(n) % 2, 1.5 / (1.0 - np.exp(-2 * beta))
    token, place = np.zeros((vocabulary, width)), np.zeros((n + 1, width))
    token[: 2 * types, 0] = np.repeat([-beta, beta], types)
    token[types : 2 * types, 1] = -1.0
    place[:n, 0], place[:n, 1] = beta * (1 - 2 * odd), least * odd
    token[-1, 1:] = [0.25 - n // 2 * (least - 1.0), 1.0]
    eye = np.eye(width)
    tensors = {
        "embed.token": token,
        "embed.position": place,
        "layers.0.query": eye[None, :, [2]],
        "layers.0.key": eye[None, :, [0]],
        "layers.0.value": eye[None, :, [1]],
        "layers.0.output": eye[None, [1]],
        "readout.weight": np.outer(eye[1], [-1.0, 1.0]),
        "readout.bias": np.zeros(2),
    }
    arch = head(vocabulary, n + 1, 2, width, key=1, value=1)
    return Instance("dyck", Model(arch, blur(tensors, rng, noise * 0.3)), task, n)


def tally(rng: np.random.Generator, noise: float, beta: float) -> Instance:
    """The counting heads of Mixed."""
    made = count(rng, noise, beta)
    assert isinstance(made.task, Mixed)
    own = made.task.vocabulary, made.task.most, made.task.shift
    return Instance("tally", made.model, Tally(*own, bool(rng.integers(2)), bool(rng.integers(2))), made.n)


def tied_lookup(rng: np.random.Generator, noise: float, eta: float) -> Instance:
    """Lookup heads among distinct words, or words without equal neighbours."""
    kind = str(rng.choice(["distinct", "regular"]))
    while True:
        made = lookup(rng, noise, min(eta, 6.0) / 3)
        symbols = made.model.arch.readout.outputs
        classes = int(rng.choice([0, 0, 3, 2])) if kind == "distinct" else 0
        if kind == "regular" or made.n <= (min(classes, symbols) or symbols):
            return Instance(f"lookup-{kind}", made.model, TiedLookup(symbols, classes, kind), made.n)


def neighbours(rng: np.random.Generator, noise: float, beta: float) -> Instance:
    """Counting heads on words that tie the query too."""
    while True:
        made = count(rng, noise, beta)
        assert isinstance(made.task, Mixed)
        own = made.task.vocabulary, made.task.most, made.task.shift
        task = Neighbours(*own, kind=str(rng.choice(["regular", "distinct"])))
        if len(words(task.domain(made.n))):
            return Instance(f"neighbours-{task.kind}", made.model, task, made.n)


FAMILIES = (majority, recall, dyck, tally, tied_lookup, tied_lookup, neighbours, separate)


def instance(seed: int) -> Instance:
    """One of the families, with a temperature and a noise of its own."""
    rng = np.random.default_rng((seed, 79))
    make = FAMILIES[seed % len(FAMILIES)]
    noise = float(rng.choice([0.0, 0.01, 0.03, 0.1, 0.3]))
    noise *= {majority: 3.0, neighbours: 1.5, separate: 3.0}.get(make, 1.0)
    if make in (tally, neighbours):
        beta = float(rng.uniform(0, 8))
    elif make is dyck:
        beta = float(rng.uniform(0.3, 1.0))
    else:
        beta = float(np.exp(rng.uniform(np.log(0.5), np.log(20.0))))
    return make(rng, noise, beta)


def worst(model: Model, task: Task, n: int, tokens: np.ndarray | None = None) -> tuple[float, np.ndarray, int]:
    """The least float64 margin over the words of the domain and the scored positions, its input and query."""
    tokens = words(task.domain(n)) if tokens is None else tokens
    queries = list(task.queries(n))
    logits = evaluate(model, tokens, queries=queries)
    labels = task.answer(tokens)[..., None]
    right = np.take_along_axis(logits, labels, axis=2)[..., 0]
    np.put_along_axis(logits, labels, -np.inf, axis=2)
    margin = right - logits.max(axis=2)
    at, q = np.unravel_index(int(margin.argmin()), margin.shape)
    return float(margin[at, q]), tokens[at], queries[q]


def every_right(model: Model, task: Task, n: int) -> bool:
    """Whether arb proves every answer right."""
    rows = words(task.domain(n))
    return all(arb_right(model, task, n, row, q) for row, q in itertools.product(rows, task.queries(n)))
