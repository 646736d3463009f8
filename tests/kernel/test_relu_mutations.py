"""Mutation suites of the relu kind: any byte changed, hashes untouched; models and arrays changed, all rehashed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.reference import arb_right, random_tensors, worst
from kernel.heads_cases import OneCell
from kernel.relu_cases import one_cell
from kernel.test_heads_mutations import shared
from separatrix.can.witnesses.index_lookup_quadratic import build
from separatrix.core.arch import Attention, FeedForward, LayerNorm
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL
from separatrix.core.task import Task
from separatrix.kernel import judge, judge_file
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers.relu import prove

NAMES = ("right.cert.json", "right.cert.safetensors", "model.safetensors", "config.json")
Arrays = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def own_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test task for the duration of a test."""
    monkeypatch.setitem(registry._entries, "test-one-cell", OneCell)


def arrays_of(model: Model, task: Task, n: int) -> Arrays | None:
    """The prover's arrays; None when it proves nothing."""
    outcome = prove(model, task, n, REAL)
    return outcome.certificate.arrays if outcome.verdict == "proved" and outcome.certificate else None


def certificate(model: Model, task: Task, n: int, arrays: Arrays) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    return Certificate("relu", claim, PROVED, task.source_sha256(), {}, arrays, model.reference())


def accepted(model: Model, task: Task, n: int, arrays: Arrays) -> bool:
    return judge(certificate(model, task, n, arrays), model.arch, model.tensors).accepted


def cut_case(seed: int = 295, heads: int = 2, norm: str = "none") -> tuple[Model, Task, int, Arrays]:
    """A model, right on one cell, whose certificate has cuts, and multipliers of boxes where there are two heads."""
    made = one_cell(seed, heads, norm)
    arrays = arrays_of(made.model, made.task, made.n)
    assert arrays is not None and len(arrays["split"]) >= 3 and len(arrays["symbols"])
    return made.model, made.task, made.n, arrays


# ------------------------------------------------------------------------------------------------ accidents


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    model, task, n, arrays = cut_case()
    model.save(tmp_path)
    path = certificate(model, task, n, arrays).write(tmp_path, "right")
    assert judge_file(path).accepted
    data, rng = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    places = range(len(data)) if len(data) < 800 else sorted(rng.choice(len(data), 800, replace=False).tolist())
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


# ------------------------------------------------------------------------------------------------ attacks


def base_model(seed: int, rng: np.random.Generator) -> tuple[Model, Task, int]:
    """A built head, shared out among some, and a small random ReLU layer after it, with and without norms."""
    task, n = IndexLookup(int(rng.integers(2, 4))), int(rng.integers(2, 4))
    head = shared(build(task, n), ((1.0,), (0.5, 0.5), (1.5, -0.5), (1.0,))[seed % 4], rng)
    norm = ("none", "none", "pre", "pre")[seed % 4]
    layers = (*head.arch.layers, FeedForward(4, norm=norm, residual=True))  # pyright: ignore[reportArgumentType]
    if seed % 4 == 3:
        layers = (*layers, LayerNorm(1e-2))
    arch = dataclasses.replace(head.arch, layers=layers)
    t = random_tensors(arch, rng, 0.15) | dict(head.tensors)
    t |= {name: np.ones(tensor.shape) for name, tensor in t.items() if name.endswith("scale")}
    t |= {name: np.full((), 1e-2) for name in t if name.endswith("eps")}
    return Model(arch, t), task, n


