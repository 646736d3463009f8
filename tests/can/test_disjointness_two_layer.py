"""Disjointness in two layers: exhaustively, by certificate, and what happens when it is damaged."""

import itertools
import time

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.errors import InputError
from separatrix.models import Model, evaluate
from separatrix.tasks.disjointness import Disjointness
from separatrix.verify.provers import certify

WITNESS, TASK = registry.get("disjointness-two-layer"), Disjointness()


@pytest.mark.parametrize("n", [2, 4, 8, 12])
def test_every_input_is_answered_with_half_of_the_gap(n):
    tokens = np.array(list(itertools.product(range(2), repeat=n)))
    logits = evaluate(WITNESS.build(TASK, n), tokens, queries=[n - 1])[:, 0]
    meets = TASK.answer(tokens)[:, 0] == 1
    margin = np.where(meets, logits[:, 1] - logits[:, 0], logits[:, 0] - logits[:, 1])
    assert margin.min() == pytest.approx(0.5 / n)


@pytest.mark.parametrize("n", [2, 6, 64, 512])
def test_built_models_are_certified_and_of_the_stated_size(n):
    model, size = WITNESS.build(TASK, n), WITNESS.size(TASK, n)
    assert model.size(n, size.precision) == size
    start = time.perf_counter()
    assert certify(model, TASK, n, method="contract").verdict == "proved"
    assert time.perf_counter() - start < 60


@pytest.mark.parametrize(
    ("name", "change"), [("embed.position", 0.1), ("layers.1.in", 0.2), ("layers.1.in_bias", 3.0), ("readout.bias", 3)]
)
def test_damaged_models_are_refuted(name, change):
    n = 8
    model = WITNESS.build(TASK, n)
    bad = Model(model.arch, {**model.tensors, name: model.tensors[name] * change})
    assert certify(bad, TASK, n, method="contract").verdict == "refuted"


def test_odd_and_long_inputs_are_refused():
    for n in (3, 8192):
        with pytest.raises(InputError):
            WITNESS.build(TASK, n)
