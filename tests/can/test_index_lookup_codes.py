"""Index lookup by codes: weights as in the paper, models right, certified, and as large as their formula says."""

import math

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.can.code_lookup import EPS, code_temperature
from separatrix.can.codes import chirps
from separatrix.can.witnesses.index_lookup_chirp import prime
from separatrix.core.errors import InputError
from separatrix.core.semantics import Semantics
from separatrix.kernel import separable
from separatrix.models import Model, evaluate
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import certify

NAMES = ("index-lookup-random", "index-lookup-chirp")
SIZES = ((2, 1), (2, 2), (3, 5), (64, 3), (5, 40), (64, 130))  # symbols, N


def least_weight(codes: np.ndarray, eta: float) -> float:
    """Of the target among N positions and the query token, which scores 0."""
    scores = eta * (codes.astype(np.float64) @ codes.T.astype(np.float64))
    weights = np.exp(scores)
    return float((weights.diagonal() / (weights.sum(axis=1) + 1)).min())


def test_weights_of_the_paper():
    """eta = 2 ln 3N, and at N = 256, P = 17: least weight 0.99681; 3/4 is reached from eta = 7.602 on."""
    for n, eta in ((20, 8.189), (50, 10.021), (100, 11.408), (200, 12.794), (400, 14.180), (1000, 16.013)):
        assert 2 * math.log(3 * n) == pytest.approx(eta, abs=1e-3)
        assert least_weight(chirps(n, max(17, prime(n))), eta) >= 0.75
    codes = chirps(256, 17)
    assert least_weight(codes, 13.288) == pytest.approx(0.99681, abs=2e-5)
    assert least_weight(codes, 7.602) == pytest.approx(0.75, abs=2e-4)


def test_quadratic_key_weights():
    for eta, weight in ((2, 0.7866), (2.2, 0.8184), (3, 0.9094), (4, 0.9647)):
        assert 1 / (1 + 2 * sum(math.exp(-eta * m * m) for m in range(1, 40))) == pytest.approx(weight, abs=1e-4)


def test_negative_coherence_does_not_lower_the_temperature():
    """Codes with inner products -0.05 still have the query token to beat, which scores 0."""
    assert code_temperature(21, 1.0, -0.05) == code_temperature(21, 1.0, 0.0) == math.log(21 * (1 - EPS) / EPS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("symbols", "n"), SIZES)
def test_built_models_are_certified_right_and_of_the_stated_size(name, symbols, n):
    task, witness = IndexLookup(symbols), registry.get(name)
    model, size = witness.build(task, n), witness.size(task, n)
    assert model.size(n + 1, size.precision) == size
    assert all(tensor.dtype == np.float32 for tensor in model.tensors.values())
    tokens, _ = task.sample(n, 64, np.random.default_rng(n))
    assert np.array_equal(evaluate(model, tokens, queries=[n]).argmax(axis=2), task.answer(tokens))
    for semantics in ("real", "fp32", f"float:{size.precision.bits}") if n <= 40 else ("real",):
        assert certify(model, task, n, Semantics.parse(semantics), method="separable").verdict == "proved"


@pytest.mark.parametrize("name", NAMES)
def test_half_the_temperature_is_refuted_or_unknown(name):
    task, n = IndexLookup(8), 20
    model = registry.get(name).build(task, n)
    token = np.array(model.tensors["embed.token"])
    token[8:] /= 4
    outcome = certify(Model(model.arch, {**model.tensors, "embed.token": token}), task, n, method="separable")
    assert outcome.verdict == "refuted" and outcome.counterexample is not None


@pytest.mark.parametrize("name", NAMES)
def test_one_wrong_key_is_never_accepted(name):
    task, n = IndexLookup(4), 9
    model = registry.get(name).build(task, n)
    for j in range(0, n, 3):
        place = np.array(model.tensors["embed.position"])
        place[j] = place[(j + 1) % n]
        outcome = certify(Model(model.arch, {**model.tensors, "embed.position": place}), task, n, method="separable")
        assert outcome.verdict == "refuted"


def test_lengths_out_of_reach_are_refused():
    with pytest.raises(InputError, match="index-lookup-chirp"):
        registry.get("index-lookup-random").build(IndexLookup(), 2**16)
    with pytest.raises(InputError, match="N ="):
        registry.get("index-lookup-chirp").build(IndexLookup(), 2**20 + 1)


def test_large_chirp_model_is_right_on_samples():
    task, n = IndexLookup(), 3000
    model = registry.get("index-lookup-chirp").build(task, n)
    assert model.arch.layers[0].key_width == 2 * 59
    tokens, _ = task.sample(n, 4, np.random.default_rng(0))
    assert np.array_equal(evaluate(model, tokens, queries=[n]).argmax(axis=2), task.answer(tokens))


@pytest.mark.slow
def test_65536_positions_are_certified():
    task, n = IndexLookup(), 2**16
    model = registry.get("index-lookup-chirp").build(task, n)
    assert model.arch.layers[0].key_width == 514
    assert separable.check(task, n, model.arch, model.tensors, Semantics.parse("real")) == 64 * n