def mutants(seed: int) -> Iterator[tuple[Model, Task, int, Arrays]]:
    """Mutants of one right model of one or two heads, with the right model's arrays."""
    rng = np.random.default_rng((seed, 13))
    base, task, n = base_model(seed, rng)
    arrays = arrays_of(base, task, n)
    assert arrays is not None
    t, layers = dict(base.tensors), base.arch.layers
    yield base, task, n, arrays
    for name in sorted(t):
        for size in (1e-4, 0.05, 0.5):
            changed = t[name] + rng.normal(size=t[name].shape) * size
            yield Model(base.arch, t | {name: np.abs(changed) if name.endswith("eps") else changed}), task, n, arrays
        if name.endswith("eps"):
            continue
        yield Model(base.arch, t | {name: -t[name]}), task, n, arrays
        yield Model(base.arch, t | {name: t[name].astype(np.float32)}), task, n, arrays
        data = bytearray(np.ascontiguousarray(t[name]).tobytes())  # a bit of a weight
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        tensor = np.frombuffer(bytes(data), dtype=np.float64).reshape(t[name].shape)
        if np.isfinite(tensor).all() and np.abs(tensor).max() < 1e6:  # beyond, float64 is no judge
            yield Model(base.arch, t | {name: tensor}), task, n, arrays
    for factor in (0.1, 0.3, 0.6, 1.5, 4.0):
        yield Model(base.arch, t | {"layers.0.query": t["layers.0.query"] * factor}), task, n, arrays
        yield Model(base.arch, t | {"layers.1.out": t["layers.1.out"] * factor * 3}), task, n, arrays
    bias = t["readout.bias"].copy()
    bias[0] += float(rng.choice([0.1, 1.0, 5.0]))
    yield Model(base.arch, t | {"readout.bias": bias}), task, n, arrays
    one, two = layers[0], layers[1]
    assert isinstance(one, Attention) and isinstance(two, FeedForward)
    for changed in (
        (dataclasses.replace(one, scale=0.3), two),
        (dataclasses.replace(one, scale=-1.0), two),
        (dataclasses.replace(one, residual=True), two),
        (one, dataclasses.replace(two, residual=False)),
    ):
        yield Model(dataclasses.replace(base.arch, layers=(*changed, *layers[2:])), t), task, n, arrays


def test_no_false_claim_of_correctness_is_accepted_and_true_ones_are() -> None:
    """Every hash recomputed; with the old arrays, and with what the prover would write for the mutant."""
    seen: Counter[str] = Counter()
    for seed in range(4):
        for model, task, n, old in mutants(seed):
            margin, tokens, query = worst(model, task, n)
            if abs(margin) < 1e-6:
                continue
            new = arrays_of(model, task, n)
            taken = [accepted(model, task, n, arrays) for arrays in ((old,) if new is None else (old, new))]
            if margin < 0:
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
    """Wrong models under arrays made to mislead: wild multipliers and guesses of ranges, cuts anywhere."""
    rng, tried = np.random.default_rng(12), 0
    for seed in range(4):
        for model, task, n, good in list(mutants(seed))[::3]:
            if worst(model, task, n)[0] > -1e-6:
                continue
            for _ in range(8):
                assert not accepted(model, task, n, misleading(good, rng, model, task, n)), seed
                tried += 1
    assert tried >= 200


def misleading(good: Arrays, rng: np.random.Generator, model: Model, task: Task, n: int) -> Arrays:
    """Arrays of the right form for the same number of trees."""
    trees = int((good["node"] < 0).sum()) - int((good["node"] >= 0).sum())
    layer, ff = model.arch.layers[:2]
    assert isinstance(layer, Attention) and isinstance(ff, FeedForward)
    variables = ff.hidden + layer.heads + (ff.norm == "pre")
    slots = task.domain(n).positions
    node: list[int] = []
    for _ in range(trees):
        open_ = 1
        while open_:
            kind = int(rng.integers(-3, variables + slots)) if len(node) < 20 * trees and rng.random() < 0.4 else -1
            node.append(kind)
            open_ += 1 if kind >= 0 else -1
    tree = np.array(node)
    leaves, several = int((tree < 0).sum()), int((tree == -3).sum())
    size = 10.0 ** rng.uniform(-3, 60 if rng.random() < 0.3 else 2)

    def wild(name: str, rows: int) -> np.ndarray:
        return rng.normal(size=(rows, *good[name].shape[1:])) * size

    return {
        "node": tree,
        "split": rng.normal(size=int(((tree >= 0) & (tree < variables)).sum())) * rng.choice([0.0, 1.0, 3.0]),
        "symbols": rng.integers(0, 256, (int((tree >= variables).sum()), good["symbols"].shape[1]), dtype=np.uint8),
        "range": wild("range", len(good["range"])),
        "slope": wild("slope", leaves),
        "tau": wild("tau", leaves),
        "plus": np.abs(wild("plus", several)),
        "minus": np.abs(wild("minus", several)),
    }


