"""Trained models that are certified obey the bounds, like built ones."""

from __future__ import annotations

from typing import Any

import pytest

from separatrix import cannot
from separatrix.cannot.average import recall_bits
from separatrix.core.arch import Readout, Table
from separatrix.core.recurrent import Gru, Recurrent
from separatrix.core.seeds import child
from separatrix.core.size import Precision
from separatrix.core.task import Task
from separatrix.learn import one_layer, train
from separatrix.models import Model, evaluate
from separatrix.tasks import make_task
from separatrix.verify.provers import certify

FP32 = Precision.parse("fp32")


def trained(task: Task, n: int, arch: object, steps: int) -> Model:
    """The first of three seeds that is right on every input; the test fails where none is."""
    for seed in range(3):
        run = train(task, n, arch, seed=seed, steps=steps, learning_rate=0.01, batch=64, patience=3, check_every=50)  # type: ignore[arg-type]
        if certify(run.model, task, n).verdict == "proved":
            return run.model
    raise AssertionError(f"no certified model of {task.name}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters", "n"), [
    ("index-lookup", {"symbols": 2}, 4), ("disjointness", {}, 4),
    ("associative-recall", {"keys": 3, "labels": 2, "joined": True}, 3),
])  # fmt: skip
def test_no_certified_trained_model_lies_below_a_bound(name: str, parameters: dict[str, Any], n: int) -> None:
    task = make_task(name, parameters)
    model = trained(task, n, one_layer(task, n, 16), 1500)
    bounds = cannot.bounds_for(name, "transformer")
    for bound in bounds:
        for precision in (FP32, Precision(64, "accumulator")):
            size = model.size(task.domain(n).positions, precision)
            bits = bound.bits(task, n)
            assert not bound.violated(size, bits), (bound.name, size)
            cut = size.bits("cut")
            assert cut is None or bound.measure == "width" or cut >= bits, (bound.name, cut, bits)
    assert bounds or name == "index-lookup"


@pytest.mark.slow
def test_a_trained_recurrent_model_lies_above_the_fano_bound_at_its_accuracy() -> None:
    """No prover certifies gated recurrences, so this dot is an uncertified one."""
    task, n = make_task("index-lookup", {"symbols": 2}), 3
    domain = task.domain(n)
    arch = Recurrent(8, Table(domain.vocabulary, domain.positions), (Gru(16),), Readout(2))
    model = train(task, n, arch, seed=0, steps=250, learning_rate=0.01, batch=64).model
    tokens, _ = task.sample(n, 2000, child(1, "fano"))
    right = float((evaluate(model, tokens, queries=task.queries(n)).argmax(axis=2) == task.answer(tokens)).mean())
    carried = recall_bits(n, 2, right)
    assert right > 0.9 and carried <= (model.size(domain.positions, FP32).bits("state") or 0)
    assert recall_bits(n, 2, 1.0) == cannot.registry.get("index-lookup-recurrent").bits(task, n)
