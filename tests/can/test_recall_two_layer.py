"""Recall and nearest neighbour with keys and labels apart: right on every short word, proved, refused when damaged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.models import Model, evaluate
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.multi_query_recall import MultiQueryRecall
from separatrix.tasks.nearest_neighbour import NearestNeighbour
from separatrix.verify.provers import certify
from tasks.cover import words

RECALL, MANY, NEAR = "associative-recall-two-layer", "multi-query-recall-two-layer", "nearest-neighbour-two-layer"
POINT = "nearest-neighbour-pointer"
SMALL: list[tuple[str, Task, int]] = [
    *((RECALL, AssociativeRecall(k, s), n) for k, s, n in ((1, 2, 1), (4, 2, 3), (5, 3, 2), (3, 5, 3))),
    *((MANY, MultiQueryRecall(k, s), n) for k, s, n in ((1, 2, 1), (2, 2, 3), (4, 2, 2), (3, 3, 2))),
    *((name, NearestNeighbour(d, s), n) for name in (NEAR, POINT) for d, s, n in ((1, 2, 3), (2, 2, 3), (3, 3, 2))),
    (POINT, NearestNeighbour(2, 2), 1),
]


def right(model: Model, task: Task, n: int, inputs: np.ndarray) -> np.ndarray:
    """(inputs, queries) whether the model's answer is the task's."""
    return evaluate(model, inputs, queries=task.queries(n)).argmax(axis=2) == task.answer(inputs)


@pytest.mark.parametrize(("name", "task", "n"), SMALL, ids=str)
def test_right_on_every_short_word_proved_and_of_the_stated_size(name: str, task: Task, n: int) -> None:
    witness = registry.get(name)
    model, stated = witness.build(task, n), witness.size(task, n)
    assert right(model, task, n, words(task.domain(n))).all()
    assert certify(model, task, n, method=witness.method).verdict == "proved"
    assert model.size(task.domain(n).positions, stated.precision) == stated


@pytest.mark.parametrize(
    ("name", "task", "n"),
    [
        (RECALL, AssociativeRecall(32, 4), 32),
        (MANY, MultiQueryRecall(8, 3), 6),
        (NEAR, NearestNeighbour(4), 8),
        (POINT, NearestNeighbour(4), 8),
    ],
    ids=str,
)
def test_longer_ones_are_proved_and_right_on_samples(name: str, task: Task, n: int) -> None:
    model = registry.get(name).build(task, n)
    outcome = certify(model, task, n, method="contract")
    assert outcome.verdict == "proved", outcome.sentence
    assert right(model, task, n, task.sample(n, 200, np.random.default_rng(0))[0]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task", "n"),
    [
        (RECALL, AssociativeRecall(256, 4), 256),
        (MANY, MultiQueryRecall(64, 4), 16),
        (NEAR, NearestNeighbour(6), 64),
    ],
    ids=str,
)
def test_the_longest_are_proved(name: str, task: Task, n: int) -> None:
    assert certify(registry.get(name).build(task, n), task, n, method="contract").verdict == "proved"


@pytest.mark.parametrize(
    ("name", "task", "n"), [(RECALL, AssociativeRecall(4, 2), 3), (MANY, MultiQueryRecall(3, 2), 3)]
)
def test_a_blunt_first_layer_is_not_proved(name: str, task: Task, n: int) -> None:
    """Positions that copy from anywhere bind labels to the wrong keys."""
    model = registry.get(name).build(task, n)
    blunt = Model(model.arch, {**model.tensors, "layers.0.query": model.tensors["layers.0.query"] / 2.0**12})
    assert not right(blunt, task, n, words(task.domain(n))).all()
    assert certify(blunt, task, n, method="contract").verdict == "refuted"


def test_the_causal_mask_is_not_what_makes_it_right() -> None:
    """Without the causal mask the first key fetches the label behind it, which holds no key: nothing changes."""
    task, n = MultiQueryRecall(3, 2), 2
    model = registry.get(MANY).build(task, n)
    layers = tuple(dataclasses.replace(layer, mask="none") for layer in model.arch.layers)
    bare = Model(dataclasses.replace(model.arch, layers=layers), model.tensors)
    assert right(bare, task, n, words(task.domain(n))).all()
    assert certify(bare, task, n, method="contract").verdict == "proved"


def test_what_the_constructions_do_not_reach() -> None:
    for name, task, n, message in (
        (RECALL, AssociativeRecall(4, 2, joined=True), 3, "apart"),
        (RECALL, AssociativeRecall(2**13, 2), 3, "keys"),
        (MANY, MultiQueryRecall(4, 2), 2**11, "N = 2048"),
        (NEAR, NearestNeighbour(9), 3, "dim"),
        (POINT, NearestNeighbour(3), 2**9, "N = 512"),
        (NEAR, NearestNeighbour(3, joined=True), 3, "apart"),
    ):
        with pytest.raises(InputError, match=message):
            registry.get(name).build(task, n)