@pytest.mark.parametrize("given", [(295, 2, "none"), (55, 1, "middle")])
def test_a_tree_must_be_whole_and_each_leaf_prove_its_own_box(given: tuple[int, int, str]) -> None:
    """Cuts and leaves dropped, doubled, exchanged or of the wrong sign: rejected, though the claim is true."""
    model, task, n, good = cut_case(*given)
    node, split = good["node"], good["split"]
    assert accepted(model, task, n, good)
    leaf = np.flatnonzero(node < 0)
    for at in range(len(node)):
        assert not accepted(model, task, n, good | {"node": np.delete(node, at)})  # one too few
        assert not accepted(model, task, n, good | {"node": np.insert(node, at, -1)})  # one too many
    first = int(np.flatnonzero(node >= 0)[0])
    rest = {name: np.delete(good[name], 0, axis=0) for name in ("slope", "tau")}
    gone = good | rest | {"node": np.delete(node, leaf[0])}  # a leaf is missing, and all arrays fit each other
    assert not accepted(model, task, n, gone)
    cut = "split" if node[first] < node.max() else "symbols"  # slots are the last of what is cut
    closed = good | rest | {"node": np.delete(node, [first, leaf[0]]), cut: good[cut][1:]}  # half a cell is left out
    assert not accepted(model, task, n, closed)
    slot = int(np.flatnonzero(node == node.max())[0])
    for changed in (node[slot] + 1, node[slot] - 1, task.domain(n).positions + node[slot], 0):
        assert not accepted(model, task, n, good | {"node": np.where(np.arange(len(node)) == slot, changed, node)})
    for symbols in (good["symbols"] * 0, good["symbols"] | 255, good["symbols"][:, :0]):
        assert not accepted(model, task, n, good | {"symbols": symbols})
    assert not accepted(model, task, n, good | {"symbols": good["symbols"].astype(np.int64)})
    wrong = 0
    for cut in range(len(split)):
        for value in (-1e300, 1e300):
            moved = split.copy()
            moved[cut] = value
            wrong += not accepted(model, task, n, good | {"split": moved})
    assert wrong >= len(split)
    for name in ("slope", "tau"):
        if good[name].shape[1]:
            assert not accepted(model, task, n, good | {name: good[name][::-1].copy()})  # of the siblings' boxes
            assert not accepted(model, task, n, good | {name: -good[name]})
    if len(good["plus"]):
        assert not accepted(model, task, n, good | {"plus": -good["plus"] - 1.0})
        assert not accepted(model, task, n, good | {"plus": good["plus"] + 1e3})
    assert not accepted(model, task, n, good | {"range": good["range"] + 1e5})  # sound, and useless


def test_a_leaf_that_proves_one_side_does_not_prove_the_other() -> None:
    """Every leaf of a tree alone, in place of the tree: what a cut gives is used only where it was made."""
    model, task, n, good = cut_case()
    for at in range(len(good["slope"])):
        alone = {name: good[name][[at]] for name in ("slope", "tau")}
        alone |= {"node": np.array([-2, -2]), "split": np.zeros(0), "symbols": good["symbols"][:0]}
        alone |= {name: good[name][:0] for name in ("plus", "minus")}
        two = {name: np.concatenate([alone[name]] * 2) for name in ("slope", "tau")}
        assert not accepted(model, task, n, good | alone | two)
