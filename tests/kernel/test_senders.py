"""Kernel kind `senders`: the bound holds and is near the truth, structure is checked, and both mutation suites."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.arch import Attention, PointerSet
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import InputError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL
from separatrix.kernel import judge, judge_file
from separatrix.kernel.case import Case
from separatrix.kernel.senders import SenderModel, worst_error
from separatrix.models import Model, evaluate
from separatrix.models.embed import pointer_query
from separatrix.tasks import make_task
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.tasks.sparse_propagation import SparsePropagation
from separatrix.verify.provers import certify
from separatrix.verify.provers.senders import worst_inputs

NAME = "sparse-propagation-start"
SMALL = ((2, 1, 1), (2, 2, 1), (3, 1, 2), (3, 2, 1), (4, 1, 1), (4, 2, 1), (4, 3, 1))  # N, q, dim
BASES = ((3, 1), (3, 2), (4, 1), (4, 2))


def base(n: int, q: int, dim: int = 1, eps: float = 0.01) -> tuple[SparsePropagation, Model]:
    task = SparsePropagation(q, dim, eps)
    return task, registry.get(NAME).build(task, n)


def signs_model(n: int, q: int) -> tuple[SparsePropagation, Model]:
    """The construction over random signs, which takes more than one-hot keys at this size: its keys, and a 1."""
    task, model = base(n, q)
    rng = np.random.default_rng(n)
    while True:
        keys = np.hstack([rng.choice([-1.0, 1.0], (n, 11)), np.ones((n, 1))])
        wide = dataclasses.replace(model.arch, width=25, first=PointerSet(q, n, 1, 12, "least-norm"), residual=())
        wide = dataclasses.replace(wide, layers=(Attention(1, 12, 1),))
        eye, blank = np.eye(25), np.zeros(25)
        blank[-1] = 60.0
        t = dict(model.tensors) | {"embed.keys": keys, "embed.temperature": np.asarray(80.0), "embed.blank": blank}
        t |= {"layers.0.query": eye[None, :, 1:13], "layers.0.key": eye[None, :, 13:]}
        t |= {"layers.0.value": eye[None, :, :1], "layers.0.output": eye[None, :1], "readout.weight": eye[:, :1]}
        made = Model(wide, t)
        if accepted(made, task, n):
            return task, made


def certificate(model: Model, task, n: int, kind: str = "senders", evidence: dict | None = None) -> Certificate:
    statement = "incorrect" if kind == "pointer-counterexample" else "correct"
    claim = Claim(task.name, task.parameters(), n, statement, "real")
    return Certificate(kind, claim, PROVED, task.source_sha256(), evidence or {}, {}, model.reference())


def accepted(model: Model, task, n: int, kind: str = "senders", evidence: dict | None = None) -> bool:
    return judge(certificate(model, task, n, kind, evidence), model.arch, model.tensors).accepted


def true_error(model: Model, task: SparsePropagation, n: int) -> float:
    """Over all inputs, for z = +-e_1 at its worst: sum_j |c a_j - t_j|, from every set's score at every position."""
    t, first, d = model.tensors, model.arch.first, task.dim
    assert isinstance(first, PointerSet)
    sets = list(itertools.combinations(range(n), task.q))
    asked = np.array([pointer_query(first, t["embed.keys"], t, np.array(y)) for y in sets]) * t["embed.temperature"]
    u = t["embed.keys"] @ t["layers.0.query"][0][d : d + first.key_width]
    scores = asked @ t["layers.0.key"][0][-first.key_width :] @ u.T  # set, position
    start = u @ (t["embed.blank"] @ t["layers.0.key"][0])
    share = float((t["layers.0.value"][0] @ t["layers.0.output"][0] @ t["readout.weight"])[0, 0])
    sent = np.array(list(itertools.product(range(len(sets)), repeat=n)))
    worst = 0.0
    for i in range(n):
        aims = np.array([i in y for y in sets])[sent]
        at = np.concatenate([scores[:, i][sent], np.full((len(sent), 1), start[i])], axis=1)
        weights = np.exp(at - at.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        wanted = aims / np.maximum(aims.sum(axis=1, keepdims=True), 1)
        worst = max(worst, float(np.abs(share * weights[:, :n] - wanted).sum(axis=1).max()))
    return worst if math.isfinite(worst) else math.inf


def bound(model: Model, task: SparsePropagation, n: int) -> float:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    return worst_error(SenderModel.of(Case(task, n, claim, REAL, {}, {}, model.arch, model.tensors)))


@pytest.mark.parametrize(("n", "q", "dim"), SMALL)
def test_the_bound_holds_and_is_near(n: int, q: int, dim: int) -> None:
    task, model = base(n, q, dim)
    truth, high = true_error(model, task, n), bound(model, task, n)
    assert truth <= high + 1e-12 and (high <= 1.01 * truth + 1e-9 or q == n)  # for q = n nobody sends less than all
    assert high <= task.eps
    assert accepted(model, task, n)
    assert accepted(model, dataclasses.replace(task, eps=high), n)
    if q < n:
        assert not accepted(model, dataclasses.replace(task, eps=truth * 0.9999), n)
    verdict = judge(certificate(model, task, n), model.arch, model.tensors, engine="arb")
    assert verdict.accepted and "arb" in verdict.sentence


def test_signs_with_a_coordinate_more_are_accepted_by_both_engines() -> None:
    task, model = signs_model(6, 2)
    assert judge(certificate(model, task, 6), model.arch, model.tensors, engine="arb").accepted
    tokens, reals = task.sample(6, 400, np.random.default_rng(0), "signs")
    assert np.abs(evaluate(model, tokens, reals) - task.answer(tokens, reals)).max() <= bound(model, task, 6)


@pytest.mark.parametrize(("n", "q"), [(64, 1), (128, 2), (48, 3)])
def test_the_witness_is_proved_at_larger_sizes(n: int, q: int) -> None:
    task, model = base(n, q)
    assert certify(model, task, n, method="senders").verdict == "proved"
    tokens, reals = task.sample(n, 20, np.random.default_rng(0), "signs")
    assert np.abs(evaluate(model, tokens, reals) - task.answer(tokens, reals)).max() <= task.eps


def test_what_it_is_not_about() -> None:
    with pytest.raises(InputError, match="2\\^18"):
        registry.get(NAME).size(SparsePropagation(8), 64)
    task, model = base(5, 2)
    for name, index in (
        ("layers.0.query", (0, 0, 0)),  # z in the scores
        ("layers.0.query", (0, -1, 0)),  # the asker's own set in the scores
        ("layers.0.key", (0, 0, 0)),
        ("layers.0.key", (0, 1, 0)),
        ("layers.0.value", (0, 4, 0)),  # keys in the output
        ("layers.0.value", (0, -1, 0)),
        ("readout.bias", (0,)),
    ):
        tensor = np.array(model.tensors[name])
        tensor[index] += 0.5
        assert not accepted(Model(model.arch, {**model.tensors, name: tensor}), task, 5)
    blank = np.array(model.tensors["embed.blank"])
    blank[0] = 0.5  # the start token carries something
    loud = Model(model.arch, {**model.tensors, "embed.blank": blank})
    assert not accepted(loud, task, 5) and certify(loud, task, 5, method="senders").verdict == "refuted"
    without = dataclasses.replace(model.arch, blank=False)
    silent = Model(without, {k: v for k, v in model.tensors.items() if k != "embed.blank"})
    assert not accepted(silent, task, 5) and certify(silent, task, 5, method="senders").verdict == "refuted"
    for layer in (Attention(1, 5, 1, mask="causal"), Attention(1, 5, 1, residual=True)):
        assert not accepted(Model(dataclasses.replace(model.arch, layers=(layer,)), dict(model.tensors)), task, 5)
    other = make_task("sparse-averaging", {"q": 2})
    assert not accepted(model, other, 5) and not accepted(model, other, 5, "pointer-sets", {"method": "exhaustive"})
    averages = registry.get("sparse-averaging-onehot").build(SparseAveraging(2), 5)
    assert not accepted(averages, task, 5) and not accepted(averages, SparseAveraging(2), 5)
    assert not accepted(model, task, 6) and not accepted(model, SparsePropagation(1), 5)


def mutant(model: Model, rng: np.random.Generator) -> Model:
    """Changed keys, temperature, start token or share, by little or much, within the structure."""
    t = {name: np.array(tensor) for name, tensor in model.tensors.items()}
    size = 10.0 ** rng.uniform(-5, 1)
    match rng.integers(0, 5):
        case 0:
            at = tuple(rng.integers(0, t["embed.keys"].shape))
            t["embed.keys"][at] += size * rng.choice([-1, 1])
        case 1:
            t["embed.temperature"] = np.asarray(t["embed.temperature"] * rng.choice([1 + size, 1 / (1 + size), -1]))
        case 2:
            t["layers.0.output"] = t["layers.0.output"] * (1 + size / 20)
        case 3:
            half = len(t["embed.blank"]) // 2 + 1
            t["embed.blank"][rng.integers(half, len(t["embed.blank"]))] *= rng.choice([1 + size, 1 - size])
        case _:
            t["embed.keys"] = t["embed.keys"] * (1 + 0.02 * size * rng.standard_normal(t["embed.keys"].shape))
    return Model(model.arch, t)


def test_attacked_models_are_never_accepted_and_sound_ones_mostly() -> None:
    """Truth by enumerating all inputs; hashes are recomputed. Most of the wrong ones are refuted by a real input."""
    rng = np.random.default_rng(0)
    false = true = kept = refuted = 0
    for (n, q), _ in itertools.product(BASES, range(100)):
        task, model = base(n, q)
        attack = mutant(model, rng)
        error = true_error(attack, task, n)
        ok = accepted(attack, task, n)
        if error > task.eps * (1 + 1e-9):
            false += 1
            assert not ok, (n, q, error)
            refuted += certify(attack, task, n, method="senders").verdict == "refuted"
        else:
            true, kept = true + 1, kept + ok
    assert false >= 100 and true >= 100, (false, true)
    assert kept >= 0.9 * true and refuted >= 0.9 * false, (kept, true, refuted, false)


def test_counterexamples_of_right_models_are_never_accepted() -> None:
    rng = np.random.default_rng(2)
    for (n, q), _ in itertools.product(BASES, range(6)):
        task, model = base(n, q)
        tokens, signs = task.sample(n, 1, rng)[0], rng.integers(-1, 2, n)
        evidence = {"tokens": tokens[0].tolist(), "signs": signs.tolist(), "query": int(rng.integers(0, n))}
        assert not accepted(model, task, n, "pointer-counterexample", evidence)
        for tokens, signs, query in worst_inputs(model, dataclasses.replace(task, eps=1e-9), n):
            evidence = {"tokens": tokens.tolist(), "signs": signs.tolist(), "query": query}
            assert not accepted(model, task, n, "pointer-counterexample", evidence)


def test_any_changed_byte_is_rejected(tmp_path: Path) -> None:
    task, model = base(4, 1)
    model.save(tmp_path)
    path = certificate(model, task, 4).write(tmp_path, "claim")
    assert judge_file(path).accepted
    rng = np.random.default_rng(4)
    for file in sorted(tmp_path.iterdir()):
        data = file.read_bytes()
        for at in range(0, len(data), 1 if len(data) < 1500 else 3):
            file.write_bytes(data[:at] + bytes([data[at] ^ int(rng.integers(1, 256))]) + data[at + 1 :])
            assert not judge_file(path).accepted, (file.name, at)
        file.write_bytes(data)
    assert judge_file(path).accepted


def test_changed_claims_are_rejected(tmp_path: Path) -> None:
    task, model = base(4, 2)
    good = certificate(model, task, 4)
    model.save(tmp_path)
    assert judge_file(good.write(tmp_path, "good")).accepted
    parameters = good.claim.parameters
    for change in (
        {"parameters": {**parameters, "eps": (1e-5).hex()}},
        {"parameters": {**parameters, "q": 3}},
        {"parameters": {**parameters, "dim": 2}},
        {"n": 5},
        {"semantics": "fp32"},
        {"statement": "incorrect"},
        {"task": "sparse-averaging"},
    ):
        bad = dataclasses.replace(good, claim=dataclasses.replace(good.claim, **change))
        assert not judge_file(bad.write(tmp_path, "bad")).accepted, change
    for change in ({"evidence": {"method": "exhaustive"}}, {"kind": "pointer-sets"}):
        bad = dataclasses.replace(good, **change)
        assert not judge_file(bad.write(tmp_path, "bad")).accepted, change
