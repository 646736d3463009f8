"""Recurrent models with few states: proved where built, never accepted where an input fails, both mutation suites."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.arch import Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.recurrent import DiagonalSsm, Elman, Exact, Gru, Recurrent
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.kernel import judge, judge_file
from separatrix.models import Model, evaluate
from separatrix.tasks import make_task
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.regular import Regular
from separatrix.verify.provers import certify
from tasks.cover import words

CASES: list[tuple[str, Task, int]] = [
    ("dyck-elman", Dyck(1, 2), 4),
    ("dyck-elman", Dyck(2, 2), 4),
    ("dyck-stack", Dyck(1, 2), 4),
    ("dyck-stack", Dyck(2, 2), 4),
    ("regular-elman", Regular("0 1, 1 0", "1"), 5),
    ("regular-elman", Regular("1 2, 1 1, 0 2", "0 2"), 4),
]


def certificate(task: Task, model: Model, n: int) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    return Certificate("automaton", claim, PROVED, task.source_sha256(), {}, {}, model.reference())


def accepted(task: Task, model: Model, n: int) -> bool:
    return judge(certificate(task, model, n), model.arch, model.tensors).accepted


def worst_margin(task: Task, model: Model, n: int) -> float:
    inputs = words(task.domain(n))
    logits, labels = evaluate(model, inputs, queries=task.queries(n))[:, 0], task.answer(inputs)[:, 0]
    rows = np.arange(len(inputs))
    right = logits[rows, labels]
    logits[rows, labels] = -np.inf
    return float((right - logits.max(axis=1)).min())


def mutant(model: Model, rng: np.random.Generator) -> Model:
    """A number changed to another small multiple of 1/4, or a little; now and then a whole tensor scaled."""
    tensors = {name: np.array(tensor) for name, tensor in model.tensors.items()}
    name = str(rng.choice([name for name in tensors if tensors[name].size]))
    tensor = tensors[name]
    if rng.random() < 0.15:
        tensors[name] = tensor * rng.choice([0.75, 0.9375, 1.0625, 1.25, 2.0])
    else:
        at = tuple(rng.integers(0, s) for s in tensor.shape)
        if rng.random() < 0.5 and tensor.any():
            at = tuple(rng.choice(np.argwhere(tensor)))
        tensor[at] += rng.choice([-1.0, -0.75, -0.25, -0.0625, 0.0625, 0.25, 0.75, 1.0])
    return Model(model.arch, tensors)


def test_attacked_models_are_never_accepted_and_sound_ones_are() -> None:
    """Sums of a few multiples of 1/16 are exact in float64, so the enumeration tells the truth."""
    rng = np.random.default_rng(0)
    false = true = kept = 0
    for _ in range(450):
        name, task, n = CASES[rng.integers(0, len(CASES))]
        attack = mutant(registry.get(name).build(task, n), rng)
        margin, ok = worst_margin(task, attack, n), accepted(task, attack, n)
        if margin <= 0:
            false += 1
            assert not ok, f"{name} accepted with margin {margin}"
        else:
            true, kept = true + 1, kept + ok
    assert false >= 100 and true >= 100, (false, true)
    assert kept >= 0.9 * true, (kept, true)


def test_any_changed_byte_is_rejected(tmp_path: Path) -> None:
    task = Dyck(2, 2)
    model = registry.get("dyck-elman").build(task, 4)
    model.save(tmp_path)
    path = certificate(task, model, 4).write(tmp_path, "c")
    assert judge_file(path).accepted
    rng = np.random.default_rng(0)
    for file in (path, tmp_path / "config.json", tmp_path / "model.safetensors"):
        data = file.read_bytes()
        for at in rng.choice(len(data), min(len(data), 250), replace=False):
            file.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.integers(0, 8))]) + data[at + 1 :])
            assert judge_file(path).exit_code in (1, 2)
        file.write_bytes(data)
    assert judge_file(path).accepted


def test_a_certificate_is_about_its_own_task_and_model() -> None:
    task = Dyck(2, 2)
    model = registry.get("dyck-elman").build(task, 4)
    assert accepted(task, model, 4) and accepted(task, model, 64)  # nothing depends on the length
    assert not accepted(Dyck(2, 3), model, 6) and not accepted(Dyck(2, 1), model, 6)
    assert not accepted(Dyck(1, 2), model, 4)  # other tokens
    good = certificate(task, model, 4)
    for wrong in (
        dataclasses.replace(good, evidence={"states": 8}),
        dataclasses.replace(good, arrays={"a": np.zeros(1)}),
        dataclasses.replace(good, claim=dataclasses.replace(good.claim, semantics="fp32")),
        dataclasses.replace(good, kind="separable"),
        dataclasses.replace(good, kind="tuples"),
    ):
        assert not judge(wrong, model.arch, model.tensors).accepted


def test_many_layers_and_times_agree_with_the_plain_evaluation() -> None:
    """Random nets with dyadic weights: the verdict is that of the enumeration, exactly."""
    rng, verdicts = np.random.default_rng(3), set()
    for round_ in range(40):
        layers = ((Elman(2),), (Elman(2), Elman(1)), (DiagonalSsm(1, 2), Elman(2)))[round_ % 3]
        task, n = Regular("0 1, 1 1", "1"), 3  # was there a 1?
        arch = Recurrent(2, Table(2, n * (round_ % 2)), layers, Readout(2), Exact())
        tensors = {k: rng.integers(-2, 3, shape) / 2 for k, shape in tensor_shapes(arch).items()}
        if round_ < 12:  # one that is right: count the ones, and compare with 1/2
            arch = Recurrent(2, Table(2, n * (round_ % 2)), (Elman(1),), Readout(2), Exact())
            tensors = {k: np.zeros(shape) for k, shape in tensor_shapes(arch).items()}
            tensors["embed.token"][1], tensors["layers.0.in"][0] = 1.0, rng.choice([0.5, 1.0, 2.0])
            tensors["layers.0.recurrent"][:] = 1.0
            tensors["readout.weight"][0, 1], tensors["readout.bias"][0] = 1.0, rng.choice([0.25, 0.5, 1.0])
        model = Model(arch, tensors)
        right = worst_margin(task, model, n) > 0
        verdicts.add(right)
        assert accepted(task, model, n) == right
    assert verdicts == {True, False}


def test_what_is_out_of_reach_is_unknown() -> None:
    task = Regular("0 1, 1 0", "1")
    gated = Recurrent(2, Table(2), (Gru(2),), Readout(2))
    model = Model(gated, {k: np.zeros(shape) for k, shape in tensor_shapes(gated).items()})
    assert judge(certificate(task, model, 3), model.arch, model.tensors).exit_code == 3
    tanh = Recurrent(2, Table(2), (Elman(2, "tanh"),), Readout(2))
    model = Model(tanh, {k: np.zeros(shape) for k, shape in tensor_shapes(tanh).items()})
    assert judge(certificate(task, model, 3), model.arch, model.tensors).exit_code == 3
    transformer = registry.get("equality-two-layer").build(make_task("equality"), 4)
    claim = certificate(make_task("equality"), transformer, 4)
    assert judge(claim, transformer.arch, transformer.tensors).exit_code == 3
    elman = registry.get("regular-elman").build(task, 3)
    assert judge(certificate(task, elman, 3), elman.arch, elman.tensors, engine="arb").accepted
    counter = Recurrent(1, Table(2), (Elman(1),), Readout(2))  # counts in thirds of thirds: states without end
    tensors = {k: np.full(shape, 1 / 3) for k, shape in tensor_shapes(counter).items()}
    model = Model(counter, tensors)
    verdict = judge(certificate(task, model, 2000), model.arch, model.tensors)
    assert verdict.exit_code == 3 and "bits" in verdict.sentence


@pytest.mark.parametrize(("name", "task", "n"), CASES)
def test_damaged_models_are_refuted(name: str, task: Task, n: int) -> None:
    model, rng, broken = registry.get(name).build(task, n), np.random.default_rng(5), 0
    for _ in range(20):
        bad = mutant(model, rng)
        outcome = certify(bad, task, n, method="automaton")
        if worst_margin(task, bad, n) <= 0:
            broken += 1
            assert outcome.verdict == "refuted", outcome.sentence
        else:
            assert outcome.verdict == "proved"
    assert broken


def test_without_the_start_unit_no_transition_leaves_the_start() -> None:
    """Nothing enters state 0 of 'read a 1, then only zeros': without a first 1 somewhere the net stays at zero."""
    task, n = Regular("2 1, 1 2, 2 2", "1"), 4
    model = registry.get("regular-elman").build(task, n)
    assert certify(model, task, n, method="automaton").verdict == "proved"
    bad = Model(model.arch, {**model.tensors, "layers.0.start": np.zeros_like(model.tensors["layers.0.start"])})
    assert certify(bad, task, n, method="automaton").verdict == "refuted"


def test_random_automata_are_simulated() -> None:
    rng = np.random.default_rng(9)
    for _ in range(25):
        states, symbols = rng.integers(1, 7), rng.integers(1, 4)
        rows = rng.integers(0, states, (states, symbols)).tolist()
        accepting = rng.choice(states, rng.integers(1, states + 1), replace=False).tolist()
        task = Regular(", ".join(" ".join(map(str, row)) for row in rows), " ".join(map(str, accepting)))
        model = registry.get("regular-elman").build(task, 12)
        assert certify(model, task, 12, method="automaton").verdict == "proved"
        inputs = np.array(list(itertools.islice(itertools.product(range(symbols), repeat=5), 200)))
        assert (evaluate(model, inputs, queries=[4]).argmax(axis=2) == task.answer(inputs)).all()
