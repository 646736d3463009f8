"""The relu prover: pairs decided as enumeration decides them; trained models with a ReLU layer, and with norms."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from core.reference import arb_right
from kernel.relu_cases import anyhow, cases, truth
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel.relu import Trees, proved
from separatrix.learn import one_layer, train
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.majority import Majority
from separatrix.verify.provers import certify
from separatrix.verify.provers.relu import _pieces, decide, decide_cells, prove
from separatrix.verify.provers.relu_trees import arrays
from separatrix.verify.provers.tally import Tally


def check_failures(model: Model, task: Task, n: int, tally: Tally) -> None:
    """Each of them is a legal input on which the model errs, one a refuted cell."""
    for failure in tally.worst:
        assert task.domain(n).contains(failure.tokens)
        label = int(task.answer(failure.tokens[None])[0, 0])
        logits = evaluate(model, failure.tokens[None], queries=[failure.query])[0, 0]
        assert logits[label] - np.delete(logits, label).max() <= failure.margin + 1e-9 <= 1e-9
    assert len(tally.worst) == tally.refuted


def pairs_against_the_truth(seeds: range) -> Counter[str]:
    """Every pair (cell, rival) of these models: what the kernel proves holds, what the prover refutes fails."""
    seen: Counter[str] = Counter()
    for made in cases(seeds):
        for group, work, guess in _pieces(made.model, made.task, made.n):
            part = decide(group, work, guess, 0.0, hasty=False)
            part.finish(time.perf_counter() + 1.0, hasty=False)
            trees = Trees.of(arrays(part.trees, [guess], work), work.scene.net, 1)
            with np.errstate(all="ignore"):
                sure = proved(work.scene, trees).reshape(-1)
            least = truth(made.model, made.task, made.n, group)[0].reshape(-1)
            assert (least[sure] > 0).all(), made.family
            assert (least[part.state < 0] < 0).all(), made.family
            for fine, state, margin in zip(sure, part.state, least, strict=True):
                seen["proved" if fine else "refuted" if state < 0 else "undecided"] += 1
                seen["fails"] += margin <= 0
    return seen


def test_pairs_are_decided_as_enumeration_decides_them() -> None:
    seen = pairs_against_the_truth(range(120))
    assert seen["proved"] >= 300 and seen["fails"] >= 400 and seen["undecided"] <= 60, seen


@pytest.mark.slow
def test_three_thousand_pairs_are_decided_as_enumeration_decides_them() -> None:
    seen = pairs_against_the_truth(range(120, 560))
    assert seen["proved"] + seen["refuted"] >= 2800 and seen["fails"] >= 1500, seen


@pytest.mark.parametrize("norm", ["none", "first", "middle", "last", "all", "no bias"])
def test_verdicts_are_the_kernels(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("separatrix.verify.provers.relu.TIME_LIMIT", 1.0)
    seen: Counter[str] = Counter()
    for seed in range(12):
        made = anyhow(seed, 1 + seed % 2, norm)
        if len(made.model.arch.layers) == 1 and norm == "none":
            continue
        outcome = certify(made.model, made.task, made.n, method="relu")
        seen[outcome.verdict] += 1
        if outcome.verdict == "unknown":
            continue
        assert outcome.certificate is not None
        assert judge(outcome.certificate, made.model.arch, made.model.tensors).accepted
        if outcome.counterexample is not None:
            tokens, query = outcome.counterexample
            assert made.task.domain(made.n).contains(tokens)
            assert arb_right(made.model, made.task, made.n, tokens, query) is False
    assert seen["refuted"] >= 6 and seen["unknown"] <= 4, seen


@pytest.mark.parametrize(
    ("task", "n", "heads", "residual"),
    [
        (IndexLookup(4), 8, 1, True),
        (IndexLookup(4), 8, 2, False),
        (Majority(), 7, 2, True),
        (AssociativeRecall(6, 2, joined=True), 3, 1, True),
    ],
)
def test_trained_models_with_a_relu_layer_are_decided(task: Task, n: int, heads: int, residual: bool) -> None:
    arch = one_layer(task, n, 16, heads, residual=True, mlp=16, mlp_residual=residual)
    made = train(task, n, arch, seed=0, steps=150, learning_rate=1e-2)
    tally = decide_cells(made.model, task, n, time_limit=30.0)
    assert tally.undecided <= tally.cells // 50 and tally.proved + tally.refuted >= 1
    check_failures(made.model, task, n, tally)
    if not tally.undecided:
        outcome = certify(made.model, task, n)
        assert outcome.verdict == ("refuted" if tally.refuted else "proved"), outcome.sentence


def test_a_trained_model_with_norms_is_decided() -> None:
    task, n = IndexLookup(3), 6
    arch = one_layer(task, n, 12, 1, residual=True, mlp=8, norm=True)
    made = train(task, n, arch, seed=0, steps=250, learning_rate=1e-2)
    tally = decide_cells(made.model, task, n, time_limit=30.0)
    assert tally.undecided <= tally.cells // 10
    check_failures(made.model, task, n, tally)


def test_what_it_does_not_decide_is_unknown() -> None:
    made = anyhow(0, 2, "none")
    assert prove(made.model, made.task, made.n, Semantics.parse("fp32")).verdict == "unknown"
    plain = one_layer(IndexLookup(3), 4, 8, 2)
    from separatrix.core.seeds import child
    from separatrix.learn.standard import initialise

    model = initialise(plain, child(0, "weights"))
    assert prove(model, IndexLookup(3), 4, REAL).verdict == "unknown"  # left to the heads prover
    assert prove(made.model, IndexLookup(9), 4, REAL).verdict == "unknown"
