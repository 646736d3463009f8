"""Counterexamples to recurrent models: exact arithmetic against fractions, Arb against both, and mutation suites."""

from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from models.recurrent_models import random_recurrent
from separatrix.core.arch import Readout
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.recurrent import Cell, DiagonalSsm, Elman, FixedPoint, Gru, Lstm, Recurrent
from separatrix.core.semantics import REAL
from separatrix.core.task import Task
from separatrix.kernel import arb, judge, judge_file, recurrent
from separatrix.kernel.case import Case
from separatrix.kernel.judge import TRUSTED, WITH_ARB
from separatrix.models import Model, evaluate
from separatrix.tasks import make_task
from separatrix.verify.provers.outcome import refute

RELU: list[tuple[Cell, ...]] = [(Elman(4),), (Elman(3), Elman(2)), (DiagonalSsm(2, 3),), (DiagonalSsm(2, 2), Elman(3))]
GATED: list[tuple[Cell, ...]] = [(Lstm(3),), (Gru(3),), (Elman(3, "tanh"),), (Gru(2), Lstm(2), DiagonalSsm(2, 3))]
GRIDS = [None, FixedPoint(6, 3), FixedPoint(3, 0), FixedPoint(5, -1)]
name = lambda cells: "-".join(cell.kind for cell in cells)  # noqa: E731


def fractions_of(array: np.ndarray) -> list:
    return [fractions_of(row) for row in array] if array.ndim else Fraction(array.item())  # pyright: ignore


def fraction_logits(model: Model, tokens: np.ndarray, query: int) -> list[Fraction]:
    """The definition of a ReLU recurrence, number by number."""
    arch = model.arch
    assert isinstance(arch, Recurrent)
    t = {key: fractions_of(np.asarray(value)) for key, value in model.tensors.items()}

    def through(x: list, matrix: list, bias: list) -> list:
        return [sum((a * row[c] for a, row in zip(x, matrix, strict=True)), b) for c, b in enumerate(bias)]

    def keep(state: list) -> list:
        grid = arch.state
        if not isinstance(grid, FixedPoint):
            return state
        step, top = Fraction(2) ** -grid.fraction, 2 ** (grid.bits - 1)
        return [max(-top, min(top - 1, round(v / step))) * step for v in state]  # round is half to even

    states = [keep(t[f"layers.{i}.start"]) for i in range(len(arch.layers))]
    x: list = []
    for j, token in enumerate(tokens[: query + 1]):
        x = t["embed.token"][token]
        if arch.first.positions:
            x = [a + b for a, b in zip(x, t["embed.position"][j], strict=True)]
        for i, layer in enumerate(arch.layers):
            old, own, u = (
                states[i],
                {k.split(".")[2]: v for k, v in t.items() if k.startswith(f"layers.{i}.")},
                layer.units,
            )
            drive = through(x, own["in"], own["bias"])
            if isinstance(layer, DiagonalSsm):
                re, im = own["diagonal"]
                left = [re[k] * old[k] - im[k] * old[u + k] + drive[k] for k in range(u)]
                right = [re[k] * old[u + k] + im[k] * old[k] + drive[u + k] for k in range(u)]
                states[i] = keep(left + right)
                out = through(states[i], own["out"], own["out_bias"])
                x = [max(Fraction(0), v) for v in through(x, own["skip"], out)]
            else:
                states[i] = keep([max(Fraction(0), v) for v in through(old, own["recurrent"], drive)])
                x = states[i]
    return through(x, t["readout.weight"], t["readout.bias"])


def opened(model: Model, task: Task, n: int) -> Case:
    claim = Claim(task.name, task.parameters(), n, "incorrect")
    return Case(task, n, claim, REAL, {}, {}, model.arch, model.tensors)


def certificate(model: Model, task: Task, n: int, tokens: np.ndarray, query: int, named: bool = True) -> Certificate:
    """A counterexample; one that is named says that it trusts Arb."""
    claim = Claim(task.name, task.parameters(), n, "incorrect")
    evidence = {"tokens": tokens.tolist(), "query": query}
    parts = ("counterexample", claim, PROVED, task.source_sha256(), evidence, {}, model.reference())
    return Certificate(*parts, WITH_ARB if named else TRUSTED)


def coarse(model: Model, steps: int = 4) -> Model:
    """Weights in multiples of 1/steps, so that sums often meet the middle of a grid, and logits tie."""
    return Model(model.arch, {key: np.rint(value * steps) / steps for key, value in model.tensors.items()})


