"""Mutants of right models and of counterexamples: no false claim is accepted, true ones are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.heads import instance
from core.reference import accepts, all_inputs, arb_logits, arb_right, head, label_of, random_tensors, worst
from kernel.file_cases import (
    TASK,
    N,
    correct,
    incorrect,
    right,
    write,
)
from separatrix.can.witnesses.index_lookup_quadratic import build
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task
from separatrix.kernel import judge_file
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2


def mutants(seed: int, kind: str) -> Iterator[tuple[str, Model, Task, int, Certificate]]:
    """Mutants of one right model, all of them well-formed: claims that may be true or false."""
    rng = np.random.default_rng((seed, 9))
    symbols, n = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    task = IndexLookup(symbols)
    model = build(task, n)
    good, t = correct(task, n, kind), dict(model.tensors)

    yield "same", model, task, n, good
    names = sorted(t)
    for _ in range(8):  # a bit of a weight
        name = str(rng.choice([name for name in names if t[name].any()]))
        data = bytearray(np.ascontiguousarray(t[name]).tobytes())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        tensor = np.frombuffer(bytes(data), dtype=np.float64).reshape(t[name].shape)
        if np.isfinite(tensor).all():
            yield "bit", Model(model.arch, t | {name: tensor}), task, n, good
    for factor in (0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 0.9, 1.5, 4.0, 1000.0):  # the temperature
        warm = t | {"layers.0.query": t["layers.0.query"] * factor}
        yield f"temperature {factor}", Model(model.arch, warm), task, n, good
    codes = t["embed.token"].copy()
    codes[1] = codes[0]
    yield "two equal codes", Model(model.arch, t | {"embed.token": codes}), task, n, good
    for name in names:
        if t[name].ndim > 1 and t[name].shape[-1] == t[name].shape[-2]:
            yield "transposed", Model(model.arch, t | {name: np.swapaxes(t[name], -1, -2).copy()}), task, n, good
        yield "single precision", Model(model.arch, t | {name: t[name].astype(np.float32)}), task, n, good
        yield "noise", Model(model.arch, t | {name: t[name] + rng.normal(size=t[name].shape) * 1e-3}), task, n, good
        yield "zeros", Model(model.arch, t | {name: np.zeros_like(t[name])}), task, n, good
        yield "negated", Model(model.arch, t | {name: -t[name]}), task, n, good
    exchanged = {"layers.0.query": t["layers.0.key"], "layers.0.key": t["layers.0.query"]}
    yield "query for key", Model(model.arch, t | exchanged), task, n, good
    labels = np.roll(np.arange(symbols), 1)
    yield "labels", Model(model.arch, t | {"readout.weight": t["readout.weight"][:, labels]}), task, n, good
    token, place = t["embed.token"].copy(), t["embed.position"].copy()
    token[symbols:], place[:n] = np.roll(token[symbols:], 1, axis=0), place[:n]
    yield "query shifted", Model(model.arch, t | {"embed.token": token}), task, n, good
    yield "positions reversed", Model(model.arch, t | {"embed.position": place[::-1].copy()}), task, n, good
    bias = t["readout.bias"].copy()
    bias[0] += float(rng.choice([0.1, 1.0, 5.0]))
    yield "bias", Model(model.arch, t | {"readout.bias": bias}), task, n, good
    layer = dataclasses.replace(model.arch.layers[0], scale=float(rng.choice([-1.0, 0.0, 0.3, 3.0])))
    yield "scale", Model(dataclasses.replace(model.arch, layers=(layer,)), t), task, n, good
    layer = dataclasses.replace(model.arch.layers[0], residual=True)
    yield "residual", Model(dataclasses.replace(model.arch, layers=(layer,)), t), task, n, good


@pytest.mark.parametrize("kind", ["separable", "exhaustive"])
def test_no_false_claim_of_correctness_is_accepted_and_true_ones_are(tmp_path: Path, kind: str) -> None:
    false = true = accepted = 0
    for seed in range(4):
        for what, model, task, n, certificate in mutants(seed, kind):
            margin, tokens, query = worst(model, task, n)
            verdict = judge_file(write(tmp_path, model, certificate))
            verified = arb_right(model, task, n, tokens, query)
            if verified is False or not margin > -1e-6:
                assert verified is False, what
                assert not verdict.accepted and verdict.exit_code == 1, (what, verdict)
                false += 1
            elif margin > 1e-9:
                true += 1
                accepted += verdict.accepted
    assert false >= 100 and true >= 100 and accepted >= 0.9 * true, (false, true, accepted)


def test_no_false_counterexample_is_accepted_and_true_ones_are(tmp_path: Path) -> None:
    """Legal inputs on random models: accepted exactly where arb says that the model errs."""
    false = true = accepted = 0
    rng = np.random.default_rng(4)
    for seed in range(120):
        made = instance(seed)
        if made.task.name == "test-mixed":
            continue
        inputs = all_inputs(made.task, made.n)
        _, worst_row, worst_query = worst(made.model, made.task, made.n)
        rows = [(worst_row, worst_query)]
        rows += [(inputs[rng.integers(len(inputs))], int(rng.choice(made.task.queries(made.n)))) for _ in range(3)]
        for row, query in rows:
            errs = arb_right(made.model, made.task, made.n, row, query) is False
            certificate = incorrect(made.task, made.n, row.tolist(), query)
            verdict = judge_file(write(tmp_path, made.model, certificate))
            assert not (verdict.accepted and not errs)
            false, true, accepted = false + (not errs), true + errs, accepted + verdict.accepted
    assert false >= 100 and true >= 30 and accepted >= 0.9 * true, (false, true, accepted)


def test_counterexamples_to_wrong_models_of_every_kind(tmp_path: Path) -> None:
    """More true ones: several layers, causal masks, feed-forward layers, where only ball evaluation is left."""
    rng, true, accepted = np.random.default_rng(5), 0, 0
    task = Match2(3)
    for seed in range(70):
        layers = (
            Attention(1, 2, 2, mask="causal" if seed % 2 else "none", residual=True),
            FeedForward(3, residual=True),
            Attention(2, 1, 2),
        )
        arch = Arch(3, Table(3, 3 * (seed % 3 > 0)), layers[: 1 + seed % 3], Readout(2), blank=bool(seed % 5 == 0))
        model = Model(arch, random_tensors(arch, rng))
        for row in rng.integers(0, 3, (3, 3)):
            for query in range(3):
                logits, label = arb_logits(model, row, query), label_of(task, 3, row, query)
                errs = bool(logits[label] <= logits[1 - label])
                verdict = judge_file(write(tmp_path, model, incorrect(task, 3, row.tolist(), query)))
                assert errs or not verdict.accepted
                true, accepted = true + errs, accepted + verdict.accepted
    assert true >= 100 and accepted >= 0.99 * true


def test_an_exact_tie_is_a_counterexample_and_never_right(tmp_path: Path) -> None:
    t = {name: np.zeros_like(tensor) for name, tensor in right().tensors.items()}
    model = Model(right().arch, t)
    assert not judge_file(write(tmp_path, model, correct(TASK, N))).accepted
    assert not judge_file(write(tmp_path, model, correct(TASK, N, "exhaustive"))).accepted
    verdict = judge_file(write(tmp_path, model, incorrect(TASK, N, [0, 1, 3], 2)))
    assert not verdict.accepted or arb_right(model, TASK, N, np.array([0, 1, 3]), 2) is False


def test_separable_and_exhaustive_agree(tmp_path: Path) -> None:
    for seed in range(60):
        made = instance(seed)
        if made.task.name == "test-mixed" or len(all_inputs(made.task, made.n)) > 40:
            continue
        verdict = judge_file(write(tmp_path, made.model, correct(made.task, made.n, "exhaustive")))
        assert verdict.accepted == accepts(made.model, made.task, made.n)


def test_an_eta_of_two_thousand_is_accepted(tmp_path: Path) -> None:
    t = dict(right().tensors)
    t["layers.0.query"] = t["layers.0.query"] * 1000.0
    for kind in ("separable", "exhaustive"):
        assert judge_file(write(tmp_path, Model(right().arch, t), correct(TASK, N, kind))).accepted


def test_one_symbol_of_output_and_length_one(tmp_path: Path) -> None:
    task = IndexLookup(2)
    model = build(task, 1)
    for kind in ("separable", "exhaustive"):
        assert judge_file(write(tmp_path, model, correct(task, 1, kind))).accepted
    arch = head(2, 1, 2, 2)
    small = Model(arch, random_tensors(arch, np.random.default_rng(0)))
    expected = all(arb_right(small, Match2(2), 1, row, 0) for row in all_inputs(Match2(2), 1))
    assert judge_file(write(tmp_path, small, correct(Match2(2), 1))).accepted == expected
