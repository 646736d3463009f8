"""The heads prover: trained and built models of several heads decided, every refutation a genuine failing input."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

import numpy as np
import pytest

from core.reference import Mixed, arb_right, worst
from kernel.heads_cases import OneCell, anyhow, cases, several, split_case
from separatrix.core.arch import FeedForward
from separatrix.core.errors import SeparatrixError
from separatrix.core.semantics import REAL
from separatrix.kernel import judge
from separatrix.learn import one_layer, train
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import certify
from separatrix.verify.provers.head_cells import Bench, pieces
from separatrix.verify.provers.head_search import Pairs, descend, single_minima
from separatrix.verify.provers.survey import Survey, survey

CLEAR = 1e-6


@pytest.fixture(autouse=True)
def own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test tasks for the duration of a test."""
    monkeypatch.setitem(registry._entries, "test-mixed", Mixed)
    monkeypatch.setitem(registry._entries, "test-one-cell", OneCell)


def check_failures(model: Model, task: IndexLookup, n: int, tally: Survey) -> None:
    """Each of them is a legal input on which the model errs, one a refuted cell."""
    seen = set()
    failures = tally.refutations()
    for failure in failures:
        assert task.domain(n).contains(failure.tokens)
        label = int(task.answer(failure.tokens[None])[0, 0])
        logits = evaluate(model, failure.tokens[None], queries=[failure.query])[0, 0]
        assert logits[label] - np.delete(logits, label).max() <= failure.found + 1e-9 <= 1e-9
        seen.add((int(failure.tokens[-1]), label))
    assert len(seen) == len(failures) == tally.refuted
    assert failures == sorted(failures, key=lambda failure: failure.found)


def test_verdicts_agree_with_enumeration() -> None:
    seen: Counter[str] = Counter()
    for made in cases(range(150)):
        margin, _, _ = worst(made.model, made.task, made.n)
        if abs(margin) < CLEAR:
            continue
        outcome = certify(made.model, made.task, made.n, method="heads")
        seen[outcome.verdict] += 1
        if outcome.verdict != "unknown":
            assert outcome.verdict == ("proved" if margin > 0 else "refuted"), (made.family, outcome.sentence)
            assert outcome.certificate is not None
            assert judge(outcome.certificate, made.model.arch, made.model.tensors).accepted
        if outcome.counterexample is not None:
            tokens, query = outcome.counterexample
            assert made.task.domain(made.n).contains(tokens) and query in made.task.queries(made.n)
            assert arb_right(made.model, made.task, made.n, tokens, query) is False
    assert seen["proved"] >= 35 and seen["refuted"] >= 70 and seen["unknown"] <= 5, seen


@pytest.mark.parametrize("heads", [2, 4])
def test_small_trained_models_are_decided(heads: int) -> None:
    task, n = IndexLookup(4), 8
    made = train(task, n, one_layer(task, n, 16, heads), seed=0, steps=200, learning_rate=1e-2)
    tally = survey(made.model, task, n)
    assert tally.cells == 32 and tally.undecided == 0 and tally.proved + tally.refuted == 32
    check_failures(made.model, task, n, tally)
    outcome = certify(made.model, task, n, method="heads")
    assert outcome.verdict == ("proved" if tally.refuted == 0 else "refuted"), outcome.sentence
    assert outcome.certificate is not None
    assert judge(outcome.certificate, made.model.arch, made.model.tensors).accepted


def test_early_in_training_most_cells_fail_and_all_are_decided() -> None:
    task, n = IndexLookup(4), 8
    made = train(task, n, one_layer(task, n, 16, 4), seed=1, steps=60, learning_rate=1e-2)
    tally = survey(made.model, task, n)
    assert tally.undecided == 0 and tally.refuted >= 5
    check_failures(made.model, task, n, tally)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "heads", "width", "steps"), [(16, 2, 32, 400), (16, 8, 32, 400), (64, 4, 48, 600)])
def test_larger_trained_models_are_decided(n: int, heads: int, width: int, steps: int) -> None:
    task = IndexLookup(4)
    for seed in range(2):
        made = train(task, n, one_layer(task, n, width, heads), seed=seed, steps=steps, learning_rate=1e-2)
        tally = survey(made.model, task, n, seconds=120.0)
        assert tally.cells == 4 * n and tally.undecided == 0
        check_failures(made.model, task, n, tally)


