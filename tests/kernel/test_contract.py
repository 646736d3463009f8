"""Contracts of two layers: right where built, never accepted where an input fails, both mutation suites."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.kernel import judge, judge_file
from separatrix.kernel.balls import Ball
from separatrix.kernel.contracts.feed import Feed
from separatrix.models import Model, evaluate
from separatrix.tasks.equality import Equality
from separatrix.verify.provers import certify

NOISE = (2.0**-20).hex()


def built(n: int, symbols: int = 2) -> tuple[Equality, Model]:
    task = Equality(symbols)
    return task, registry.get("equality-two-layer").build(task, n)


def certificate(
    task: Equality, model: Model, n: int, factor: object = "mismatch", noise: object = NOISE
) -> Certificate:
    claim, evidence = Claim(task.name, task.parameters(), n, "correct", "real"), {"factor": factor, "noise": noise, "terms": 2**20}
    return Certificate("contract", claim, PROVED, task.source_sha256(), evidence, {}, model.reference())


def accepted(task: Equality, model: Model, n: int) -> bool:
    return judge(certificate(task, model, n), model.arch, model.tensors).accepted


def worst_margin(task: Equality, model: Model, n: int) -> float:
    """Least margin over every input, in float64; exact to about 1e-12 on these small models."""
    inputs = np.array(list(itertools.product(range(task.symbols), repeat=n)))
    logits, labels = evaluate(model, inputs, queries=[n - 1])[:, 0], task.answer(inputs)[:, 0]
    rows = np.arange(len(inputs))
    right = logits[rows, labels]
    logits[rows, labels] = -np.inf
    return float((right - logits.max(axis=1)).min())


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
    name = str(rng.choice([name for name in tensors if name not in ("layers.2.query", "layers.2.key")]))
    tensor, size = tensors[name], 10.0 ** rng.uniform(-5, 1.2)
    if rng.random() < 0.3:
        tensors[name] = tensor * (1 + size * rng.choice([-1, 1]))
    else:
        at = tuple(rng.integers(0, s) for s in tensor.shape)
        if rng.random() < 0.7 and tensor.any():  # mostly where something stands
            at = tuple(rng.choice(np.argwhere(tensor)))
        tensor[at] += size * rng.choice([-1, 1])
    return Model(model.arch, tensors)


def test_attacked_models_are_never_accepted_and_sound_ones_mostly() -> None:
    """Truth by enumeration of all inputs; sound models whose structure is intact are accepted."""
    rng = np.random.default_rng(0)
    false, true, kept = 0, 0, 0
    for _ in range(700):
        n, symbols = ((4, 2), (6, 2), (4, 3))[rng.integers(0, 3)]
        task, model = built(n, symbols)
        attack = mutant(model, rng)
        margin, ok = worst_margin(task, attack, n), accepted(task, attack, n)
        if margin <= 0:
            false += 1
            assert not ok, f"accepted with margin {margin}"
        elif margin > 1e-9:
            verdict = judge(certificate(task, attack, n), attack.arch, attack.tensors)
            if ok or verdict.exit_code == 1:  # 3: the structure that the check needs is gone, which is no verdict
                true, kept = true + 1, kept + ok
    assert false >= 100 and true >= 100, (false, true)
    assert kept >= 0.9 * true, (kept, true)


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


@pytest.mark.parametrize("factor", ["flag", "", 3, None, ["mismatch"]])
def test_unknown_factors_are_refused(factor: object) -> None:
    task, model = built(4)
    assert not judge(certificate(task, model, 4, factor), model.arch, model.tensors).accepted


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
