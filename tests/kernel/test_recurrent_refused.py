"""Kinds of certificates that know transformers only say so when the model is recurrent."""

from __future__ import annotations

import pytest

from models.recurrent_models import random_recurrent
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.recurrent import Elman
from separatrix.kernel import judge
from separatrix.kernel.judge import KINDS
from separatrix.tasks import make_task
from separatrix.verify.provers import certify
from separatrix.verify.provers import registry as provers

TRANSFORMERS_ONLY = ("separable", "heads", "exhaustive", "contract", "pointer-sets", "pointer-counterexample")
EVIDENCE = {
    "contract": {"factor": "mismatch", "noise": "0x0.0p+0", "terms": 0, "merge": True},
    "pointer-sets": {"method": "exhaustive"},
    "pointer-counterexample": {"tokens": [[1], [0], [0]], "signs": [1, 0, 0], "query": 0},
}


@pytest.mark.parametrize("engine", ["fast", "arb"])
@pytest.mark.parametrize("kind", TRANSFORMERS_ONLY)
def test_a_recurrent_model_is_refused(kind: str, engine: str) -> None:
    name, n = ("sparse-averaging", 3) if kind.startswith("pointer") else ("equality", 4)
    task = make_task(name, {"q": 1} if kind.startswith("pointer") else {})
    model = random_recurrent((Elman(3),), seed=0, vocabulary=2, outputs=2)
    claim = Claim(task.name, task.parameters(), n, KINDS[kind].statement)  # pyright: ignore[reportArgumentType]
    certificate = Certificate(kind, claim, PROVED, task.source_sha256(), EVIDENCE.get(kind, {}), {}, model.reference())
    verdict = judge(certificate, model.arch, model.tensors, engine=engine)  # pyright: ignore[reportArgumentType]
    assert not verdict.accepted and verdict.exit_code == 3, verdict.sentence


@pytest.mark.parametrize("prover", list(provers))
def test_provers_of_transformers_prove_nothing(prover: str) -> None:
    model = random_recurrent((Elman(3),), seed=0, vocabulary=2, outputs=2)
    task = make_task("equality", {})
    assert certify(model, task, 4, method=prover).verdict != "proved"
