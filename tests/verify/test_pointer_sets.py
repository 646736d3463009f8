"""The pointer-set prover: proves what is right, refutes what is wrong, and says so when it cannot tell."""

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.guarantee import CHECKED
from separatrix.core.semantics import Semantics
from separatrix.kernel import judge_file
from separatrix.models import Model, evaluate
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.verify.provers import certify
from separatrix.verify.provers.pointer_sets import per_input_error

WITNESSES = (
    ("onehot", 12, 3),
    ("random", 16, 2),
    ("chirp", 64, 2),
    ("trigonometric", 12, 3),
    ("moment", 12, 2),
    ("circle", 12, 3),
)


def build(name: str, n: int, q: int, dim: int = 2) -> tuple[SparseAveraging, Model]:
    task = SparseAveraging(q=q, dim=dim)
    return task, registry.get(f"sparse-averaging-{name}").build(task, n)


def damaged(model: Model, name: str, index: tuple[int, ...], by: float) -> Model:
    tensor = np.array(model.tensors[name])
    tensor[index] += by
    return Model(model.arch, {**model.tensors, name: tensor})


@pytest.mark.parametrize(("name", "n", "q"), WITNESSES)
def test_certificates_travel_as_files(name, n, q, tmp_path):
    task, model = build(name, n, q)
    outcome = certify(model, task, n, method="pointer-sets")
    assert outcome.verdict == "proved" and outcome.certificate is not None
    assert "for every pointer set (" in outcome.sentence
    model.save(tmp_path)
    assert judge_file(outcome.certificate.write(tmp_path, "claim")).accepted


@pytest.mark.parametrize(("name", "n", "q"), WITNESSES)
@pytest.mark.parametrize(
    ("tensor", "index", "by"),
    [
        ("layers.0.value", (0, 0, 0), 0.2),  # a coordinate of z counts too much
        ("layers.0.value", (0, 3, 0), 1.0),  # keys leak into the answer
        ("layers.0.key", (0, 0, 0), 1.0),  # scores depend on z
        ("readout.bias", (0,), 0.1),
    ],
)
def test_damaged_models_are_refuted(name, n, q, tensor, index, by, tmp_path):
    task, model = build(name, n, q)
    worse = damaged(model, tensor, index, by)
    outcome = certify(worse, task, n)
    assert outcome.verdict == "refuted", outcome.sentence
    assert outcome.counterexample is not None and outcome.certificate is not None
    tokens, query = outcome.counterexample
    assert tokens.shape == (n, q) and 0 <= query < n
    worse.save(tmp_path)
    assert judge_file(outcome.certificate.write(tmp_path, "claim")).accepted


@pytest.mark.parametrize(("name", "n", "q"), WITNESSES)
def test_half_the_temperature_is_refuted_on_an_input_that_evaluation_agrees_with(name, n, q):
    task, model = build(name, n, q)
    heat = model.tensors["embed.temperature"]
    cold = Model(model.arch, {**model.tensors, "embed.temperature": (heat / 2).astype(heat.dtype)})
    outcome = certify(cold, task, n)
    assert outcome.verdict == "refuted" and outcome.certificate is not None and outcome.counterexample is not None
    tokens, query = outcome.counterexample
    reals = np.zeros((1, n, task.dim))
    reals[0, :, 0] = outcome.certificate.evidence["signs"]
    off = evaluate(cold, tokens[None], reals) - task.answer(tokens[None], reals)
    assert np.linalg.norm(off[0, query]) > task.eps


def test_equal_keys_are_refuted():
    task, model = build("circle", 10, 2)
    keys = np.array(model.tensors["embed.keys"])
    keys[3] = keys[4]
    assert certify(Model(model.arch, {**model.tensors, "embed.keys": keys}), task, 10).verdict == "refuted"


def test_what_it_does_not_decide_is_unknown():
    task, model = build("onehot", 8, 2)
    assert certify(model, task, 8, Semantics.parse("fp32")).verdict == "unknown"
    assert certify(model, SparseAveraging(q=3, dim=2), 8, method="pointer-sets").verdict == "unknown"
    assert certify(model, task, 9, method="pointer-sets").verdict == "unknown"
    lookup = IndexLookup(4)
    other = registry.get("index-lookup-quadratic").build(lookup, 5)
    assert certify(other, lookup, 5, method="pointer-sets").verdict == "unknown"


@pytest.mark.parametrize(("name", "n", "q"), WITNESSES)
def test_one_input_is_checked_and_not_more(name, n, q):
    task, model = build(name, n, q, dim=1)
    rng = np.random.default_rng(0)
    tokens, reals = task.sample(n, 1, rng, "signs")
    checked = per_input_error(model, tokens[0])
    assert checked.guarantee is CHECKED
    assert checked.errors.shape == (n,) and checked.errors.max() <= task.eps
    off = np.abs(evaluate(model, tokens, reals) - task.answer(tokens, reals))[0, :, 0]
    assert (off <= checked.errors + 1e-12).all()


def test_larger_sizes_use_the_bound_that_reaches_them():
    for name, n, q, words in (
        ("chirp", 1024, 4, "Babel"),
        ("moment", 2048, 16, "moment curve"),
        ("circle", 700, 5, "5 heads"),
        ("trigonometric", 32, 4, "exhaustive: 35960 sets"),
    ):
        task, model = build(name, n, q, dim=1)
        outcome = certify(model, task, n)
        assert outcome.verdict == "proved" and words in outcome.sentence