def test_cells_agree_with_the_verdict_on_the_whole() -> None:
    for seed in (1, 4, 7, 9, 13):
        made = anyhow(seed, 2)
        tally = survey(made.model, made.task, made.n, seconds=2.0)
        margin, _, _ = worst(made.model, made.task, made.n)
        assert tally.proved + tally.refuted + tally.undecided == tally.cells == made.n * made.task.outputs().k
        assert (tally.refuted > 0) == (margin < 0) or tally.undecided
        if tally.refuted:
            assert tally.refutations()[0].found == pytest.approx(margin, rel=0.9)


def test_a_time_limit_leaves_cells_undecided() -> None:
    model, task, n = split_case()
    whole, hurried = survey(model, task, n), survey(model, task, n, seconds=0.0)
    assert (whole.proved, whole.undecided) == (1, 0) and (hurried.proved, hurried.undecided) == (0, 1)


def test_one_head_is_left_to_the_separable_prover() -> None:
    made = several(0, 2)
    layer = dataclasses.replace(made.model.arch.layers[0], heads=1)
    tensors = {name: tensor[:1] if name.startswith("layers") else tensor for name, tensor in made.model.tensors.items()}
    one = Model(dataclasses.replace(made.model.arch, layers=(layer,)), tensors)
    assert certify(one, made.task, made.n, method="heads").verdict == "unknown"
    assert certify(one, made.task, made.n).verdict != "unknown"


def test_what_it_does_not_decide_is_unknown() -> None:
    made = several(0, 2)
    arch = made.model.arch
    masked = dataclasses.replace(arch, layers=(dataclasses.replace(arch.layers[0], mask="causal"),))
    assert certify(Model(masked, made.model.tensors), made.task, made.n, method="heads").verdict == "unknown"
    hidden = {"layers.1.in": (arch.width, 2), "layers.1.in_bias": (2,), "layers.1.out": (2, arch.width)}
    hidden["layers.1.out_bias"] = (arch.width,)
    deep = dataclasses.replace(arch, layers=(*arch.layers, FeedForward(2)))
    tensors = dict(made.model.tensors) | {name: np.zeros(shape) for name, shape in hidden.items()}
    assert certify(Model(deep, tensors), made.task, made.n, method="heads").verdict == "unknown"
    with pytest.raises(SeparatrixError):
        survey(Model(masked, made.model.tensors), made.task, made.n)
    with pytest.raises(SeparatrixError):
        survey(made.model, IndexLookup(7), 3)


def test_single_minima_and_descent_are_attained() -> None:
    """Each is the value of the input that comes with it, and no random input is below a single minimum."""
    rng = np.random.default_rng(1)
    for made in cases(range(12)):
        bench = Bench(made.model, made.task, made.n, REAL)
        for piece in pieces(made.model, made.task, made.n):
            pairs = Pairs.of(bench.board(piece))
            least, choice = single_minima(pairs)
            n, d = pairs.sums(choice)
            own = (n / d)[:, np.arange(least.shape[1]), np.arange(least.shape[1])]
            assert own == pytest.approx(least, rel=1e-6, abs=1e-9)
            width = pairs.e.shape[3]
            n, d = pairs.sums(rng.integers(0, width, (len(pairs), 50, pairs.e.shape[2])))
            assert (n / d >= least[:, None] - 1e-7).all()
            margin, where = descend(pairs, choice)
            assert pairs.values(where[:, None])[:, 0] == pytest.approx(margin, rel=1e-9, abs=1e-12)
            assert (margin >= least.sum(axis=1) + pairs.constant - 1e-6).all()


def test_the_prover_stops_in_time() -> None:
    """A model whose margin is a hair above zero somewhere: undecided or decided, but soon."""
    made = anyhow(87, 3)
    start = time.perf_counter()
    survey(made.model, made.task, made.n, seconds=1.0)
    assert certify(made.model, made.task, made.n, REAL, "heads").verdict in ("refuted", "unknown")
    assert time.perf_counter() - start < 20.0
