"""Worst errors of models with real answers: exact against every corner, bounds above, and claims that are false."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from core.reference import random_tensors
from separatrix.core.arch import Arch, Attention, Linear, Readout
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import SeparatrixError
from separatrix.core.guarantee import PROVED
from separatrix.kernel import judge, judge_file
from separatrix.kernel.real_outputs import worst_error
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.verify.provers import certify


def built(task: PrefixSums, n: int, sharp: float = 60.0) -> Model:
    """One-hot positions: equal scores up to the query, `sharp` less after it, the blank makes up for the rest."""
    dim, width = task.dim, task.dim + 2 * (n + 1)
    real, place, blank = np.zeros((dim, width)), np.zeros((n, width)), np.zeros(width)
    real[:, :dim] = np.eye(dim)
    score = np.where(np.arange(n) > np.arange(n)[:, None], -sharp, 0.0)
    rest = np.log(np.maximum(n - 1.0 - np.arange(n), np.exp(-sharp)))
    place[:, dim : dim + n + 1] = np.concatenate([score, rest[:, None]], axis=1)  # what the query asks of each key
    place[:, dim + n + 1 : dim + 2 * n + 1], blank[-1] = np.eye(n), 1.0
    eye = np.eye(width)
    arch = Arch(
        width, Linear(dim, n), (Attention(1, n + 1, dim, scale=1.0),), Readout(dim, "reals"), blank=True
    )  # fmt: skip
    tensors = {
        "embed.linear": real,
        "embed.position": place,
        "embed.blank": blank,
        "layers.0.query": eye[None, :, dim : dim + n + 1],
        "layers.0.key": eye[None, :, dim + n + 1 :],
        "layers.0.value": eye[None, :, :dim],
        "layers.0.output": eye[None, :dim],
        "readout.weight": eye[:, :dim] * n,
        "readout.bias": np.zeros(dim),
    }
    return Model(arch, tensors)


def corners(model: Model, task: PrefixSums, n: int) -> float:
    """The greatest error over all corners of the box and all queries, in float64."""
    bits = np.array(list(itertools.product((0, 1), repeat=n * task.dim))).reshape(-1, n, task.dim)
    z, tokens = np.where(bits == 1, task.high, task.low), np.zeros((len(bits), n), dtype=np.int64)
    return float(np.linalg.norm(evaluate(model, tokens, z) - task.answer(tokens, z), axis=2).max())


def random_model(rng: np.random.Generator, task: PrefixSums, n: int, independent: bool) -> Model:
    """Normal weights; where the scores are to be independent of z, W_Q and W_K do not read what z writes."""
    dim, width, heads = task.dim, 5, int(rng.integers(1, 4))
    attention = Attention(
        heads, 2, 2, mask="causal" if rng.integers(2) else "none", scale=0.7, residual=bool(rng.integers(2))
    )
    arch = Arch(width, Linear(dim, n), (attention,), Readout(dim, "reals"), blank=bool(rng.integers(2)))
    t = random_tensors(arch, rng, 0.6)
    if independent:
        t["embed.linear"][:, dim:] = 0.0
        t["layers.0.query"][:, :dim] = 0.0
        t["layers.0.key"][:, :dim] = 0.0
    return Model(arch, t)


@pytest.mark.parametrize("n", [1, 4, 16, 128])
def test_a_built_model_is_exact_and_proved(n: int) -> None:
    task = PrefixSums()
    outcome = certify(built(task, n), task, n)
    assert outcome.verdict == "proved" and outcome.worst_error is not None, outcome.sentence
    assert outcome.worst_error.exact and outcome.worst_error.at_most < 1e-9 * n and "exact" in outcome.sentence


def test_exact_errors_are_those_of_the_worst_corner() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        task = PrefixSums(low=float(rng.uniform(-2, 0)), high=float(rng.uniform(0.1, 2)))
        n = int(rng.integers(1, 7))
        model = random_model(rng, task, n, independent=True)
        found, truth = worst_error(task, n, model.arch, model.tensors), corners(model, task, n)
        assert found.exact and found.at_most == pytest.approx(truth, rel=1e-9)
        assert found.at_least <= truth * (1 + 1e-12) and found.at_most >= truth * (1 - 1e-12)


@pytest.mark.parametrize("independent", [True, False])
def test_upper_bounds_are_above_every_input(independent: bool) -> None:
    rng, exact = np.random.default_rng(2), 0
    for _ in range(80):
        task = PrefixSums(dim=int(rng.integers(1, 3)), high=float(rng.uniform(0.1, 2)))
        n = int(rng.integers(1, 5))
        model = random_model(rng, task, n, independent)
        found = worst_error(task, n, model.arch, model.tensors)
        tokens, z = task.sample(n, 200, rng)
        seen = np.linalg.norm(evaluate(model, tokens, z) - task.answer(tokens, z), axis=2).max()
        truth = max(corners(model, task, n), float(seen))
        assert found.at_most >= truth * (1 - 1e-12)
        assert found.exact == (independent and task.dim == 1) and (found.exact or "upper bound" in str(found))
        exact += found.exact
    assert (exact >= 20) == independent


def test_dimensions_that_are_not_mixed_are_exact() -> None:
    task, n = PrefixSums(dim=2), 3
    model = built(task, n, sharp=3.0)
    found = worst_error(task, n, model.arch, model.tensors)
    assert found.exact and found.at_most == pytest.approx(corners(model, task, n), rel=1e-9) and found.at_most > 0.01


def test_models_that_are_off_are_refuted_at_a_corner() -> None:
    task, n = PrefixSums(), 6
    for sharp in (1.0, 3.0, 5.0):
        model = built(task, n, sharp)
        outcome = certify(model, task, n)
        assert outcome.verdict == "refuted" and outcome.certificate is not None and outcome.worst_error is not None
        assert outcome.worst_error.exact and outcome.worst_error.at_least > task.eps
        assert judge(outcome.certificate, model.arch, model.tensors).accepted
    bad = dataclasses.replace(outcome.certificate, evidence={"corner": [[2]] * n, "query": 0})
    assert judge(bad, model.arch, model.tensors).exit_code == 2


def certificate(model: Model, task: PrefixSums, n: int) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "correct")
    return Certificate("real-outputs", claim, PROVED, task.source_sha256(), {}, {}, model.reference())


def test_no_false_claim_is_accepted_and_true_ones_are() -> None:
    """Attacks: weights moved, all hashes anew; the claim is false where a corner is off by more than eps."""
    rng, seen = np.random.default_rng(3), Counter[str]()
    task, n = PrefixSums(eps=0.02), 4
    base = built(task, n, 30.0)
    for name in sorted(base.tensors):
        for size in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0):
            for _ in range(4):
                dense = rng.random() < 0.5
                moved = base.tensors[name] + size * rng.normal(size=base.tensors[name].shape) * (
                    1.0 if dense else base.tensors[name] != 0
                )
                model = Model(base.arch, dict(base.tensors) | {name: moved})
                wrong, taken = corners(model, task, n) > task.eps, judge(
                    certificate(model, task, n), model.arch, model.tensors
                ).accepted  # fmt: skip
                assert not (wrong and taken), (name, size)
                seen["false" if wrong else "true"] += 1
                seen["accepted"] += taken
    assert seen["false"] >= 100 and seen["true"] >= 100 and seen["accepted"] >= 0.9 * seen["true"], seen


def test_accidents_are_noticed(tmp_path: Path) -> None:
    task, n = PrefixSums(), 3
    model = built(task, n)
    model.save(tmp_path)
    path = certificate(model, task, n).write(tmp_path, "right")
    assert judge_file(path).accepted
    rng = np.random.default_rng(0)
    for name in ("right.cert.json", "model.safetensors", "config.json"):
        data = (tmp_path / name).read_bytes()
        for at in sorted(rng.choice(len(data), 150, replace=False).tolist()):
            flipped = bytearray(data)
            flipped[at] ^= 1 << int(rng.integers(8))
            (tmp_path / name).write_bytes(bytes(flipped))
            assert not judge_file(path).accepted, (name, at)
        (tmp_path / name).write_bytes(data)


def test_what_it_is_not_about_is_refused() -> None:
    task, n = PrefixSums(), 3
    model = built(task, n)
    for arch, other in (
        (dataclasses.replace(model.arch, readout=Readout(1)), task),
        (dataclasses.replace(model.arch, first=Linear(2, n)), task),
        (dataclasses.replace(model.arch, first=Linear(1, n + 1)), task),
        (model.arch, IndexLookup(2)),
    ):
        with pytest.raises(SeparatrixError):
            worst_error(other, n, arch, model.tensors)
    with pytest.raises(SeparatrixError):
        worst_error(task, n + 1, model.arch, model.tensors)
    huge = Model(model.arch, dict(model.tensors) | {"readout.weight": model.tensors["readout.weight"] * 1e300})
    assert not judge(certificate(huge, task, n), huge.arch, huge.tensors).accepted