@pytest.mark.parametrize("cells", RELU, ids=name)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_exact_arithmetic_is_that_of_fractions(cells: tuple[Cell, ...], grid: FixedPoint | None) -> None:
    task, rng = make_task("equality", {"symbols": 3}), np.random.default_rng(0)
    for seed in range(4):
        model = random_recurrent(cells, seed, vocabulary=3, outputs=2, grid=grid, positions=6 * (seed % 2))
        for one in (model, coarse(model)):
            tokens = rng.integers(0, 3, 6)
            found = recurrent.logits(opened(one, task, 6), one.arch, tokens, 5)  # pyright: ignore
            values = [Fraction(v, 2**found.exponent) for v in found.values]
            assert values == fraction_logits(one, tokens, 5)
            if grid is None or one is not model:  # float64 sums of coarse numbers are exact
                assert np.allclose(evaluate(one, tokens[None], queries=[5])[0, 0], np.array(values, dtype=float))


@pytest.mark.parametrize("cells", [*RELU, *GATED], ids=name)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_both_engines_say_what_evaluation_says(cells: tuple[Cell, ...], grid: FixedPoint | None) -> None:
    task, rng, seen = make_task("equality", {"symbols": 3}), np.random.default_rng(1), Counter()
    for seed in range(8):
        model = random_recurrent(cells, seed // 2, vocabulary=3, outputs=2, grid=grid)
        tokens = np.tile(rng.integers(0, 3, (1, 3)), (1, 2))
        tokens[0, 5] = (tokens[0, 5] + seed % 2) % 3
        logits, label = evaluate(model, tokens, queries=[5])[0, 0], int(task.answer(tokens)[0, 0])
        wrong = bool(logits[label] <= logits[1 - label])
        assert abs(logits[0] - logits[1]) > 1e-9
        proof = certificate(model, task, 6, tokens[0], 5)
        for engine in ("fast", "arb"):
            verdict = judge(proof, model.arch, model.tensors, engine=engine)
            assert verdict.accepted == wrong, verdict.sentence
            assert verdict.accepted or verdict.exit_code == 1
            assert (arb.NAME in verdict.trusted) == (wrong and (engine == "arb" or cells in GATED))
        silent = certificate(model, task, 6, tokens[0], 5, named=False)
        verdict = judge(silent, model.arch, model.tensors)
        assert verdict.accepted == (wrong and cells not in GATED) and (verdict.accepted or verdict.exit_code == 1)
        assert ("the certificate does not say so" in verdict.sentence) == (cells in GATED)
        outcome = refute(model, task, 6, tokens[0], 5)
        assert (outcome.verdict == "refuted") == wrong
        assert outcome.certificate is None or (arb.NAME in outcome.certificate.trusted) == (cells in GATED)
        seen[wrong] += 1
    assert seen[True]


def test_a_tie_is_an_error_of_the_model_and_is_seen_exactly() -> None:
    task = make_task("equality", {})
    model = random_recurrent((Elman(3),), 0, vocabulary=2, outputs=2)
    t = dict(model.tensors) | {"readout.weight": np.ones((3, 2)) * 0.1, "readout.bias": np.array([0.3, 0.3])}
    tied, tokens = Model(model.arch, t), np.array([0, 1, 1, 1])
    verdict = judge(certificate(tied, task, 4, tokens, 3), tied.arch, tied.tensors)
    assert verdict.accepted and "Arb" not in str(verdict.trusted)
    better = Model(model.arch, t | {"readout.bias": np.array([np.nextafter(0.3, 1), 0.3])})  # 0 is right
    assert not judge(certificate(better, task, 4, tokens, 3), better.arch, better.tensors).accepted


def test_numbers_that_grow_too_long_go_to_arb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "MOST_WORK", 1)
    task = make_task("equality", {})
    model = random_recurrent((Elman(3),), 0, vocabulary=2, outputs=2)
    words = np.array([[0, 0, 0, 0], [0, 1, 1, 1]])
    with pytest.raises(UnknownError, match="too long"):
        recurrent.logits(opened(model, task, 4), model.arch, words[0], 3)  # pyright: ignore
    verdicts = [judge(certificate(model, task, 4, word, 3), model.arch, model.tensors) for word in words]
    assert [v.accepted for v in verdicts] in ([True, False], [False, True])
    assert any(arb.NAME in v.trusted for v in verdicts)


