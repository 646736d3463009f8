"""Strassen attention: right on every short input, proved at length, refuted when worse; and the torch module."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from separatrix.can import registry
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.models import Model, evaluate
from separatrix.models.nets import load
from separatrix.models.nets.strassen import by_definition, sides
from separatrix.models.trace import trace
from separatrix.tasks.function_composition import FunctionComposition
from separatrix.tasks.match3 import Match3
from separatrix.tasks.relation_composition import RelationComposition
from separatrix.verify.provers import certify

MATCH, FUNCTIONS, RELATIONS = "match3-strassen", "function-composition-strassen", "relation-composition-strassen"
SMALL: list[tuple[str, Task, int]] = [
    *((MATCH, Match3(m), n) for m, n in ((2, 1), (2, 5), (3, 4), (4, 4), (5, 4), (7, 4))),
    *((FUNCTIONS, FunctionComposition(v), n) for v, n in ((2, 1), (2, 3), (3, 2), (5, 2))),
    *((RELATIONS, RelationComposition(), n) for n in (1, 2)),
]


def every_input(task: Task, n: int) -> np.ndarray:
    return np.array(list(itertools.product(*(np.asarray(a).tolist() for a in task.domain(n).alphabets))))


@pytest.mark.parametrize(("name", "task", "n"), SMALL, ids=str)
def test_every_short_input_is_answered_proved_and_of_the_stated_size(name: str, task: Task, n: int) -> None:
    witness = registry.get(name)
    model, stated = witness.build(task, n), witness.size(task, n)
    inputs = every_input(task, n)
    logits = evaluate(model, inputs, queries=task.queries(n))
    assert np.array_equal(logits.argmax(axis=2), task.answer(inputs))
    assert model.size(task.domain(n).positions, stated.precision) == stated and stated.bits("cut") is None
    assert certify(model, task, n, method=witness.method).verdict == "proved"
    net = load(model)
    with torch.no_grad():
        found = net(torch.tensor(inputs[:64]), queries=list(task.queries(n))).numpy()
    np.testing.assert_allclose(found, logits[:64], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "task", "n"),
    [(MATCH, Match3(29), 40), (FUNCTIONS, FunctionComposition(4), 5), (RELATIONS, RelationComposition(), 4)],
)
def test_longer_models_are_proved_and_right_on_samples(name: str, task: Task, n: int) -> None:
    witness = registry.get(name)
    model = witness.build(task, n)
    assert certify(model, task, n, method=witness.method).verdict == "proved"
    tokens = task.sample(n, 8, np.random.default_rng(0), "uniform" if name == FUNCTIONS else "sparse")[0]
    assert np.array_equal(evaluate(model, tokens, queries=task.queries(n)).argmax(axis=2), task.answer(tokens))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task", "n"),
    [(MATCH, Match3(257), 128), (FUNCTIONS, FunctionComposition(16), 8), (RELATIONS, RelationComposition(), 12)],
)
def test_the_longest_models_are_proved(name: str, task: Task, n: int) -> None:
    witness = registry.get(name)
    assert certify(witness.build(task, n), task, n, method=witness.method).verdict == "proved"


def test_a_ratio_of_matrix_products_is_the_definition() -> None:
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    first, across, second, v, w = (
        normal(2, 9, 12),
        normal(2, 12, 12),
        normal(2, 9, 12),
        normal(2, 12, 3),
        normal(2, 12, 3),
    )
    one, other = sides(first, across, second, v, w), by_definition(first, across, second, v, w)
    assert float(((one - other).abs() / other.abs().clamp(min=1e-3)).max()) < 1e-11
    # the heaviest pair far below the maxima of the three sides: the products underflow, the answer does not
    far = first * 0
    far[:, :, 0], across = 4000.0, across.clone()
    across[:, 0] = -9000.0
    one, other = sides(far, across, second, v, w), by_definition(far, across, second, v, w)
    assert torch.isfinite(one).all() and torch.equal(one, other)
    # an input whose products underflow changes nothing for another one, and both have gradients
    both = [torch.cat(pair).requires_grad_() for pair in zip((first[:1], across[:1] * 0, second[:1], v[:1], w[:1]),
            (far[:1], across[:1], second[:1], v[:1], w[:1]), strict=True)]  # fmt: skip
    mixed = sides(*both)
    assert torch.equal(mixed[:1], sides(*(part[:1] for part in both))) and torch.equal(mixed[1:], one[:1])
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(mixed.sum(), both))


def test_gradients_pass_through() -> None:
    net = load(registry.get(RELATIONS).build(RelationComposition(), 2))
    net(torch.tensor([[0, 1, 2, 3]])).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_trace_shows_the_pair_that_is_looked_at() -> None:
    task, n = FunctionComposition(4), 4
    model = registry.get(FUNCTIONS).build(task, n)
    tokens = task.sample(n, 1, np.random.default_rng(3))[0][0]
    heads = trace(model, tokens).steps[0].heads
    (pair, weight), *_ = heads[0].tuples[2 * n]
    assert pair == (tokens[-1], n + tokens[tokens[-1]]) and weight > 0.7


@pytest.mark.parametrize(
    ("name", "task", "n", "tensor", "factor"),
    [
        (MATCH, Match3(5), 4, "layers.0.keys", 0.3),
        (MATCH, Match3(5), 4, "readout.bias", 0.3),
        (FUNCTIONS, FunctionComposition(3), 3, "layers.0.query", 0.1),
        (RELATIONS, RelationComposition(), 2, "layers.0.keys", 0.05),
    ],
    ids=str,
)
def test_weaker_models_are_refuted(name: str, task: Task, n: int, tensor: str, factor: float) -> None:
    witness = registry.get(name)
    model = witness.build(task, n)
    worse = Model(model.arch, {**model.tensors, tensor: model.tensors[tensor] * factor})
    assert certify(worse, task, n, method=witness.method).verdict == "refuted"


def test_sizes_out_of_reach_are_refused() -> None:
    for name, task, n, text in (
        (MATCH, Match3(7, distinct_indices=True), 4, "distinct_indices"),
        (MATCH, Match3(1000), 4, "M up to"),
        (FUNCTIONS, FunctionComposition(64), 40, "labels up to"),
        (RELATIONS, RelationComposition(), 40, "n up to"),
    ):
        with pytest.raises(InputError, match=text):
            registry.get(name).build(task, n)
