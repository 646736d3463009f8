"""Associative recall and nearest neighbours where pairs are joined: exhaustive, certified, damaged, refused."""

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.errors import InputError
from separatrix.models import Model, evaluate
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.nearest_neighbour import NearestNeighbour
from separatrix.verify.provers import certify
from tasks.cover import words

RECALL, NEAREST = "associative-recall-quadratic", "nearest-neighbour-recency"
SMALL = [
    (RECALL, AssociativeRecall(4, 2, joined=True), 3),
    (RECALL, AssociativeRecall(3, 3, joined=True), 3),
    (NEAREST, NearestNeighbour(2, 2, joined=True), 3),
    (NEAREST, NearestNeighbour(1, 3, joined=True), 4),
]
LARGER = [
    (RECALL, AssociativeRecall(6, 3, joined=True), 6),
    (RECALL, AssociativeRecall(64, 4, joined=True), 32),
    (NEAREST, NearestNeighbour(4, 2, joined=True), 16),
]


@pytest.mark.parametrize(("name", "task", "n"), SMALL)
def test_every_input_is_answered(name, task, n):
    tokens, model = words(task.domain(n)), registry.get(name).build(task, n)
    assert (evaluate(model, tokens, queries=task.queries(n)).argmax(axis=2) == task.answer(tokens)).all()


@pytest.mark.parametrize(("name", "task", "n"), SMALL + LARGER)
def test_built_models_are_certified_and_of_the_stated_size(name, task, n):
    model, size = registry.get(name).build(task, n), registry.get(name).size(task, n)
    assert model.size(task.domain(n).positions, size.precision) == size
    assert certify(model, task, n, method="separable").verdict == "proved"


@pytest.mark.slow
def test_recall_of_256_pairs_is_certified():
    task = AssociativeRecall(256, 4, joined=True)
    assert certify(registry.get(RECALL).build(task, 256), task, 256, method="separable").verdict == "proved"


@pytest.mark.parametrize(("name", "task", "n"), SMALL)
def test_a_flat_temperature_is_refuted(name, task, n):
    model = registry.get(name).build(task, n)
    bad = Model(model.arch, {**model.tensors, "layers.0.query": model.tensors["layers.0.query"] * 0.01})
    assert certify(bad, task, n, method="separable").verdict == "refuted"


def test_without_recency_the_latest_among_equals_does_not_win():
    name, task, n = SMALL[2]
    model = registry.get(name).build(task, n)
    place = np.array(model.tensors["embed.position"])
    place[:n] = place[:n].mean(axis=0)
    bad = Model(model.arch, {**model.tensors, "embed.position": place})
    assert certify(bad, task, n, method="separable").verdict == "refuted"


def test_separate_tokens_are_refused():
    with pytest.raises(InputError, match="joined"):
        registry.get(RECALL).build(AssociativeRecall(4, 2), 3)
    with pytest.raises(InputError, match="joined"):
        registry.get(NEAREST).build(NearestNeighbour(2, 2), 3)
