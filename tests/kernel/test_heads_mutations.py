"""Mutation suites of the heads kind: any byte changed, hashes untouched; models and arrays changed, all rehashed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.reference import all_inputs, arb_right, worst
from kernel.heads_cases import OneCell, split_case
from separatrix.can.witnesses.index_lookup_quadratic import build
from separatrix.core.arch import Attention
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL
from separatrix.core.task import Task
from separatrix.kernel import judge, judge_file
from separatrix.kernel.head_trees import ALONE, CORNERS
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers.heads import prove

NAMES = ("right.cert.json", "right.cert.safetensors", "model.safetensors", "config.json")


@pytest.fixture(autouse=True)
def one_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test task for the duration of a test."""
    monkeypatch.setitem(registry._entries, "test-one-cell", OneCell)


def arrays_of(model: Model, task: Task, n: int) -> dict[str, np.ndarray] | None:
    """The prover's arrays; None when it proves nothing."""
    outcome = prove(model, task, n, REAL)
    return outcome.certificate.arrays if outcome.verdict == "proved" and outcome.certificate else None


def certificate(model: Model, task: Task, n: int, arrays: dict[str, np.ndarray]) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    return Certificate("heads", claim, PROVED, task.source_sha256(), {}, arrays, model.reference())


def accepted(model: Model, task: Task, n: int, arrays: dict[str, np.ndarray]) -> bool:
    return judge(certificate(model, task, n, arrays), model.arch, model.tensors).accepted


def shared(model: Model, shares: tuple[float, ...], rng: np.random.Generator) -> Model:
    """The head of a built witness, shared out among several, each a little noisy."""
    layer, t = model.arch.layers[0], dict(model.tensors)
    assert isinstance(layer, Attention)
    for name in ("query", "key", "value", "output"):
        whole = np.repeat(t[f"layers.0.{name}"].astype(np.float64), len(shares), axis=0)
        whole = whole + 0.01 * rng.normal(size=whole.shape)
        t[f"layers.0.{name}"] = whole * np.array(shares)[:, None, None] if name == "output" else whole
    return Model(
        dataclasses.replace(model.arch, layers=(dataclasses.replace(layer, heads=len(shares)),)),
        t,
    )


# ------------------------------------------------------------------------------------------------ accidents


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    model, task, n = split_case()
    arrays = arrays_of(model, task, n)
    assert arrays is not None
    model.save(tmp_path)
    path = certificate(model, task, n, arrays).write(tmp_path, "right")
    assert judge_file(path).accepted
    data, rng = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    places = range(len(data)) if len(data) < 1500 else sorted(rng.choice(len(data), 1500, replace=False).tolist())
    for at in places:
        flipped = bytearray(data)
        flipped[at] ^= int(rng.choice([1, 2, 32, 128, 255]))
        (tmp_path / name).write_bytes(bytes(flipped))
        verdict = judge_file(path)
        assert not verdict.accepted and verdict.exit_code in (1, 2) and "\n" not in verdict.sentence, at
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        (tmp_path / name).write_bytes(data[:cut])
        assert not judge_file(path).accepted
    (tmp_path / name).unlink()
    assert not judge_file(path).accepted
    (tmp_path / name).write_bytes(data)
    assert judge_file(path).accepted


# ------------------------------------------------------------------------------------------------ attacks


def mutants(seed: int) -> Iterator[tuple[Model, Task, int, dict[str, np.ndarray]]]:
    """Mutants of one right model of 2 or 3 heads, with the right model's arrays."""
    rng = np.random.default_rng((seed, 11))
    task, n = IndexLookup(int(rng.integers(2, 4))), int(rng.integers(2, 4))
    base = shared(build(task, n), ((0.5, 0.5), (1.5, -0.5), (0.6, 0.2, 0.2))[seed % 3], rng)
    arrays = arrays_of(base, task, n)
    assert arrays is not None
    t, layer = dict(base.tensors), base.arch.layers[0]
    yield base, task, n, arrays
    for name in sorted(t):
        for size in (1e-4, 1e-2, 0.1, 0.4):
            yield Model(base.arch, t | {name: t[name] + rng.normal(size=t[name].shape) * size}), task, n, arrays
        yield Model(base.arch, t | {name: np.zeros_like(t[name])}), task, n, arrays
        yield Model(base.arch, t | {name: -t[name]}), task, n, arrays
        yield Model(base.arch, t | {name: t[name].astype(np.float32)}), task, n, arrays
        for _ in range(3):  # a bit of a weight
            data = bytearray(np.ascontiguousarray(t[name]).tobytes())
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
            tensor = np.frombuffer(bytes(data), dtype=np.float64).reshape(t[name].shape)
            if np.isfinite(tensor).all():
                yield Model(base.arch, t | {name: tensor}), task, n, arrays
    for name in ("query", "key", "value", "output"):
        name = f"layers.0.{name}"
        for index in range(len(t[name])):
            one = t[name].copy()
            one[index] = t[name][index - 1] if rng.integers(2) else 0.0  # a head of another's part, or of nothing
            yield Model(base.arch, t | {name: one}), task, n, arrays
        yield Model(base.arch, t | {name: t[name][::-1].copy()}), task, n, arrays
    for factor in (0.1, 0.2, 0.3, 0.5, 0.8, 1.5, 4.0):
        yield Model(base.arch, t | {"layers.0.query": t["layers.0.query"] * factor}), task, n, arrays
        yield Model(base.arch, t | {"layers.0.output": t["layers.0.output"] * factor}), task, n, arrays
    bias = t["readout.bias"].copy()
    bias[0] += float(rng.choice([0.1, 1.0, 5.0]))
    yield Model(base.arch, t | {"readout.bias": bias}), task, n, arrays
    for changes in ({"scale": 0.3}, {"scale": -1.0}, {"scale": 2.0}, {"residual": True}):
        arch = dataclasses.replace(base.arch, layers=(dataclasses.replace(layer, **changes),))  # pyright: ignore
        yield Model(arch, t), task, n, arrays


