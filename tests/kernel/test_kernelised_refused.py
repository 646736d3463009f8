"""No kind of certificate, prover, compiler or protocol knows kernelised attention: each says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kernel.every_kind import CASES, TASKS
from kernel.heads_cases import OneCell
from separatrix.cannot.protocols.attention import run_attention
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import Labels
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.kernelised import Kernelised
from separatrix.core.seeds import child
from separatrix.core.semantics import Semantics
from separatrix.core.size import Precision
from separatrix.depth.balance import ranges
from separatrix.depth.witness import deep
from separatrix.kernel import judge
from separatrix.kernel.arb import NAME
from separatrix.kernel.judge import KINDS, WITH_ARB
from separatrix.learn.standard import initialise
from separatrix.models.model import Model
from separatrix.tasks import make_task
from separatrix.tasks import registry as tasks
from separatrix.verify.provers import certify
from separatrix.verify.provers import registry as provers

LAYER = Kernelised(1, 4, 4, 64)
STACKS = {
    "alone": (LAYER,),
    "causal": (dataclasses.replace(LAYER, mask="causal", residual=True),),
    "before a ReLU layer": (LAYER, FeedForward(4)),
    "behind attention": (Attention(1, 4, 4), LAYER),
    "before attention": (LAYER, Attention(1, 4, 4)),
}
FIRST = {name.split()[0]: name for name in reversed(CASES)}  # one case of each kind
ABOUT_MODELS = [kind for kind in FIRST if KINDS[kind].statement != "needs"]


def model_of(stack: str, vocabulary: int, positions: int, readout: Readout) -> Model:
    arch = Arch(4, Table(vocabulary, positions), STACKS[stack], readout)
    arch.check()
    return initialise(arch, child(0), np.float64)


@pytest.mark.parametrize("kind", ABOUT_MODELS)
def test_a_true_certificate_is_not_one_of_such_a_model(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of every kind, on its own task, put beside models that read that task's tokens."""
    for own in (*TASKS, OneCell):
        monkeypatch.setitem(tasks._entries, own.name, own)
    certificate, _ = CASES[FIRST[kind]]()
    task = make_task(certificate.claim.task, dict(certificate.claim.parameters))
    domain, answers = task.domain(certificate.claim.n), task.outputs()
    readout = Readout(answers.k) if isinstance(answers, Labels) else Readout(answers.dim, "reals")
    for stack in STACKS:
        model = model_of(stack, max(1, domain.vocabulary), domain.positions, readout)
        for trusted in (KINDS[kind].trusted, (*KINDS[kind].trusted, NAME)):
            given = dataclasses.replace(certificate, trusted=trusted, model=model.reference())
            codes = {judge(given, model.arch, model.tensors, engine=engine).exit_code for engine in ("fast", "arb")}
            assert codes == {3} or (kind == "counterexample" and codes == {1, 3} and NAME not in trusted), codes


@pytest.mark.parametrize("engine", ["fast", "arb"])
@pytest.mark.parametrize("stack", STACKS)
def test_the_evaluations_do_not_know_it(stack: str, engine: str) -> None:
    task = make_task("equality", {})
    model = model_of(stack, 2, 4, Readout(2))
    for kind, words in (("exhaustive", {}), ("counterexample", {"tokens": [0, 1, 1, 0], "query": 3})):
        claim = Claim(task.name, task.parameters(), 4, KINDS[kind].statement)  # pyright: ignore[reportArgumentType]
        parts = (PROVED, task.source_sha256(), words, {}, model.reference(), WITH_ARB)
        verdict = judge(Certificate(kind, claim, *parts), model.arch, model.tensors, engine=engine)  # pyright: ignore
        assert not verdict.accepted and verdict.exit_code == 3, verdict.sentence


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("prover", list(provers))
@pytest.mark.parametrize("semantics", ["real", "fp32"])
def test_provers_prove_nothing(prover: str, stack: str, semantics: str) -> None:
    model, task = model_of(stack, 2, 4, Readout(2)), make_task("equality", {})
    try:
        verdict = certify(model, task, 4, Semantics.parse(semantics), prover).verdict
    except InputError:  # a prover of another kind of models, or without this semantics
        return
    assert verdict == "unknown"


@pytest.mark.parametrize("stack", STACKS)
def test_protocols_and_circuits_refuse(stack: str) -> None:
    model, tokens = model_of(stack, 2, 4, Readout(2)), np.zeros((1, 4), dtype=np.int64)
    with pytest.raises(InputError, match="one attention layer"):
        run_attention(model, tokens[0], 3, (0, 1), Precision.parse("fixed:8"))
    with pytest.raises(UnknownError, match="softmax attention"):
        ranges(model, tokens)
    with pytest.raises(UnknownError, match="kernelised-attention"):
        deep(model, make_task("equality", {}), 4)
