"""Contracts of two layers: right where built, never accepted where an input fails, both mutation suites."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.arch import Attention
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.task import Task
from separatrix.kernel import judge, judge_file
from separatrix.kernel.balls import Ball
from separatrix.kernel.contracts import attend, layers
from separatrix.kernel.contracts.feed import Feed
from separatrix.models import Model, evaluate
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality
from separatrix.tasks.k_hop import KHop
from separatrix.tasks.multi_query_recall import MultiQueryRecall
from separatrix.verify.provers import certify
from tasks.cover import words

NOISE = (2.0**-20).hex()
CASES: list[tuple[str, Task, int]] = [
    ("equality-two-layer", Equality(2), 6),
    ("equality-two-layer", Equality(3), 4),
    ("dyck-two-layer", Dyck(1, 2), 6),
    ("dyck-two-layer", Dyck(2, 2), 4),
    ("dyck-three-layer", Dyck(2, 3), 4),
    ("k-hop-doubling", KHop(1, 2), 5),
    ("k-hop-doubling", KHop(2, 2), 5),
    ("associative-recall-two-layer", AssociativeRecall(3, 2), 3),
]
WAYS = [("0x0p+0", 2**20, False), (NOISE, 2**20, False), (NOISE, 2**20, True), ("0x1p+1", 0, False)]


def built(n: int, symbols: int = 2) -> tuple[Equality, Model]:
    task = Equality(symbols)
    return task, registry.get("equality-two-layer").build(task, n)


def certificate(task: Task, model: Model, n: int, **changes: object) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    factor = next(name for name, chain in task.factors().items() if len(chain) == attention_layers(model))
    evidence = {"factor": factor, "noise": NOISE, "terms": 2**20, "merge": False} | changes
    return Certificate("contract", claim, PROVED, task.source_sha256(), evidence, {}, model.reference())


def attention_layers(model: Model) -> int:
    return sum(isinstance(layer, Attention) for layer in model.arch.layers)


def accepted(task: Task, model: Model, n: int) -> bool:
    """In one way of looking or another."""
    choices = [dict(zip(("noise", "terms", "merge"), way, strict=True)) for way in WAYS]
    return any(judge(certificate(task, model, n, **c), model.arch, model.tensors).accepted for c in choices)


def worst_margin(task: Task, model: Model, n: int) -> float:
    """Least margin over every input and query, in float64; exact to about 1e-12 on these small models."""
    inputs = words(task.domain(n))
    logits, labels = evaluate(model, inputs, queries=list(task.queries(n))), task.answer(inputs)
    right = np.take_along_axis(logits, labels[:, :, None], axis=2)[:, :, 0]
    np.put_along_axis(logits, labels[:, :, None], -np.inf, axis=2)
    return float((right - logits.max(axis=2)).min())


@pytest.mark.parametrize(("n", "symbols"), [(2, 2), (8, 2), (10, 3), (64, 5), (256, 2)])
def test_built_models_are_proved(n: int, symbols: int) -> None:
    task, model = built(n, symbols)
    outcome = certify(model, task, n, method="contract")
    assert outcome.verdict == "proved", outcome.sentence
    tokens, _ = task.sample(n, 100, np.random.default_rng(n), "one")
    assert (evaluate(model, tokens, queries=[n - 1])[:, 0].argmax(axis=1) == task.answer(tokens)[:, 0]).all()


def mutant(model: Model, rng: np.random.Generator) -> Model:
    """One tensor changed by little or much."""
    tensors = {name: np.array(tensor) for name, tensor in model.tensors.items()}
    name = str(rng.choice(list(tensors)))
    tensor, size = tensors[name], 10.0 ** rng.uniform(-2, 1.5)
    if rng.random() < 0.3:
        tensors[name] = tensor * (1 + size * rng.choice([-1, 1]))
    else:
        at = tuple(rng.integers(0, s) for s in tensor.shape)
        if rng.random() < 0.7 and tensor.any():  # mostly where something stands
            at = tuple(rng.choice(np.argwhere(tensor)))
        tensor[at] += size * rng.choice([-1, 1])
    return Model(model.arch, tensors)


def test_attacked_models_are_never_accepted_and_sound_ones_mostly() -> None:
    """Truth by enumeration of all inputs; however the certificate chooses to look at the model."""
    rng = np.random.default_rng(0)
    false, true, kept = 0, 0, 0
    for trial in range(560):
        name, task, n = CASES[trial % len(CASES)]
        attack = mutant(registry.get(name).build(task, n), rng)
        margin, ok = worst_margin(task, attack, n), accepted(task, attack, n)
        if margin <= 0:
            false += 1
            assert not ok, f"{name}: accepted with margin {margin}"
        elif margin > 1e-9:
            true, kept = true + 1, kept + ok
    assert false >= 100 and true >= 100, (false, true)
    assert kept >= 0.9 * true, (kept, true)


@pytest.mark.parametrize(
    ("name", "task", "n"),
    [
        ("associative-recall-two-layer", AssociativeRecall(6, 2), 6),
        ("multi-query-recall-two-layer", MultiQueryRecall(3, 2), 4),
        ("equality-two-layer", Equality(2), 12),
        ("k-hop-doubling", KHop(2, 2), 6),
    ],
    ids=str,
)
def test_positions_that_are_alike_may_share_their_terms(
    name: str, task: Task, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Least values of a head, with positions and rows put together and one by one."""
    found: list[list[np.ndarray]] = []
    plain = layers.least

    def kept(*given: object) -> np.ndarray:
        found[-1].append(plain(*given))  # pyright: ignore[reportArgumentType]
        return found[-1][-1]

    monkeypatch.setattr(layers, "least", kept)
    model = registry.get(name).build(task, n)
    for alone in (False, True):
        found.append([])
        if alone:
            monkeypatch.setattr(attend, "_alike", lambda stream, *_: np.arange(stream.positions))
        assert judge(certificate(task, model, n), model.arch, model.tensors).accepted
    assert len(found[0]) == len(found[1]) > 1
    for together, apart in zip(*found, strict=True):
        assert np.allclose(together, apart, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "task", "n"), CASES, ids=str)
