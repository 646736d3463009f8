"""The least precision of known witnesses, and that both sides of it are what they are said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.reference import head, random_tensors
from separatrix.can import registry as witnesses
from separatrix.core.semantics import Semantics
from separatrix.kernel import judge, judge_file
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2
from separatrix.verify.provers import certify
from separatrix.verify.provers.outcome import submit
from separatrix.verify.provers.precision import least_precision

TASK = IndexLookup(4)


@pytest.mark.parametrize("name", ["index-lookup-chirp", "index-lookup-quadratic"])
@pytest.mark.parametrize("tree", [False, True])
def test_the_least_precision_is_certified_and_one_bit_less_is_not(name: str, tree: bool, tmp_path: Path) -> None:
    model = witnesses.get(name).build(TASK, 64)
    bits, outcome = least_precision(model, TASK, 64, tree)
    assert bits is not None and 8 <= bits <= 20 and outcome.verdict == "proved" and outcome.certificate is not None
    suffix = ",tree" if tree else ""
    assert outcome.certificate.claim.semantics == f"float:{bits}{suffix}"
    assert judge(outcome.certificate, model.arch, model.tensors).accepted
    model.save(tmp_path)
    assert judge_file(outcome.certificate.write(tmp_path, "least")).accepted
    assert not submit("separable", model, TASK, 64, Semantics.parse(f"float:{bits - 1}{suffix}"))[1].accepted
    assert f"float:{bits - 1}{suffix} is not certified" in outcome.sentence
    for more in range(bits, 54, 7):
        assert submit("separable", model, TASK, 64, Semantics.parse(f"float:{more}{suffix}"))[1].accepted


def test_trees_never_need_more_bits() -> None:
    for n in (16, 64):
        model = witnesses.get("index-lookup-chirp").build(TASK, n)
        (any_order, _), (tree, _) = least_precision(model, TASK, n), least_precision(model, TASK, n, tree=True)
        assert any_order is not None and tree is not None and tree <= any_order


def test_a_wrong_model_has_none_and_is_refuted() -> None:
    model = witnesses.get("index-lookup-chirp").build(TASK, 8)
    token = model.tensors["embed.token"].copy()
    token[1] = token[0]
    bits, outcome = least_precision(Model(model.arch, dict(model.tensors) | {"embed.token": token}), TASK, 8)
    assert bits is None and outcome.verdict == "refuted" and outcome.counterexample is not None


def test_a_model_that_no_prover_reads_under_floats_is_unknown() -> None:
    arch = head(2, 0, 2, 2, table=False)
    model = Model(arch, random_tensors(arch, np.random.default_rng(0)))
    bits, outcome = least_precision(model, Match2(2), 2, method="exhaustive")
    assert bits is None and outcome.verdict == "unknown"


def test_the_bottom_of_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted at every p: the answer is the least format there is, and the sentence does not speak of one below."""
    from separatrix.verify.provers import precision

    model = witnesses.get("index-lookup-quadratic").build(TASK, 4)
    real = certify(model, TASK, 4)
    monkeypatch.setattr(precision, "certify", lambda *_: real)
    monkeypatch.setattr(precision, "_attempt", lambda *_: real)
    bits, outcome = least_precision(model, TASK, 4)
    assert bits == 2 and outcome.verdict == "proved" and "fewer bits" in outcome.sentence
