"""The relu prover: pairs decided as enumeration decides them; trained models with a ReLU layer, and with norms."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from core.reference import arb_right
from kernel.relu_cases import Instance, anyhow, cases, one_cell, truth
from separatrix.core.arch import FeedForward, LayerNorm
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.learn import one_layer, train
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.majority import Majority
from separatrix.verify.provers import certify
from separatrix.verify.provers.relu import prove
from separatrix.verify.provers.relu_cells import ReluBench
from separatrix.verify.provers.survey import Survey, survey


def check_failures(model: Model, task: Task, n: int, made: Survey) -> None:
    """Each of them is a legal input on which the model errs, one a refuted cell."""
    failures = made.refutations()
    for cell in failures:
        assert task.domain(n).contains(cell.tokens)
        assert int(task.answer(cell.tokens[None])[0, task.queries(n).index(cell.query)]) == cell.label
        logits = evaluate(model, cell.tokens[None], queries=[cell.query])[0, 0]
        margin = logits[cell.label] - np.delete(logits, cell.label).max()
        assert margin <= 1e-9 and cell.found == pytest.approx(margin, abs=1e-9)
    assert len(failures) == made.refuted


def pairs_against_the_truth(given: Iterable[Instance]) -> Counter[str]:
    """Every pair (cell, rival) of these models: what the kernel proves holds, what the prover refutes fails."""
    seen: Counter[str] = Counter()
    for made in given:
        bench = ReluBench(made.model, made.task, made.n, REAL)
        for piece in bench.pieces():
            part = bench.search(piece, 0, np.inf)
            part = bench.search(piece, 4000, time.perf_counter() + 1.0, part)
            found = bench.finding(piece, part)
            least = truth(made.model, made.task, made.n, piece.group)[0]
            divided = 1 + 1e-9 if plain(made.model) else np.inf  # what norms divide by is in the bounds
            proved = found.margins > 0
            assert (least[proved] > 0).all(), made.family
            assert (found.margins[proved] <= least[proved] * divided + 1e-9).all(), made.family
            assert (least.reshape(-1)[part.state < 0] < 0).all(), made.family
            for fine, state, margin in zip(proved.reshape(-1), part.state, least.reshape(-1), strict=True):
                seen["proved" if fine else "refuted" if state < 0 else "undecided"] += 1
                seen["fails"] += margin <= 0
            seen["cut slots"] += sum(len(tree.symbols) for tree in part.trees)
    return seen


def plain(model: Model) -> bool:
    """Whether no norm stands after the attention."""
    later = model.transformer.layers[1:]
    return not any(
        isinstance(layer, LayerNorm) or (isinstance(layer, FeedForward) and layer.norm != "none") for layer in later
    )


def test_pairs_are_decided_as_enumeration_decides_them() -> None:
    seen = pairs_against_the_truth(cases(range(120)))
    assert seen["proved"] >= 300 and seen["fails"] >= 400 and seen["undecided"] <= 60, seen


def test_pairs_whose_slots_are_cut_are_decided_as_enumeration_decides_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short relaxation leaves more pairs to the boxes, and these are cut by what slots may hold before all else."""
    monkeypatch.setattr("separatrix.verify.provers.relu_cells.STEPS", 1)
    monkeypatch.setattr("separatrix.verify.provers.relu_forest.ROUNDS", 1)
    monkeypatch.setattr("separatrix.verify.provers.relu_forest.SLOTS", 1e6)
    norms = ("none", "none", "middle", "all")
    given = [one_cell(seed, 1 + seed % 3, norms[seed % 4]) for seed in range(300)]
    seen = pairs_against_the_truth(given)
    assert seen["proved"] >= 60 and seen["fails"] >= 200 and seen["cut slots"] >= 40, seen


def test_a_part_of_a_cell_that_holds_no_word_refutes_nothing() -> None:
    """One of whose cells a slot's cut leaves a part where two slots have one key between them."""
    assert pairs_against_the_truth(cases([519]))["refuted"] > 0


@pytest.mark.slow
def test_three_thousand_pairs_are_decided_as_enumeration_decides_them() -> None:
    seen = pairs_against_the_truth(cases(range(120, 560)))
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
    tally = survey(made.model, task, n, seconds=30.0)
    assert tally.undecided <= tally.cells // 50 and tally.proved + tally.refuted >= 1
    check_failures(made.model, task, n, tally)
    if not tally.undecided:
        outcome = certify(made.model, task, n)
        assert outcome.verdict == ("refuted" if tally.refuted else "proved"), outcome.sentence


def test_a_trained_model_with_norms_is_decided() -> None:
    task, n = IndexLookup(3), 6
    arch = one_layer(task, n, 12, 1, residual=True, mlp=8, norm=True)
    made = train(task, n, arch, seed=0, steps=250, learning_rate=1e-2)
    tally = survey(made.model, task, n, seconds=30.0)
    assert tally.undecided <= tally.cells // 10
    check_failures(made.model, task, n, tally)


def test_what_it_does_not_decide_is_unknown() -> None:
    made = anyhow(0, 2, "none")
    assert prove(made.model, made.task, made.n, Semantics.parse("bits:8.4")).verdict == "unknown"
    plain = one_layer(IndexLookup(3), 4, 8, 2)
    from separatrix.core.seeds import child
    from separatrix.learn.standard import initialise

    model = initialise(plain, child(0, "weights"))
    assert prove(model, IndexLookup(3), 4, REAL).verdict == "unknown"  # left to the heads prover
    assert prove(made.model, IndexLookup(9), 4, REAL).verdict == "unknown"
