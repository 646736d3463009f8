"""The prover's verdicts against enumeration: proved, refuted by a failing input, or a tie."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from core.heads import instance
from core.reference import Mixed, all_inputs, arb_right, worst
from separatrix.core.semantics import Semantics
from separatrix.kernel import judge
from separatrix.tasks import registry
from separatrix.verify.provers import certify

CLEAR = 1e-9


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test task for the duration of a test."""
    monkeypatch.setitem(registry._entries, "test-mixed", Mixed)


@pytest.mark.usefixtures("mixed")
def test_verdicts_agree_with_enumeration() -> None:
    seen: Counter[str] = Counter()
    for seed in range(400):
        made = instance(seed)
        margin, _, _ = worst(made.model, made.task, made.n)
        outcome = certify(made.model, made.task, made.n, method="separable")
        seen[outcome.verdict] += 1
        if margin > CLEAR:
            assert outcome.verdict == "proved", outcome.sentence
        if margin < -CLEAR:
            assert outcome.verdict == "refuted", outcome.sentence
        if outcome.verdict == "refuted":
            assert outcome.counterexample is not None
            tokens, query = outcome.counterexample
            assert made.task.domain(made.n).contains(tokens) and query in made.task.queries(made.n)
            assert arb_right(made.model, made.task, made.n, tokens, query) is False
        if outcome.certificate is not None:
            assert judge(outcome.certificate, made.model.arch, made.model.tensors).accepted
    assert seen["proved"] >= 130 and seen["refuted"] >= 130 and seen["unknown"] <= 6, seen


@pytest.mark.usefixtures("mixed")
def test_the_exhaustive_prover_agrees() -> None:
    for seed in range(120):
        made = instance(seed)
        if len(all_inputs(made.task, made.n)) > 100:
            continue
        one = certify(made.model, made.task, made.n, method="separable").verdict
        other = certify(made.model, made.task, made.n, method="exhaustive").verdict
        assert "unknown" in (one, other) or one == other


@pytest.mark.usefixtures("mixed")
def test_floating_point_is_never_refuted_by_what_is_right_in_real_arithmetic() -> None:
    seen: Counter[str] = Counter()
    for seed in range(120):
        made = instance(seed)
        margin, _, _ = worst(made.model, made.task, made.n)
        for text in ("float:6", "fp32"):
            verdict = certify(made.model, made.task, made.n, Semantics.parse(text), method="separable").verdict
            seen[f"{text} {verdict}"] += 1
            assert verdict != "proved" or margin > 0
            assert verdict != "refuted" or margin <= CLEAR
    assert seen["fp32 proved"] > seen["float:6 proved"] > 0, seen


def test_unsuited_models_are_unknown() -> None:
    rng = np.random.default_rng(0)
    from core.reference import head, random_tensors
    from separatrix.models.model import Model
    from separatrix.tasks.index_lookup import IndexLookup

    arch = head(9, 0, 2, 3, table=False)
    outcome = certify(Model(arch, random_tensors(arch, rng)), IndexLookup(2), 3, method="separable")
    assert outcome.verdict == "unknown" and outcome.certificate is None
