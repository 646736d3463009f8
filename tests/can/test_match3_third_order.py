"""Match3 by third-order attention: the numbers of the proof, exhaustively; certificates; damage; memory."""

import itertools
import resource

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.can.witnesses.match2_circle import gap
from separatrix.can.witnesses.match3_third_order import temperature
from separatrix.core.errors import InputError
from separatrix.models import Model, evaluate
from separatrix.tasks.match3 import Match3
from separatrix.verify.provers import certify

WITNESS = registry.get("match3-third-order")


@pytest.mark.parametrize("modulus", range(2, 8))
@pytest.mark.parametrize("n", range(1, 5))
def test_every_input_is_answered_with_the_margins_of_the_proof(modulus, n):
    task = Match3(modulus)
    tokens = np.array(list(itertools.product(range(modulus), repeat=n)))
    z = evaluate(WITNESS.build(task, n), tokens)[..., 1]
    found = task.answer(tokens) == 1
    alpha = temperature(modulus, n)
    blank = np.exp(-alpha * gap(modulus) / 2)
    assert z[found].min() >= 1 / (1 + blank + 2 * n * np.exp(-alpha)) - 1e-12
    assert found.all() or z[~found].max() <= 1 / 5 + 1e-12


@pytest.mark.parametrize(("modulus", "n"), [(2, 1), (2, 9), (3, 1), (7, 40), (97, 64), (257, 128)])
def test_built_models_are_certified_and_of_the_stated_size(modulus, n):
    task = Match3(modulus)
    model, size = WITNESS.build(task, n), WITNESS.size(task, n)
    assert model.size(n, size.precision) == size and size.bits("cut") is None
    assert certify(model, task, n, method="tuples").verdict == "proved"


def test_128_numbers_modulo_257_stay_below_two_gigabytes():
    task, n = Match3(257), 128
    rng = np.random.default_rng(0)
    tokens, _ = task.sample(n, 2, rng, "sparse")
    tokens[1, :2] = 100, (-100 - tokens[1, 2]) % 257  # one triple
    answers = task.answer(tokens)
    assert answers.any() and not answers.all()
    assert np.array_equal(evaluate(WITNESS.build(task, n), tokens).argmax(axis=2), answers)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 2**20  # kilobytes


@pytest.mark.parametrize("name", ["embed.token", "layers.0.query", "layers.0.keys", "readout.bias"])
def test_damaged_models_are_refuted(name):
    task, n = Match3(7), 5
    model = WITNESS.build(task, n)
    worse = {"embed.token": 0.6, "layers.0.query": 0.1, "layers.0.keys": 0.3, "readout.bias": 3.0}[name]
    bad = Model(model.arch, {**model.tensors, name: model.tensors[name] * worse})
    outcome = certify(bad, task, n, method="tuples")
    assert outcome.verdict == "refuted"


def test_sizes_out_of_reach_are_refused():
    with pytest.raises(InputError, match="distinct_indices"):
        WITNESS.build(Match3(7, distinct_indices=True), 4)
    with pytest.raises(InputError, match="M up to"):
        WITNESS.build(Match3(2000), 4)
