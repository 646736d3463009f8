"""Whole models in balls against arb; the exhaustive kind and counterexamples against enumeration."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from flint import arb

from core.heads import instance
from core.reference import all_inputs, arb_logits, arb_right, head, label_of, precision, random_tensors, worst
from separatrix.core.arch import Arch, Attention, FeedForward, Linear, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import RejectedError, SeparatrixError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL
from separatrix.core.task import Task
from separatrix.kernel import Verdict, judge
from separatrix.kernel.case import Case
from separatrix.kernel.exhaustive import check_exhaustive
from separatrix.kernel.forward import forward
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2
from separatrix.tasks.sparse_averaging import SparseAveraging


def arch_of(rng: np.random.Generator) -> Arch:
    """Up to three layers, heads, causal masks, residuals, a blank, scales."""
    layers: list[Attention | FeedForward] = []
    for _ in range(rng.integers(1, 4)):
        residual = bool(rng.integers(2))
        if rng.random() < 0.7:
            mask, heads = ("causal", "none")[rng.integers(2)], int(rng.integers(1, 3))
            scale = float(rng.choice([1.0, 0.3, -2.0]))
            layers.append(Attention(heads, 2, 2, mask=mask, scale=scale, residual=residual))  # pyright: ignore
        else:
            layers.append(FeedForward(3, residual=residual))
    positions = int(rng.choice([0, 4, 6]))
    return Arch(3, Table(4, positions), tuple(layers), Readout(3), blank=bool(rng.integers(2)))


@pytest.mark.parametrize("size", [1.0, 3.0, 10.0, 1e-3])
def test_ball_evaluation_encloses_arb(size: float) -> None:
    rng, finite = np.random.default_rng(0), 0
    for _ in range(60):
        arch = arch_of(rng)
        model = Model(arch, random_tensors(arch, rng, size))
        tokens, query = rng.integers(0, 4, 4), int(rng.integers(4))
        with np.errstate(all="ignore"):
            balls = forward(arch, model.tensors, tokens, query)
        with precision():
            for true, mid, rad in zip(
                arb_logits(model, tokens, query), balls.mid.tolist(), balls.rad.tolist(), strict=True
            ):
                if np.isfinite(rad):
                    assert abs(true - arb(mid)) <= arb(rad)
                    finite += rad < 1e-6 * (1 + abs(mid))
    assert finite >= (120 if size <= 3 else 20)


@pytest.mark.parametrize("size", [1e300, 1e160, 1e100, 1e30, 1e-30, 1e-160, 1e-310])
def test_ball_evaluation_at_the_edge_of_floats(size: float) -> None:
    """One tensor scaled away: whatever stays finite still encloses."""
    rng = np.random.default_rng(1)
    for _ in range(25):
        arch = arch_of(rng)
        tensors = random_tensors(arch, rng)
        name = str(rng.choice(sorted(tensors)))
        model = Model(arch, tensors | {name: tensors[name] * size})
        tokens = rng.integers(0, 4, 4)
        with np.errstate(all="ignore"):
            balls = forward(arch, model.tensors, tokens, 3)
        with precision():
            for true, low, high in zip(
                arb_logits(model, tokens, 3), balls.low.tolist(), balls.high.tolist(), strict=True
            ):
                assert not np.isfinite(low) or not true < arb(low)
                assert not np.isfinite(high) or not true > arb(high)


def test_other_first_maps_are_not_evaluated() -> None:
    arch = Arch(2, Linear(1, 3), (Attention(1, 1, 1),), Readout(2))
    with pytest.raises(UnknownError):
        forward(arch, random_tensors(arch, np.random.default_rng(0)), np.zeros(2, dtype=np.int64), 0)
    short = head(3, 1, 2, 2)
    with pytest.raises(UnknownError):
        forward(short, random_tensors(short, np.random.default_rng(0)), np.zeros(2, dtype=np.int64), 0)


def submit(model: Model, task: Task, n: int, kind: str = "exhaustive", **evidence: object) -> Verdict:
    statement = "incorrect" if kind == "counterexample" else "correct"
    claim = Claim(task.name, task.parameters(), n, statement)
    certificate = Certificate(kind, claim, PROVED, task.source_sha256(), evidence, model=model.reference())
    return judge(certificate, model.arch, model.tensors)


def test_exhaustive_agrees_with_enumeration_for_deep_models() -> None:
    """Random deep models on tiny tasks, the read-out bent towards the answers so that some are right."""
    rng, seen = np.random.default_rng(2), Counter[bool]()
    task = Match2(2)
    for _ in range(150):
        arch = dataclasses.replace(arch_of(rng), first=Table(2, 2), readout=Readout(2), blank=True)
        tensors = random_tensors(arch, rng)
        tensors["readout.bias"] = tensors["readout.bias"] + np.array([0.0, float(rng.choice([0.0, 3.0]))])
        model = Model(arch, tensors)
        margin, tokens, query = worst(model, task, 1 + int(rng.integers(2)))
        n = len(tokens)
        accepted = submit(model, task, n).accepted
        seen[accepted] += 1
        assert not accepted or arb_right(model, task, n, tokens, query)
        assert accepted or margin <= 1e-9
    assert min(seen[True], seen[False]) >= 15, seen


def test_counterexamples_are_exactly_the_failing_inputs() -> None:
    seen: Counter[bool] = Counter()
    for seed in range(80):
        made = instance(seed)
        if made.task.name == "test-mixed":
            continue
        for tokens in all_inputs(made.task, made.n)[:6]:
            query = made.task.queries(made.n)[0]
            logits, label = arb_logits(made.model, tokens, query), label_of(made.task, made.n, tokens, query)
            errs = any(bool(logits[label] <= other) for k, other in enumerate(logits) if k != label)
            evidence = {"tokens": tokens.tolist(), "query": query}
            accepted = submit(made.model, made.task, made.n, "counterexample", **evidence).accepted
            assert accepted == errs
            seen[errs] += 1
    assert min(seen[True], seen[False]) >= 30, seen


def test_a_domain_that_is_too_large_is_undecided() -> None:
    arch = head(64 + 4, 5, 64, 2)
    model = Model(arch, random_tensors(arch, np.random.default_rng(0)))
    assert submit(model, IndexLookup(64), 4).exit_code == 3
    small = head(2, 0, 2, 2, table=False)
    assert submit(Model(small, random_tensors(small, np.random.default_rng(0))), Match2(2), 2**20).exit_code == 3


def test_other_answers_and_alphabets_are_undecided() -> None:
    arch = head(2, 0, 2, 2, table=False)
    model = Model(arch, random_tensors(arch, np.random.default_rng(0)))
    assert submit(model, SparseAveraging(1), 2).exit_code == 3
    verdict = submit(model, SparseAveraging(1), 2, "counterexample", tokens=[0, 1], query=0)
    assert not verdict.accepted


def test_read_outs_and_vocabularies_must_fit() -> None:
    rng = np.random.default_rng(0)
    for arch in (head(2, 0, 3, 2, table=False), head(1, 0, 2, 2, table=False),
                 dataclasses.replace(head(2, 0, 2, 2, table=False), readout=Readout(2, "reals"))):  # fmt: skip
        model = Model(arch, random_tensors(arch, rng))
        for kind, evidence in (("exhaustive", {}), ("counterexample", {"tokens": [1, 1], "query": 0})):
            assert submit(model, Match2(2), 2, kind, **evidence).exit_code == 1


@dataclasses.dataclass(frozen=True)
class Silent(Match2):
    """A task that scores no position: nothing must not be everything."""

    name = "silent"

    def queries(self, n: int) -> tuple[int, ...]:
        return ()

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return super().answer(tokens)[:, :0]


@dataclasses.dataclass(frozen=True)
class Empty(Match2):
    """A task without inputs."""

    name = "empty"

    def domain(self, n: int) -> Sequence:
        return Sequence((np.arange(2),) * n + (np.zeros(0, dtype=np.int64),), vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(2)


@pytest.mark.parametrize("task", [Silent(2), Empty(2)])
def test_an_empty_enumeration_proves_nothing(task: Task) -> None:
    arch = head(2, 0, 2, 2, table=False)
    tensors = random_tensors(arch, np.random.default_rng(0))
    claim = Claim(task.name, task.parameters(), 2, "correct")
    with pytest.raises((SeparatrixError, ValueError)):
        check_exhaustive(Case(task, 2, claim, REAL, {}, {}, arch, tensors))
    with pytest.raises(RejectedError):
        check_exhaustive(Case(Silent(2), 2, claim, REAL, {}, {}, arch, tensors))
