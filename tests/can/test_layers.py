"""Constructions of several layers: right on every short word, proved at length, refuted when damaged."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.arch import Attention
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality
from separatrix.tasks.k_hop import KHop
from separatrix.verify.provers import certify

TWO, THREE, HOP, EQUAL = "dyck-two-layer", "dyck-three-layer", "k-hop-doubling", "equality-two-layer"
SMALL: list[tuple[str, Task, int]] = [
    (EQUAL, Equality(3), 6),
    *((TWO, Dyck(types, 2), n) for types, n in ((1, 2), (1, 8), (2, 6), (3, 4))),
    *((THREE, Dyck(types, depth), n) for types, depth, n in ((1, 1, 4), (1, 3, 8), (2, 2, 6), (2, 3, 6), (3, 2, 4))),
    *((HOP, KHop(k, s), n) for k, s, n in ((1, 2, 1), (1, 3, 6), (2, 2, 2), (2, 3, 6), (8, 2, 9), (4, 5, 4))),
    *((HOP, KHop(k, s), n) for k, s, n in ((3, 2, 7), (5, 3, 5), (6, 2, 8), (7, 2, 1), (13, 2, 9))),
]


def every_word(task: Task, n: int) -> np.ndarray:
    return np.array(list(itertools.product(*(np.asarray(a).tolist() for a in task.domain(n).alphabets))))


def right(model: Model, task: Task, n: int, words: np.ndarray) -> np.ndarray:
    """(words, queries) whether the model's answer is the task's."""
    return evaluate(model, words, queries=list(task.queries(n))).argmax(axis=2) == task.answer(words)


@pytest.mark.parametrize(("name", "task", "n"), SMALL, ids=str)
def test_models_are_right_on_every_short_word_proved_and_of_the_stated_size(name: str, task: Task, n: int) -> None:
    witness = registry.get(name)
    model, stated = witness.build(task, n), witness.size(task, n)
    assert right(model, task, n, every_word(task, n)).all()
    assert certify(model, task, n, method="contract").verdict == "proved"
    assert model.size(task.domain(n).positions, stated.precision) == stated


@pytest.mark.parametrize(
    ("name", "task", "n"),
    [
        (EQUAL, Equality(2), 512),
        (TWO, Dyck(2, 2), 128),
        (TWO, Dyck(9, 2), 16),
        (THREE, Dyck(2, 3), 48),
        (HOP, KHop(16, 2), 24),
        (HOP, KHop(13, 2), 16),
        (HOP, KHop(2**19, 2), 8),  # 21 layers
    ],
    ids=str,
)
def test_longer_models_are_proved_and_right_on_samples(name: str, task: Task, n: int) -> None:
    model = registry.get(name).build(task, n)
    outcome = certify(model, task, n, method="contract")
    assert outcome.verdict == "proved", outcome.sentence
    words = task.sample(n, 20, np.random.default_rng(0), "balanced" if isinstance(task, Dyck) else "uniform")[0]
    assert right(model, task, n, words).all()
    if isinstance(task, KHop) and task.k == 2**19:
        assert len([layer for layer in model.arch.layers if isinstance(layer, Attention)]) == 21


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task", "n"), [(TWO, Dyck(2, 2), 512), (THREE, Dyck(2, 3), 256), (HOP, KHop(16, 2), 128)], ids=str
)
def test_the_longest_models_are_proved(name: str, task: Task, n: int) -> None:
    assert certify(registry.get(name).build(task, n), task, n, method="contract").verdict == "proved"


@pytest.mark.parametrize(("name", "task", "n"), [(TWO, Dyck(2, 2), 8), (THREE, Dyck(2, 3), 8), (HOP, KHop(2, 3), 8)])
def test_without_the_causal_mask_nothing_is_proved(name: str, task: Task, n: int) -> None:
    """Without it the head looks at brackets and symbols behind its own position."""
    model = registry.get(name).build(task, n)
    for cut in range(len(model.arch.layers)):
        layer = model.arch.layers[cut]
        if not isinstance(layer, Attention):
            continue
        layers = list(model.arch.layers)
        layers[cut] = dataclasses.replace(layer, mask="none")
        bare = Model(dataclasses.replace(model.arch, layers=tuple(layers)), model.tensors)
        outcome = certify(bare, task, n, method="contract")
        words = task.sample(n, 3000, np.random.default_rng(1))[0]
        if not right(bare, task, n, words).all():
            assert outcome.verdict != "proved"
            assert outcome.verdict == "refuted" or not name.startswith("dyck-three")
            return
    raise AssertionError("no layer needs its mask")


@pytest.mark.parametrize(("name", "task", "n"), SMALL[1:], ids=str)
def test_sizes_do_not_reach_beyond_what_is_built(name: str, task: Task, n: int) -> None:
    witness = registry.get(name)
    with pytest.raises(InputError, match=name):
        witness.size(task, 2**12)
    if name == TWO:
        with pytest.raises(InputError, match="depth"):
            witness.build(Dyck(2, 3), 8)
    if name == HOP:
        with pytest.raises(InputError, match="up to 64 for k = 3"):
            witness.build(KHop(3, 2), 65)