def test_no_false_claim_of_correctness_is_accepted_and_true_ones_are() -> None:
    """Every hash recomputed; with the old arrays, and with what the prover would write for the mutant."""
    seen: Counter[str] = Counter()
    for seed in range(6):
        for model, task, n, old in mutants(seed):
            margin, tokens, query = worst(model, task, n)
            new = arrays_of(model, task, n)
            taken = [accepted(model, task, n, arrays) for arrays in ((old,) if new is None else (old, new))]
            if not margin > 1e-6:
                assert arb_right(model, task, n, tokens, query) is False
                assert not any(taken) and new is None
                seen["false"] += 1
            else:
                seen["true"] += 1
                seen["accepted"] += any(taken)
                seen["by old arrays"] += taken[0]
    assert seen["false"] >= 100 and seen["true"] >= 100 and seen["accepted"] >= 0.9 * seen["true"], seen
    assert seen["by old arrays"] >= 50, seen


def test_no_arrays_prove_a_false_claim() -> None:
    """Wrong models under arrays made to mislead: huge tau, huge multipliers, deep trees, leaves of every kind."""
    rng, tried = np.random.default_rng(12), 0
    for seed in range(4):
        for model, task, n, good in list(mutants(seed))[::3]:
            margin, _, _ = worst(model, task, n)
            if margin > -1e-6:
                continue
            for _ in range(12):
                assert not accepted(model, task, n, misleading(good, rng)), seed
                tried += 1
    assert tried >= 300


def misleading(good: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Arrays of the right form for the same number of trees."""
    heads, leaves = good["tau"].shape[1], int((good["node"] < 0).sum()) - int((good["node"] >= 0).sum())
    node: list[int] = []
    for _ in range(leaves):
        open_ = 1
        while open_:
            kind = int(rng.integers(-3, heads)) if len(node) < 40 * leaves and rng.random() < 0.5 else CORNERS
            node.append(kind)
            open_ += 1 if kind >= 0 else -1
    tree = np.array(node)
    splits, ends, several = int((tree >= 0).sum()), int((tree < 0).sum()), int((tree == -3).sum())
    size = 10.0 ** rng.uniform(-3, 300 if rng.random() < 0.3 else 3)
    return {
        "node": tree,
        "split": np.exp(rng.normal(size=splits)),
        "tau": rng.normal(size=(ends, heads)) * size + (size if rng.integers(2) else 0.0),
        "plus": rng.random((several, 2, heads)) * size,
        "minus": rng.random((several, 2, heads)) * size * rng.integers(2),
    }


def test_random_bytes_of_the_arrays_changed_and_rehashed() -> None:
    """Whatever the arrays then say, the model is right on its cell: nothing but a verdict may come of it."""
    model, task, n = split_case()
    good = arrays_of(model, task, n)
    assert good is not None
    assert all(arb_right(model, task, n, row, n) for row in all_inputs(task, n))
    rng, seen = np.random.default_rng(13), Counter[int]()
    for _ in range(600):
        name = str(rng.choice([name for name in good if good[name].size]))
        data = bytearray(good[name].tobytes())
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] ^= 1 << int(rng.integers(8))
        mutant = good | {name: np.frombuffer(bytes(data), dtype=good[name].dtype).reshape(good[name].shape)}
        seen[judge(certificate(model, task, n, mutant), model.arch, model.tensors).exit_code] += 1
    assert set(seen) <= {0, 1, 2} and seen[0] >= 20 and seen[1] >= 50 and seen[2] >= 20, seen


def test_arrays_of_another_claim_do_not_fit() -> None:
    task, rng = IndexLookup(3), np.random.default_rng(14)
    model = shared(build(task, 3), (0.5, 0.5), rng)
    good = arrays_of(model, task, 3)
    assert good is not None and accepted(model, task, 3, good)
    other = IndexLookup(2)
    small = arrays_of(shared(build(other, 3), (0.5, 0.5), rng), other, 3)
    assert small is not None and not accepted(model, task, 3, small)
    assert not accepted(model, other, 3, good) and not accepted(model, task, 2, good)
    assert not accepted(build(task, 3), task, 3, good)
    assert (good["node"] == ALONE).all()
    for drop in (slice(1, None), slice(None, -1), slice(None, None, 2)):
        assert not accepted(model, task, 3, good | {"node": good["node"][drop], "tau": good["tau"][drop]})
