"""Corners of the float formats where a bound that forgets something accepts a claim that an evaluation refutes."""

from __future__ import annotations

import numpy as np
import pytest

from core.floats import Machine, margins, simulate
from core.reference import all_inputs
from kernel.heads_cases import OneCell
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.shapes import tensor_shapes
from separatrix.kernel import arb, judge
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.verify.provers import certify

WAYS: list[tuple[str, arb.Engine]] = [("separable", "fast"), ("separable", "arb"), ("relu", "fast"), ("relu", "arb")]


@pytest.fixture(autouse=True)
def own_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test task for the duration of a test."""
    monkeypatch.setitem(registry._entries, OneCell.name, OneCell)


def empty(kind: str, blank: bool, task: OneCell, n: int) -> tuple[Arch, dict[str, np.ndarray]]:
    """A model of width 2 without positions, of the layers that this kind is about, and zeros for its weights."""
    layers = (Attention(1, 2, 2), *([FeedForward(1)] if kind == "relu" else []))
    arch = Arch(2, Table(task.domain(n).vocabulary), layers, Readout(task.symbols), blank=blank)
    return arch, {name: np.zeros(shape) for name, shape in tensor_shapes(arch).items()}


def accepted(model: Model, task: OneCell, n: int, kind: str, text: str, engine: arb.Engine) -> bool:
    """With the arrays of the real claim, all hashes recomputed."""
    outcome = certify(model, task, n, REAL, method=kind)
    assert outcome.certificate is not None and outcome.certificate.kind == kind
    claim = Claim(task.name, task.parameters(), n, "correct", text)
    made = Certificate(kind, claim, PROVED, task.source_sha256(), {}, outcome.certificate.arrays, model.reference())
    return judge(made, model.arch, model.tensors, engine=engine).accepted


@pytest.mark.parametrize(("kind", "engine"), WAYS)
def test_what_a_large_blank_rounds_away_is_counted(kind: str, engine: arb.Engine) -> None:
    """Without positions. What the blank adds to a logit cancels, and so does not show in its real value."""
    task, n, text = OneCell(2, 1, 1), 2, "float:10"

    def build(gap: float) -> Model:
        arch, t = empty(kind, True, task, n)
        t["embed.blank"][:] = 1000.3, 300.1
        t["layers.0.value"][0] = t["layers.0.output"][0] = np.diag([1.1, 1.7])
        cancelling = np.array([1.0 / 1000.3 / 1.1**2, -1.0 / 300.1 / 1.7**2]) * 1000.0
        if kind == "relu":
            t["layers.1.in"][:, 0], t["layers.1.out"][0, 0], t["layers.1.in_bias"][0] = cancelling, 1.0, 5.0
            t["readout.weight"][0, 0] = 1.0
            gap += 5.0
        else:
            t["readout.weight"][:, 0] = cancelling
        t["readout.bias"][1] = gap
        return Model(arch, t)

    spec, tokens = Semantics.parse(text).spec, all_inputs(task, n)
    assert spec is not None
    machine = Machine(spec, "random", np.random.default_rng(1), "random")
    logits = np.concatenate([simulate(build(0.25), tokens, n, machine) for _ in range(20)])
    assert (margins(logits, np.ones(len(logits), dtype=np.int64)) < 0).any()
    assert not accepted(build(0.25), task, n, kind, text, engine)
    assert accepted(build(32.0), task, n, kind, text, engine)


@pytest.mark.parametrize("engine", ["fast", "arb"])
def test_later_roundings_enlarge_what_underflow_adds(engine: arb.Engine) -> None:
    """fp16 over 901 slots: a value weight underflows, and nearly all weight is the query's own. Every rounding is up,
    but those of the normaliser down: factors e^0.44 of the normaliser and of the sum over slots.
    """
    task, n, text = OneCell(2, 1, 1), 900, "fp16"
    spec = Semantics.parse(text).spec
    assert spec is not None
    up, down, size, weight = 1.0 + spec.unit, 1.0 - spec.unit, 8003.7, spec.least * 1.01

    def build(gap: float) -> Model:
        arch, t = empty("relu", False, task, n)
        t["embed.token"][:, 0], t["embed.token"][task.symbols :, 1] = size, 4.0
        t["layers.0.query"][0, 1, 0] = t["layers.0.key"][0, 1, 0] = 1.0
        t["layers.0.value"][0, 0, 0], t["layers.0.output"][0, 0, 0] = weight, 1.1
        t["layers.1.in"][0, 0] = t["layers.1.out"][0, 0] = 1.1
        t["readout.weight"][0], t["readout.bias"][1] = (1.1, -1.1), gap
        return Model(arch, t)

    token, share = size * up, up / down**n
    product = token * (weight + spec.least) * up  # a normal number again
    unit = product * share * up ** (n + 1) * (1.1 * up**2) ** 2
    gap = float(np.floor(2 * unit * (1.1 * up**2) ** 2 * 2.0**20) * 2.0**-20)  # a number of the format
    assert not accepted(build(gap), task, n, "relu", text, engine)
    assert accepted(build(4 * gap), task, n, "relu", text, engine)
