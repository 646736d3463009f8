"""Match2 on a circle: the two numbers of the proof, exhaustively; certificates; what it cannot do."""

import itertools
import math

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.can.witnesses.match2_circle import gap, temperature
from separatrix.core.errors import InputError
from separatrix.core.semantics import Semantics
from separatrix.models import Model, evaluate
from separatrix.tasks.match2 import Match2
from separatrix.verify.provers import certify

WITNESS = registry.get("match2-circle")
ROUNDING = 1e-12


@pytest.mark.parametrize("modulus", range(2, 8))
@pytest.mark.parametrize("n", range(1, 5))
def test_every_input_is_answered_with_the_margins_of_the_proof(modulus, n):
    task = Match2(modulus)
    tokens = np.array(list(itertools.product(range(modulus), repeat=n)))
    z = evaluate(WITNESS.build(task, n), tokens)[..., 1]
    found = task.answer(tokens) == 1
    assert z[found].min() >= 4 * n / (4 * n + 1) - ROUNDING
    assert (~found).sum() == 0 or z[~found].max() <= 1 / 5 + ROUNDING


@pytest.mark.parametrize(("modulus", "n"), [(2, 1), (2, 9), (3, 1), (7, 4), (50, 3), (97, 64)])
def test_built_models_are_certified_and_of_the_stated_size(modulus, n):
    task = Match2(modulus)
    model, size = WITNESS.build(task, n), WITNESS.size(task, n)
    assert model.size(n, size.precision) == size
    assert (size.width, size.key_width, size.value_width, size.tokens) == (3, 3, 1, n + 1)
    assert certify(model, task, n, method="separable").verdict == "proved"
    least = Semantics.parse(f"float:{size.precision.bits}")
    assert certify(model, task, n, least, method="separable").verdict == "proved"


def test_large_inputs_are_right_on_samples():
    task, n = Match2(997), 200
    tokens, _ = task.sample(n, 8, np.random.default_rng(0), "sparse")
    assert np.array_equal(evaluate(WITNESS.build(task, n), tokens).argmax(axis=2), task.answer(tokens))


def test_gap_and_temperature():
    for modulus in range(2, 200):
        assert gap(modulus) == pytest.approx(1 - math.cos(2 * math.pi / modulus), abs=1e-15)
        assert gap(modulus) >= 8 / modulus**2 - 1e-15
    assert temperature(7, 4) == pytest.approx(2 * math.log(16) / gap(7))


def test_distinct_indices_and_long_numbers_are_refused():
    with pytest.raises(InputError, match="distinct_indices"):
        WITNESS.build(Match2(7, distinct_indices=True), 4)
    with pytest.raises(InputError, match="float64"):
        WITNESS.build(Match2(2**20), 1000)


def test_the_construction_really_errs_with_distinct_indices():
    model = WITNESS.build(Match2(6), 3)
    assert certify(model, Match2(6, distinct_indices=True), 3).verdict == "refuted"


@pytest.mark.parametrize("name", ["embed.token", "layers.0.query", "layers.0.key", "readout.bias"])
def test_damaged_models_are_refuted(name):
    task, n = Match2(7), 5
    model = WITNESS.build(task, n)
    worse = {"embed.token": 0.3, "layers.0.query": 0.2, "layers.0.key": -1.0, "readout.bias": 3.0}[name]
    tensor = model.tensors[name] * worse
    assert certify(Model(model.arch, {**model.tensors, name: tensor}), task, n).verdict == "refuted"


def test_without_the_blank_advantage_it_fails():
    """B = 0 on real tokens: a lonely token outweighs the blank."""
    task, n = Match2(7), 5
    model = WITNESS.build(task, n)
    key = np.array(model.tensors["layers.0.key"])
    key[0, 2, 2] = 0
    assert certify(Model(model.arch, {**model.tensors, "layers.0.key": key}), task, n).verdict == "refuted"