def test_inputs_that_the_model_or_the_task_does_not_know_are_refused() -> None:
    task = make_task("index-lookup", {"symbols": 3})
    model = random_recurrent((Elman(3),), 0, vocabulary=4, outputs=3)  # 3 symbols and 2 indices are 5 tokens
    for word, query in [([0, 1, 4], 2), ([0, 1, 7], 2), ([0, 1], 1), ([0, 1, 3], 1), ([0, 1, 3], -1)]:
        verdict = judge(certificate(model, task, 2, np.array(word), query), model.arch, model.tensors)
        assert not verdict.accepted and verdict.exit_code in (1, 2)
    short = random_recurrent((Elman(3),), 0, vocabulary=5, outputs=3, positions=2)
    assert not judge(certificate(short, task, 2, np.array([0, 1, 3]), 2), short.arch, short.tensors).accepted
    other = random_recurrent((Elman(3),), 0, vocabulary=5, outputs=2)
    assert not judge(certificate(other, task, 2, np.array([0, 1, 3]), 2), other.arch, other.tensors).accepted


# ------------------------------------------------------------------------------------------------ accidents


@pytest.mark.parametrize("file", ["wrong.cert.json", "model.safetensors", "config.json"])
def test_a_changed_byte_is_noticed(tmp_path: Path, file: str) -> None:
    task = make_task("equality", {})
    model = random_recurrent((Elman(3),), 0, vocabulary=2, outputs=2, grid=FixedPoint(5, 2))
    words = np.array([[0, 0, 0, 0], [0, 1, 1, 1]])
    margins = evaluate(model, words, queries=[3])[:, 0]
    word = words[int(margins[0].argmax() == 1)]  # wrong on one of the two: it answers both alike, or both wrong
    model.save(tmp_path)
    path = certificate(model, task, 4, word, 3).write(tmp_path, "wrong")
    assert judge_file(path).accepted
    data, rng = (tmp_path / file).read_bytes(), np.random.default_rng(0)
    for at in range(0, len(data), 1 + len(data) // 800):
        flipped = bytearray(data)
        flipped[at] ^= int(rng.choice([1, 2, 32, 128, 255]))
        (tmp_path / file).write_bytes(bytes(flipped))
        verdict = judge_file(path)
        assert not verdict.accepted and verdict.exit_code in (1, 2) and "\n" not in verdict.sentence, at


# ------------------------------------------------------------------------------------------------ attacks


def test_no_false_refutation_is_accepted_and_true_ones_are() -> None:
    """Models, inputs and positions changed, every hash recomputed; the truth is that of fractions."""
    seen: Counter[str] = Counter()
    task, rng = make_task("equality", {}), np.random.default_rng(7)
    for seed in range(60):
        grid = GRIDS[seed % 4]
        model = random_recurrent(RELU[seed // 4 % 4], seed, vocabulary=2, outputs=2, grid=grid)
        mutants = [model, coarse(model), coarse(model, 1)]
        changed = dict(model.tensors)
        key = sorted(changed)[int(rng.integers(len(changed)))]
        changed[key] = changed[key] + rng.normal(0, 1.0, changed[key].shape)
        mutants += [Model(model.arch, changed), Model(dataclasses.replace(model.arch, readout=Readout(2)), changed)]
        for mutant in mutants:
            tokens = rng.integers(0, 2, 4)
            label = int(task.answer(tokens[None])[0, 0])
            values = fraction_logits(mutant, tokens, 3)
            false = values[label] > values[1 - label]
            accepted = judge(certificate(mutant, task, 4, tokens, 3), mutant.arch, mutant.tensors).accepted
            assert not (false and accepted)
            seen["false"] += false
            seen["true"] += not false
            seen["accepted"] += accepted
            assert not judge(certificate(mutant, task, 4, tokens, 2), mutant.arch, mutant.tensors).accepted
            bad = np.where(np.arange(4) == 1, 2, tokens)
            assert not judge(certificate(mutant, task, 4, bad, 3), mutant.arch, mutant.tensors).accepted
    assert seen["false"] >= 100 and seen["true"] >= 100 and seen["accepted"] >= 0.9 * seen["true"], seen


def test_gated_refutations_are_true_to_a_thousand_bits() -> None:
    """The decision of a gated net near a tie: a bias that moves the logits by 1e-12 changes the verdict."""
    task, tokens = make_task("equality", {}), np.array([0, 1, 1, 1])
    for seed in range(10):
        model = random_recurrent((Lstm(3),), seed, vocabulary=2, outputs=2)
        gap = float(np.diff(evaluate(model, tokens[None], queries=[3])[0, 0])[0])  # label 0 is right
        for shift in (-1e-12, 1e-12):
            bias = model.tensors["readout.bias"] + np.array([0.0, -gap + shift])
            moved = Model(model.arch, dict(model.tensors) | {"readout.bias": bias})
            verdict = judge(certificate(moved, task, 4, tokens, 3), moved.arch, moved.tensors)
            assert verdict.accepted == (shift > 0)
