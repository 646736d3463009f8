"""Linear recurrences that store symbols: proved where built, never accepted where an input fails, both suites."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.recurrent import DiagonalSsm, Elman, Exact, FixedPoint, Recurrent
from separatrix.core.task import Task
from separatrix.kernel import judge, judge_file
from separatrix.models import Model, evaluate
from separatrix.models.recurrent import Runner
from separatrix.tasks.disjointness import AnyFlag, Common, Disjointness
from separatrix.tasks.equality import Equality
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2
from separatrix.verify.provers import certify
from tasks.cover import words

CASES: list[tuple[str, Task, int, str]] = [
    ("index-lookup-store", IndexLookup(2), 4, ""),
    ("index-lookup-store", IndexLookup(3), 3, ""),
    ("equality-store", Equality(2), 6, "mismatch"),
    ("equality-store", Equality(3), 4, "mismatch"),
    ("disjointness-store", Disjointness(), 6, "common"),
]


def certificate(task: Task, model: Model, n: int, factor: str) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    evidence = {"factor": factor}
    return Certificate("stored", claim, PROVED, task.source_sha256(), evidence, {}, model.reference())


def worst_margin(task: Task, model: Model, n: int) -> float:
    inputs = words(task.domain(n))
    logits, labels = evaluate(model, inputs, queries=task.queries(n))[:, 0], task.answer(inputs)[:, 0]
    rows = np.arange(len(inputs))
    right = logits[rows, labels]
    logits[rows, labels] = -np.inf
    return float((right - logits.max(axis=1)).min())


def mutant(model: Model, rng: np.random.Generator) -> Model:
    """A number changed by a multiple of 1/32, or a whole tensor scaled."""
    tensors = {name: np.array(tensor) for name, tensor in model.tensors.items()}
    name = str(rng.choice([name for name in tensors if tensors[name].size]))
    tensor = tensors[name]
    if rng.random() < 0.15:
        tensors[name] = tensor * rng.choice([0.75, 0.9375, 1.0625, 1.25, 2.0])
    else:
        at = tuple(rng.integers(0, s) for s in tensor.shape)
        if rng.random() < 0.6 and tensor.any():
            at = tuple(rng.choice(np.argwhere(tensor)))
        tensor[at] += rng.choice([-2.0, -1.0, -0.75, -0.25, -0.03125, 0.03125, 0.25, 0.75, 1.0, 2.0])
    return Model(model.arch, tensors)


def test_attacked_models_are_never_accepted_and_sound_ones_mostly() -> None:
    """Of the sound ones those count whose numbers still go their own way: 3 is no verdict."""
    rng = np.random.default_rng(0)
    false = true = kept = unknown = 0
    for _ in range(600):
        name, task, n, factor = CASES[rng.integers(0, len(CASES))]
        attack = mutant(registry.get(name).build(task, n), rng)
        margin = worst_margin(task, attack, n)
        verdict = judge(certificate(task, attack, n, factor), attack.arch, attack.tensors)
        if margin <= 0:
            false += 1
            assert not verdict.accepted, f"{name} accepted with margin {margin}"
        elif verdict.exit_code == 3:
            unknown += 1
        else:
            true, kept = true + 1, kept + verdict.accepted
    assert false >= 100 and true >= 100 and unknown <= 0.1 * true, (false, true, unknown)
    assert kept >= 0.9 * true, (kept, true)


def test_any_changed_byte_is_rejected(tmp_path: Path) -> None:
    name, task, n, factor = CASES[2]
    model = registry.get(name).build(task, n)
    model.save(tmp_path)
    path = certificate(task, model, n, factor).write(tmp_path, "c")
    assert judge_file(path).accepted
    rng = np.random.default_rng(0)
    for file in (path, tmp_path / "config.json", tmp_path / "model.safetensors"):
        data = file.read_bytes()
        for at in rng.choice(len(data), min(len(data), 250), replace=False):
            file.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.integers(0, 8))]) + data[at + 1 :])
            assert judge_file(path).exit_code in (1, 2)
        file.write_bytes(data)
    assert judge_file(path).accepted


@pytest.mark.parametrize(("name", "task", "n", "factor"), CASES)
def test_what_a_certificate_must_say(name: str, task: Task, n: int, factor: str) -> None:
    model = registry.get(name).build(task, n)
    good = certificate(task, model, n, factor)
    assert judge(good, model.arch, model.tensors).accepted
    for wrong in (
        certificate(task, model, n, "no-flag"),
        certificate(task, model, n, "" if factor else "mismatch"),
        dataclasses.replace(good, evidence={}),
        dataclasses.replace(good, arrays={"a": np.zeros(1)}),
        dataclasses.replace(good, claim=dataclasses.replace(good.claim, n=n + 2)),
        dataclasses.replace(good, claim=dataclasses.replace(good.claim, semantics="fp32")),
        dataclasses.replace(good, kind="tuples"),
    ):
        assert not judge(wrong, model.arch, model.tensors).accepted
    assert judge(good, model.arch, model.tensors, engine="arb").accepted


def test_other_models_are_out_of_reach() -> None:
    task, n = IndexLookup(2), 4
    model = registry.get("index-lookup-store").build(task, n)
    arch, tensors = model.arch, model.tensors
    assert isinstance(arch, Recurrent)
    for other in (
        dataclasses.replace(arch, state=Exact()),
        dataclasses.replace(arch, state=FixedPoint(8, 0)),
    ):
        assert judge(certificate(task, Model(other, tensors), n, ""), other, tensors).exit_code == 3
    turned = {**tensors, "layers.0.diagonal": tensors["layers.0.diagonal"][::-1].copy()}
    assert judge(certificate(task, Model(arch, turned), n, ""), arch, turned).exit_code == 3
    elman = Recurrent(arch.width, arch.first, (Elman(8),), arch.readout, FixedPoint(2, 0))
    small = Model(
        elman,
        {
            **{k: tensors[k] for k in ("embed.token", "embed.position", "readout.bias")},
            "layers.0.in": np.zeros((arch.width, 8)),
            "layers.0.bias": np.zeros(8),
            "layers.0.recurrent": np.zeros((8, 8)),
            "layers.0.start": np.zeros(8),
            "readout.weight": np.zeros((8, 2)),
        },
    )
    assert judge(certificate(task, small, n, ""), small.arch, small.tensors).exit_code == 3
    transformer = registry.get("match2-circle").build(Match2(5), 3)
    assert judge(certificate(Match2(5), transformer, 3, ""), transformer.arch, transformer.tensors).exit_code == 3


def test_a_number_that_mixes_two_positions_is_noticed() -> None:
    """Both symbols are added into one number: no function of one of them."""
    task, n = IndexLookup(2), 2
    model = registry.get("index-lookup-store").build(task, n)
    enter = np.array(model.tensors["layers.0.in"])
    enter[1:3] = enter[1]  # the first number is written at both times
    bad = {**model.tensors, "layers.0.in": enter}
    verdict = judge(certificate(task, Model(model.arch, bad), n, ""), model.arch, bad)
    assert verdict.exit_code == 3 and "two positions" in verdict.sentence


@pytest.mark.parametrize(("name", "task", "n", "factor"), CASES)
def test_what_the_kernel_follows_is_what_the_model_does(name: str, task: Task, n: int, factor: str) -> None:
    from separatrix.kernel.stored import Store

    model = registry.get(name).build(task, n)
    assert isinstance(model.arch, Recurrent)
    domain, runner = task.domain(n), Runner(model)
    store = Store.of(model.arch, model.tensors, domain)
    inputs = words(domain)
    states = runner.start(len(inputs))
    for position in range(domain.positions):
        states, _ = runner.step(states, inputs[:, position], position)
        store.advance()
        for k, j in enumerate(store.source):
            seen = store.grid[store.value[k, inputs[:, j] if j >= 0 else np.zeros(len(inputs), dtype=int)]]
            assert (states[:, k] == seen).all()


@pytest.mark.parametrize(("name", "task", "n", "factor"), CASES)
def test_damaged_models_are_refuted(name: str, task: Task, n: int, factor: str) -> None:
    model, rng, broken = registry.get(name).build(task, n), np.random.default_rng(5), 0
    for _ in range(12):
        bad = mutant(model, rng)
        outcome = certify(bad, task, n, method="stored")
        if worst_margin(task, bad, n) <= 0:
            broken += 1
            assert outcome.verdict == "refuted", outcome.sentence
        else:
            assert outcome.verdict != "refuted"
    assert broken


@pytest.mark.parametrize(
    ("name", "task", "n", "bits"),
    [
        ("index-lookup-store", IndexLookup(64), 64, 384),
        ("index-lookup-store", IndexLookup(5), 3, 10),  # 9 bits, in pairs
        ("equality-store", Equality(2), 256, 130),
        ("disjointness-store", Disjointness(), 256, 130),
    ],
)
def test_state_bits_meet_the_lower_bounds(name: str, task: Task, n: int, bits: int) -> None:
    witness = registry.get(name)
    model, size = witness.build(task, n), witness.size(task, n)
    assert model.size(task.domain(n).positions, size.precision) == size and size.bits("state") == bits
    assert isinstance(model.arch, Recurrent) and model.arch.state_bits == bits
    assert isinstance(model.arch.layers[0], DiagonalSsm)
    assert certify(model, task, n, method="stored").verdict == "proved"


@pytest.mark.parametrize("engine", ["fast", "arb"])
@pytest.mark.parametrize("given", [None, ()])
@pytest.mark.parametrize(("step", "where"), [(Common, 0), (Common, 3), (AnyFlag, 5)])
def test_a_position_of_a_factor_without_cells_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, engine: str, given: tuple[()] | None, step: type[Task], where: int
) -> None:
    """No word of labels passes such a position, so that every walk behind it would be right."""
    name, task, n, factor = next(case for case in CASES if isinstance(case[1], Disjointness))
    model = registry.get(name).build(task, n)
    if step is Common:
        model.tensors["readout.weight"][...] *= -1.0  # pyright: ignore[reportIndexIssue]
        assert worst_margin(task, model, n) < 0
    known, last = step.cells, task.domain(n).positions - 1
    at = min(where, last)
    monkeypatch.setattr(step, "cells", lambda self, n, query: given if query == at else known(self, n, query))
    verdict = judge(certificate(task, model, n, factor), model.arch, model.tensors, engine=engine)  # pyright: ignore
    assert not verdict.accepted and "cells" in verdict.sentence
