"""The easy variants of Match3: answers by definition, right on short inputs, proved at length, refuted when worse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.models import Model, evaluate
from separatrix.tasks.match3 import Match3
from separatrix.tasks.match3_bigram import Match3Bigram
from separatrix.tasks.match3_local import Match3Local
from separatrix.verify.provers import certify

BIGRAM, LOCAL = "match3-bigram-two-layer", "match3-local-one-layer"
SMALL: list[tuple[str, Task, int]] = [
    *((BIGRAM, Match3Bigram(m), n) for m, n in ((2, 1), (2, 6), (3, 5), (4, 5), (5, 5), (7, 4))),
    *((LOCAL, Match3Local(m, k), n) for m, k, n in ((2, 1, 3), (3, 1, 5), (7, 1, 4), (2, 2, 6), (3, 2, 6))),
]


@pytest.mark.parametrize(("name", "task", "n"), SMALL, ids=str)
def test_every_short_input_is_answered_and_the_stated_size_is_built(name: str, task: Task, n: int) -> None:
    witness = registry.get(name)
    model, stated = witness.build(task, n), witness.size(task, n)
    inputs = np.array(list(itertools.product(range(task.domain(n).vocabulary), repeat=n)))
    assert np.array_equal(evaluate(model, inputs).argmax(axis=2), task.answer(inputs))
    assert model.size(n, stated.precision) == stated
    assert certify(model, task, n, method="contract").verdict == "proved"


@pytest.mark.parametrize(
    ("name", "task", "n"),
    [(BIGRAM, Match3Bigram(11), 12), (LOCAL, Match3Local(7, 1), 40), (LOCAL, Match3Local(3, 2), 12)],
)
def test_longer_models_are_proved(name: str, task: Task, n: int) -> None:
    outcome = certify(registry.get(name).build(task, n), task, n, method="contract")
    assert outcome.verdict == "proved", outcome.sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task", "n"),
    [(BIGRAM, Match3Bigram(17), 64), (LOCAL, Match3Local(17, 1), 64), (LOCAL, Match3Local(5, 2), 64)],
)
def test_the_longest_models_are_proved(name: str, task: Task, n: int) -> None:
    assert certify(registry.get(name).build(task, n), task, n, method="contract").verdict == "proved"


@pytest.mark.parametrize(("modulus", "n"), [(2, 1), (2, 7), (3, 5), (5, 4), (9, 3), (64, 2)])
def test_the_packed_input_is_answered_and_the_stated_size_is_built(modulus: int, n: int) -> None:
    witness, task = registry.get("match3-packing"), Match3(modulus)
    model, stated = witness.build(task, n), witness.size(task, n)
    inputs = np.array(list(itertools.product(range(modulus), repeat=n)))
    assert np.array_equal(evaluate(model, inputs).argmax(axis=2), task.answer(inputs))
    assert model.size(n, stated.precision) == stated and stated.value_width == (n + 1) // 2
    if len(inputs) < 10:
        assert certify(model, task, n, method="exhaustive").verdict == "proved"


def test_answers_by_definition() -> None:
    rng = np.random.default_rng(0)
    for m, n, k in ((3, 1, 1), (5, 4, 1), (9, 7, 2), (30, 9, 3)):
        for x in rng.integers(0, m, (40, n)).tolist():
            by_pairs = [int(any((a + x[j] + x[j + 1]) % m == 0 for j in range(n - 1))) for a in x]
            assert Match3Bigram(m).answer(np.array([x])).tolist() == [by_pairs]
            near = [range(max(0, i - k), min(n, i + k + 1)) for i in range(n)]
            local = [int(any((x[i] + x[a] + x[b]) % m == 0 for a in near[i] for b in near[i])) for i in range(n)]
            assert Match3Local(m, k).answer(np.array([x])).tolist() == [local]


def test_both_answers_are_common_in_sparse_samples() -> None:
    task = Match3Bigram(97)
    tokens, _ = task.sample(24, 400, np.random.default_rng(0), "sparse")
    assert 0.1 < task.answer(tokens).mean() < 0.9


@pytest.mark.parametrize(
    ("name", "task", "n", "tensor", "factor"),
    [
        (BIGRAM, Match3Bigram(5), 5, "layers.2.query", 0.3),
        (BIGRAM, Match3Bigram(5), 5, "layers.0.query", 0.1),
        (BIGRAM, Match3Bigram(5), 5, "layers.1.out", 0.8),
        (LOCAL, Match3Local(5, 1), 5, "layers.1.query", 0.05),
        (LOCAL, Match3Local(5, 1), 5, "layers.2.out_bias", 1.0),
    ],
    ids=str,
)
def test_weaker_models_are_refuted(name: str, task: Task, n: int, tensor: str, factor: float) -> None:
    model = registry.get(name).build(task, n)
    worse = model.tensors[tensor] * factor
    if factor == 1.0:
        worse = worse + 0.5
    outcome = certify(Model(model.arch, {**model.tensors, tensor: worse}), task, n, method="contract")
    assert outcome.verdict == "refuted"


def test_sizes_out_of_reach_are_refused() -> None:
    for name, task, n, words in (
        (BIGRAM, Match3Bigram(1000), 100, "M times N"),
        (LOCAL, Match3Local(7, 2), 4, "N from 5"),
        (LOCAL, Match3Local(97, 2), 16, "take N M"),
        ("match3-packing", Match3(97), 16, "enumeration"),
    ):
        with pytest.raises(InputError, match=words):
            registry.get(name).size(task, n)