def test_coordinates_that_should_not_be_read_carry_their_range(name: str, task: Task, n: int) -> None:
    """A zero weight replaced by 1e-30 changes nothing that matters and is accepted; by 1e30 everything, and is not."""
    model, rng = registry.get(name).build(task, n), np.random.default_rng(0)
    assert accepted(task, model, n)
    for size, wanted in ((1e-30, True), (1e30, False)):
        for _ in range(6):
            tensors = {key: np.array(tensor) for key, tensor in model.tensors.items()}
            key = str(rng.choice([key for key in tensors if key.endswith((".query", ".key", ".value", ".in"))]))
            zeros = np.argwhere(tensors[key] == 0)
            at = tuple(zeros[rng.integers(0, len(zeros))])
            tensors[key][at] = size
            attack = Model(model.arch, tensors)
            if wanted:
                assert accepted(task, attack, n), (key, at)
            else:
                assert not accepted(task, attack, n) or worst_margin(task, attack, n) > 0


def test_a_model_that_ties_is_rejected() -> None:
    """All margins scaled to 0, and a read-out whose margin on one input is exactly 0."""
    for name, task, n in CASES:
        model = registry.get(name).build(task, n)
        tensors = {key: np.array(tensor) for key, tensor in model.tensors.items()}
        tensors["readout.weight"][:], tensors["readout.bias"][:] = 0.0, 0.0
        assert not accepted(task, Model(model.arch, tensors), n)


def test_any_changed_byte_is_rejected(tmp_path: Path) -> None:
    task, model = built(4)
    model.save(tmp_path)
    path = certificate(task, model, 4).write(tmp_path, "c")
    assert judge_file(path).accepted
    rng = np.random.default_rng(0)
    for file in (path, tmp_path / "config.json", tmp_path / "model.safetensors"):
        data = file.read_bytes()
        for at in rng.choice(len(data), min(len(data), 150), replace=False):
            file.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.integers(0, 8))]) + data[at + 1 :])
            assert judge_file(path).exit_code in (1, 2)
        file.write_bytes(data)
    assert judge_file(path).accepted


@pytest.mark.parametrize(
    "change",
    [
        *({"factor": value} for value in ("flag", "", 3, None, ["mismatch"])),
        *({"noise": value} for value in ("", "nan", "-0x1p-20", "inf", "0x1p+9999", 0.0, None)),
        *({"terms": value} for value in (-1, 2**60, "9", True, 1.0)),
        *({"merge": value} for value in (0, 1, "yes", None)),
        {"radius": "0x0p+0"},
    ],
    ids=str,
)
def test_unusable_evidence_is_refused(change: dict[str, object]) -> None:
    task, model = built(4)
    assert judge(certificate(task, model, 4), model.arch, model.tensors).accepted
    assert judge(certificate(task, model, 4, **change), model.arch, model.tensors).exit_code == 2


