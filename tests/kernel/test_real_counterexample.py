"""Mutation suites of the kind `real-counterexample`, by both engines: bytes, models, inputs and eps changed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernel.test_real_outputs import built, random_model
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.kernel import judge, judge_file
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.verify.provers import certify

ENGINES: tuple[Any, ...] = ("fast", "arb")
FILES = ("wrong.cert.json", "model.safetensors", "config.json")


def certificate(model: Model, task: PrefixSums, n: int, **evidence: object) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "incorrect")
    parts = ("real-counterexample", claim, PROVED, task.source_sha256(), evidence, {}, model.reference())
    return Certificate(*parts)


def error(model: Model, task: PrefixSums, n: int, corner: np.ndarray, query: int) -> float:
    """The error at a corner, in float64."""
    z, tokens = np.where(corner == 1, task.high, task.low)[None], np.zeros((1, n), dtype=np.int64)
    return float(np.linalg.norm(evaluate(model, tokens, z)[0, query] - task.answer(tokens, z)[0, query]))


# ------------------------------------------------------------------------------------------------ accidents


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    task, n = PrefixSums(), 3
    model = built(task, n, 3.0)
    outcome = certify(model, task, n)
    assert outcome.certificate is not None and outcome.certificate.kind == "real-counterexample"
    model.save(tmp_path)
    path = outcome.certificate.write(tmp_path, "wrong")
    assert judge_file(path).accepted
    data, rng = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    places = range(len(data)) if len(data) < 600 else sorted(rng.choice(len(data), 600, replace=False).tolist())
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


def test_no_false_refutation_is_accepted_and_true_ones_are() -> None:
    """Random models at random corners, with eps just above and below the error, and far from it; both engines."""
    seen: Counter[str] = Counter()
    rng = np.random.default_rng(5)
    for _ in range(80):
        task, n = PrefixSums(dim=int(rng.integers(1, 3)), high=float(rng.uniform(0.1, 2))), int(rng.integers(1, 5))
        model = random_model(rng, task, n, bool(rng.integers(2)))
        corner, query = rng.integers(0, 2, (n, task.dim)), int(rng.integers(n))
        size = error(model, task, n, corner, query)
        for factor in (0.3, 1 - 1e-9, 1 + 1e-9, 3.0):
            other = dataclasses.replace(task, eps=size * factor)
            given = certificate(model, other, n, corner=corner.tolist(), query=query)
            for engine in ENGINES:
                verdict = judge(given, model.arch, model.tensors, engine=engine)
                assert verdict.accepted == (factor < 1), (verdict.sentence, factor)
                assert verdict.accepted or verdict.exit_code == 1
                seen["true" if factor < 1 else "false"] += 1
    assert min(seen.values()) >= 300, seen


def test_changed_weights_are_judged_as_they_are() -> None:
    """The certificate of one model, for others: accepted where they err by more than eps on its input, only there."""
    task, n, seen = PrefixSums(eps=0.02), 3, Counter[str]()
    base, rng = built(task, n, 4.0), np.random.default_rng(6)
    outcome = certify(base, task, n)
    assert outcome.certificate is not None
    evidence = outcome.certificate.evidence
    for name in sorted(base.tensors):
        for size in (1e-6, 1e-4, 1e-2, 0.1, 1.0):
            for _ in range(5):
                moved = base.tensors[name] + size * rng.normal(size=base.tensors[name].shape)
                model = Model(base.arch, dict(base.tensors) | {name: moved})
                off = error(model, task, n, np.array(evidence["corner"]), evidence["query"])
                given = certificate(model, task, n, **evidence)
                for engine in ENGINES:
                    verdict = judge(given, model.arch, model.tensors, engine=engine)
                    assert verdict.accepted == (off > task.eps), (name, size, verdict.sentence)
                seen["true" if off > task.eps else "false"] += 1
    for sharp in np.linspace(20.0, 40.0, 100):  # right models
        model = built(task, n, float(sharp))
        given = certificate(model, task, n, corner=rng.integers(0, 2, (n, 1)).tolist(), query=int(rng.integers(n)))
        assert not any(judge(given, model.arch, model.tensors, engine=engine).accepted for engine in ENGINES)
        seen["false"] += 1
    assert seen["true"] >= 100 and seen["false"] >= 100, seen


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "change",
    [
        *({"corner": value} for value in ([], [[0]] * 2, [[2], [0], [0]], [[0, 0]] * 3, [[True], [0], [0]], "000")),
        *({"corner": value} for value in ([[-1], [0], [0]], [[0.0], [0], [0]], [0, 0, 0], None)),
        *({"query": value} for value in (3, -1, True, "0", None, 0.0)),
        {"more": 1},
    ],
    ids=str,
)
def test_the_evidence_must_be_a_corner_and_a_position(change: dict[str, object], engine: Any) -> None:
    task, n = PrefixSums(), 3
    model = built(task, n, 3.0)
    outcome = certify(model, task, n)
    assert outcome.certificate is not None
    assert judge(outcome.certificate, model.arch, model.tensors, engine=engine).accepted
    bad = dataclasses.replace(outcome.certificate, evidence=dict(outcome.certificate.evidence) | change)
    assert judge(bad, model.arch, model.tensors, engine=engine).exit_code in (1, 2)
    bad = dataclasses.replace(outcome.certificate, arrays={"z": np.zeros(3)})
    assert not judge(bad, model.arch, model.tensors, engine=engine).accepted