@pytest.mark.parametrize(("name", "task", "n"), CASES, ids=str)
def test_claims_about_other_sizes_and_tasks_are_rejected(name: str, task: Task, n: int) -> None:
    model = registry.get(name).build(task, n)
    others = [(task, n + 2), (task, n - 2)] + [(o, n) for _, o, _ in CASES if o.name != task.name]
    for other, length in others:
        for factor in other.factors():
            evidence = {"factor": factor, "noise": NOISE, "terms": 2**20, "merge": False}
            claim = Claim(other.name, other.parameters(), length, "correct", "real")
            wrong = Certificate("contract", claim, PROVED, other.source_sha256(), evidence, {}, model.reference())
            assert not judge(wrong, model.arch, model.tensors).accepted, (other, length)


def test_layers_that_the_check_does_not_know_are_refused() -> None:
    task, model = built(4)
    for change in ({"weights": "hard"}, {"norm": "layer"}):
        layers = (dataclasses.replace(model.arch.layers[0], **change), *model.arch.layers[1:])
        verdict = judge(certificate(task, model, 4), dataclasses.replace(model.arch, layers=layers), model.tensors)
        assert not verdict.accepted and verdict.exit_code == 3


def test_damaged_models_are_refuted_with_an_input() -> None:
    for n in (8, 32):
        task, model = built(n)
        tensors = {name: np.array(tensor) for name, tensor in model.tensors.items()}
        tensors["embed.position"][n - 2, :] = tensors["embed.position"][n - 1, :]
        bad = Model(model.arch, tensors)
        outcome = certify(bad, task, n, method="contract")
        assert outcome.verdict == "refuted" and outcome.counterexample is not None
        tokens, query = outcome.counterexample
        logits = evaluate(bad, tokens[None], queries=[query])[0, 0]
        label = task.answer(tokens[None])[0, 0]
        assert np.delete(logits, label).max() >= logits[label]


def test_a_threshold_at_the_gap_is_rejected() -> None:
    """The mean flag of one difference is at least (1 - leak) / N: a read-out at 1/N is a tie or worse."""
    task, model = built(6)
    for bias in (0.0, 1 / 6):
        tensors = {name: np.array(tensor) for name, tensor in model.tensors.items()}
        tensors["readout.bias"] = np.array([0.0, bias])
        assert not accepted(task, Model(model.arch, tensors), 6)


@pytest.mark.parametrize("mixed", [False, True])
def test_ranges_of_feed_forward_layers_against_a_fine_grid(mixed: bool) -> None:
    """Every value lies in the range, for any threshold; ends are reached where each unit reads one coordinate."""
    rng = np.random.default_rng(int(mixed))
    tight = 0
    for trial in range(200):
        d, hidden, c = rng.integers(1, 5), rng.integers(1, 8), rng.integers(1, 3)
        inner = np.zeros((d, hidden))
        inner[rng.integers(0, d, hidden), np.arange(hidden)] = rng.standard_normal(hidden)
        if mixed:
            inner = rng.standard_normal((d, 2))[:, rng.integers(0, 2, hidden)] * rng.standard_normal(hidden)
            inner += (rng.random((d, hidden)) < 0.1) * rng.standard_normal((d, hidden))
        inner[:, rng.random(hidden) < 0.2] = 0.0
        bias, out = rng.standard_normal(hidden), rng.standard_normal((hidden, c))
        out_bias, skip = rng.standard_normal(c), rng.standard_normal((d, c))
        mid, rad = rng.standard_normal((1, d)), rng.random((1, d)) * (rng.random((1, d)) < 0.7)
        layer = Feed(*map(Ball.exact, (inner, bias, out, out_bias)), skip=Ball.exact(skip))
        kept = rng.random(d) < 0.5
        if trial % 4 == 0:
            skip, out, out_bias = np.eye(d) * kept, rng.standard_normal((hidden, d)), rng.standard_normal(d)
            layer = Feed(*map(Ball.exact, (inner, bias, out, out_bias)), kept=kept)
        x = mid + rad * (2 * rng.random((4000, d)) - 1)
        x[:1], x[1:2] = mid - rad, mid + rad
        values = np.maximum(x @ inner + bias, 0.0) @ out + out_bias + x @ skip
        for noise in (0.0, 2.0**-20, 0.5, 10.0):
            found = layer.ranges(Ball(mid, rad), noise)
            assert (found.low[0] <= values.min(axis=0) + 1e-12).all()
            assert (found.high[0] >= values.max(axis=0) - 1e-12).all()
        found = layer.ranges(Ball(mid, rad), 0.0)
        tight += (found.low[0] >= values.min(axis=0) - 0.3 * d).all()
    assert mixed or tight > 150
