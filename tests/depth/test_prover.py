"""The circuit prover: its questions against enumeration for every kind of cell, and its verdicts on known models."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from kernel.test_bits import GOOD, random_model
from separatrix.cli.app import app
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.depth import prover as proving
from separatrix.depth.compiler.network import compile_network
from separatrix.depth.model import quantised, tokens_of
from separatrix.depth.prover import Budget, decide, solve
from separatrix.depth.questions import questions
from separatrix.depth.solve import ask, available
from separatrix.depth.specimens import equality_by_codes, lookup_by_codes
from separatrix.kernel import bits, judge
from separatrix.models.model import Model
from separatrix.models.quantised import run
from separatrix.tasks import make_task
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality
from separatrix.tasks.formula_value import BooleanFormula
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.majority import Majority
from separatrix.tasks.match2 import Match2
from separatrix.tasks.word_problem import WordProblem
from separatrix.verify.provers import Outcome, certify, registry
from tasks.cover import members, words

needs_exact = pytest.mark.skipif(not available("exact"), reason="needs the solver Exact")
SMALL = "bits:3.1,weights:1,scores:2.0,exp:2"
KINDS: list[tuple[Task, int]] = [
    (IndexLookup(3), 3), (Match2(3), 2), (Match2(2, True), 3), (Majority(), 5), (Dyck(1, 2), 4), (WordProblem("z3"), 3),
    (WordProblem("z3", "product"), 3), (Equality(2), 4), (Equality(3), 4),
]  # fmt: skip


def wrong_answers(model: Model, task: Task, n: int, tokens: np.ndarray, semantics: str) -> np.ndarray:
    """(inputs, queries) by the emulator."""
    spec = Semantics.parse(semantics).bits
    assert spec is not None
    network = quantised(model.arch, model.tensors, task.domain(n).positions, task.queries(n), spec)
    logits, labels = run(network, tokens_of(network, tokens)), task.answer(tokens)
    right = np.take_along_axis(logits, labels[:, :, None], axis=2)
    return ((logits >= right) & (np.arange(logits.shape[2]) != labels[:, :, None])).any(axis=2)


def shallow(rng: np.random.Generator, vocabulary: int, positions: int, outputs: int) -> Model:
    """One head and a small feed-forward layer, which a solver sees through in no time."""
    arch = Arch(2, Table(vocabulary, positions), (Attention(1, 1, 1, residual=True), FeedForward(2)), Readout(outputs))
    return Model(arch, {name: rng.standard_normal(shape) for name, shape in tensor_shapes(arch).items()})


@needs_exact
@pytest.mark.parametrize(("task", "n"), KINDS, ids=str)
def test_every_question_is_satisfiable_exactly_when_its_cells_hold_a_failing_input(task: Task, n: int) -> None:
    rng, seen = np.random.default_rng(0), Counter[str]()
    domain, spec = task.domain(n), Semantics.parse(SMALL).bits
    assert spec is not None
    inputs, outputs = words(domain), task.outputs()
    lone = False  # whether some question is about one answer alone
    for trial in range(4):
        model = shallow(rng, domain.vocabulary, domain.positions, outputs.k)  # pyright: ignore
        bend = rng.normal(size=outputs.k) * 2  # pyright: ignore
        bend[trial % 2] += 100 * (trial < 2)  # an answer that is always given, so it is never missed
        model = Model(model.arch, dict(model.tensors) | {"readout.bias": bend})
        network = quantised(model.arch, model.tensors, domain.positions, task.queries(n), spec)
        circuit = compile_network(network)
        wrong = wrong_answers(model, task, n, inputs, SMALL)
        inside = []
        for column, query in enumerate(task.queries(n)):
            for group in task.cells(n, query) or ():
                lone |= len(np.unique(group.labels)) == 1  # pyright: ignore
                held = [members(group, cell, domain, inputs) for cell in range(len(group))]
                inside.append(np.any(held, axis=0) & wrong[:, column])
        asked = list(questions(task, n, circuit, network.symbol_bits))
        expected = inside or [wrong.any(axis=1)]
        assert len(asked) == len(expected)
        for (question, query), failing in zip(asked, expected, strict=True):
            reply = ask(question, 20)
            assert reply.verdict == ("sat" if failing.any() else "unsat")
            seen[reply.verdict] += 1
            if reply.verdict == "sat":
                found = network.numbers_of(np.array([reply.assignment[: circuit.inputs]]))[0, : domain.positions]
                assert domain.contains(found)
                assert wrong_answers(model, task, n, found[None], SMALL)[0, task.queries(n).index(query)]
    assert seen["sat"] >= 2 and (seen["unsat"] >= 1 or not lone), seen


def test_right_models_of_few_inputs_are_proved_by_the_kernel() -> None:
    for model, task, n in ((lookup_by_codes(IndexLookup(2), 8), IndexLookup(2), 8),
                           (equality_by_codes(Equality(), 8), Equality(), 8)):  # fmt: skip
        outcome = decide(model, task, n, Semantics.parse(GOOD), Budget())
        assert outcome.verdict == "proved" and outcome.certificate is not None
        verdict = judge(outcome.certificate, model.arch, model.tensors)
        assert verdict.accepted and str(verdict.guarantee) == "proved"


@needs_exact
def test_two_layers_of_many_inputs_are_checked_by_the_solver() -> None:
    task, n = Equality(), 26
    model = equality_by_codes(task, n)
    outcome = decide(model, task, n, Semantics.parse(GOOD), Budget(60))
    assert outcome.verdict == "checked" and outcome.certificate is not None
    verdict = judge(outcome.certificate, model.arch, model.tensors)
    assert verdict.accepted and str(verdict.guarantee) == "checked" and "exact" in verdict.sentence


@needs_exact
def test_the_solver_finds_a_failing_input_that_samples_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """One symbol of one position is stored wrong in a lookup of 20 positions; no samples are drawn."""
    task, n = IndexLookup(2), 20
    model = lookup_by_codes(task, n)
    position = model.tensors["embed.position"].copy()
    position[13, 0] = -2.0  # cancels the symbol 1 there
    broken = Model(model.arch, dict(model.tensors) | {"embed.position": position})
    monkeypatch.setattr(proving, "sampled", lambda *_: None)
    outcome = decide(broken, task, n, Semantics.parse(GOOD), Budget(60))
    assert outcome.verdict == "refuted" and outcome.counterexample is not None and outcome.certificate is not None
    tokens, query = outcome.counterexample
    assert query == n and tokens[-1] == 2 + 13 and tokens[13] == 1
    assert judge(outcome.certificate, broken.arch, broken.tensors).accepted


def test_samples_refute_most_wrong_models_at_once() -> None:
    rng, task, n = np.random.default_rng(0), Match2(3), 4
    for _ in range(10):
        model = random_model(rng, 3, 4)
        outcome = decide(model, task, n, Semantics.parse(SMALL), Budget(5))
        assert outcome.verdict == "refuted" and outcome.certificate is not None
        assert judge(outcome.certificate, model.arch, model.tensors).accepted


@needs_exact
def test_what_is_not_decided_is_unknown() -> None:
    task, n = Equality(), 32
    model, semantics = equality_by_codes(task, n), Semantics.parse(GOOD)
    spec = semantics.bits
    assert spec is not None
    network = quantised(model.arch, model.tensors, n, task.queries(n), spec)
    outcome = solve(model, network, task, n, semantics, Budget(), 0.01)
    assert outcome.verdict == "unknown" and "did not finish" in outcome.sentence
    formula = BooleanFormula("plof")
    other = random_model(np.random.default_rng(0), 5, 24, 3)
    with pytest.raises(UnknownError, match="no cells"):
        list(questions(formula, 3, compile_network(quantised(other.arch, other.tensors, 3, (2,), spec)), 3))
    assert decide(model, make_task("sparse-averaging"), 8, semantics, Budget()).verdict == "unknown"
    assert decide(model, task, n, REAL, Budget()).verdict == "unknown"
    assert decide(random_model(np.random.default_rng(0), 2, 4), Match2(3), 4, semantics, Budget()).verdict == "unknown"


def test_bits_semantics_go_to_the_circuit_prover_alone() -> None:
    task, n = IndexLookup(2), 4
    model = lookup_by_codes(task, n)
    assert list(registry)[-1] == "circuit"
    assert certify(model, task, n, Semantics.parse(GOOD)).verdict == "proved"
    assert certify(model, task, n, REAL, "circuit").verdict == "unknown"
    with pytest.raises(InputError, match="circuit"):
        certify(model, task, n, Semantics.parse(GOOD), "exhaustive")


def test_the_command_proves_and_refutes_with_a_counterexample_in_tokens(tmp_path: Path) -> None:
    task, n = Equality(), 8
    model = equality_by_codes(task, n)
    model.save(tmp_path / "right")
    flipped = Model(model.arch, dict(model.tensors) | {"readout.bias": np.array([0.0, 0.75])})
    flipped.save(tmp_path / "wrong")
    command = ["--task", "equality", "--n", "8", "--method", "circuit", "--semantics", GOOD]
    result = CliRunner().invoke(app, ["certify", str(tmp_path / "right"), *command])
    assert result.exit_code == 0 and result.stdout.startswith("proved: the quantised model")
    result = CliRunner().invoke(app, ["certify", str(tmp_path / "wrong"), *command, "--json"])
    content = json.loads(result.stdout)
    assert result.exit_code == 1 and content["verdict"] == "refuted" and "|" in content["counterexample"]["shown"]
    for folder, code in (("right", 0), ("wrong", 0)):
        assert CliRunner().invoke(app, ["check", str(tmp_path / folder)]).exit_code == code
    result = CliRunner().invoke(app, ["list", "provers"])
    assert "circuit" in result.stdout


def test_a_trained_model_of_two_layers_is_decided_at_any_number_of_bits() -> None:
    pytest.importorskip("torch")
    from separatrix.learn.simple import train

    task, n = IndexLookup(2), 5
    layers = (Attention(1, 4, 4, residual=True), FeedForward(8, residual=True)) * 2
    arch = Arch(8, Table(n + 2, n + 1), layers, Readout(2))
    run = train(task, n, arch, seed=0, steps=300, learning_rate=0.01, patience=1)
    assert run.accuracy > 0.99
    verdicts = []
    for semantics in (
        "bits:11.5,weights:6,scores:9.4,exp:24",
        "bits:8.3,weights:4,scores:6.2,exp:18",
        "bits:2.0,scores:6.0",
    ):
        outcome = decide(run.model, task, n, Semantics.parse(semantics), Budget(20))
        assert outcome.certificate is not None
        assert judge(outcome.certificate, run.model.arch, run.model.tensors).accepted
        tokens = words(task.domain(n))
        assert (outcome.verdict == "proved") == (not wrong_answers(run.model, task, n, tokens, semantics).any())
        verdicts.append(outcome.verdict)
    assert verdicts[-1] == "refuted"  # two bits hold no logit apart


def test_bad_values_are_one_line(tmp_path: Path) -> None:
    lookup_by_codes(IndexLookup(2), 4).save(tmp_path)
    command = ["certify", str(tmp_path), "--task", "index-lookup", "--set", "symbols=2", "--n", "4"]
    for extra in (
        "bits:99.1",
        "bits:2.0",
        "bits:4.2 --least-precision",
        "bits:4.2 --method heads",
    ):
        result = CliRunner().invoke(app, [*command, "--semantics", *extra.split()])
        assert isinstance(result.exception, InputError)


def test_an_enumeration_ends_between_batches_when_the_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that ticks whenever it is read."""
    task, n, ticks = IndexLookup(2), 8, 20
    model, batches = lookup_by_codes(task, n), 0
    evaluate = bits.evaluate

    def counted(*arguments: Any) -> np.ndarray:
        nonlocal batches
        batches += 1
        return evaluate(*arguments)

    monkeypatch.setattr(bits, "BATCH_NUMBERS", 2**10)
    monkeypatch.setattr(bits, "evaluate", counted)
    monkeypatch.setattr(proving, "input_seconds", lambda *_: 1e-9)
    all_of_them = decide(model, task, n, Semantics.parse(GOOD), Budget(10**6), now=count().__next__)
    assert all_of_them.verdict == "proved" and batches > 3 * ticks
    batches = 0
    outcome = decide(model, task, n, Semantics.parse(GOOD), Budget(ticks), now=count().__next__)
    assert outcome.verdict == "unknown" and "not decided within 20 s" in outcome.sentence
    assert 1 <= batches <= ticks


def test_samples_end_when_the_time_is_spent_and_the_solver_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    task, n = Equality(), 26
    asked = []
    monkeypatch.setattr(proving, "solve", lambda *_: asked.append(1))
    outcome = decide(equality_by_codes(task, n), task, n, Semantics.parse(GOOD), Budget(1), now=count().__next__)
    assert outcome.verdict == "unknown" and "not decided within 1 s" in outcome.sentence and not asked


@needs_exact
def test_whatever_works_beside_us_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that would never end, with what it tells and what it raises."""
    task, n, heard = Equality(), 26, []
    model, semantics = equality_by_codes(task, n), Semantics.parse(GOOD)

    def endless(*_: Any, progress: Any) -> None:
        progress("at it")
        time.sleep(10**6)

    def giving_up(*_: Any, progress: Any) -> None:
        raise UnknownError("too hard")

    monkeypatch.setattr(proving, "sampled", lambda *_: None)
    monkeypatch.setattr(proving, "input_seconds", lambda *_: 0.0)
    monkeypatch.setattr(proving, "search", endless)
    outcome = decide(model, task, n, semantics, Budget(0.5, enumerate_up_to=0), heard.append)
    assert outcome.verdict == "unknown" and "did not finish" in outcome.sentence and "at it" in heard
    monkeypatch.setattr(proving, "search", giving_up)
    assert decide(model, task, n, semantics, Budget(60, enumerate_up_to=0)).sentence == "too hard"


def test_the_solver_leaves_the_time_that_an_enumeration_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still: 256 inputs of half a second each."""
    task, n, given = Equality(), 8, []
    model, semantics = equality_by_codes(task, n), Semantics.parse(GOOD)

    def recorded(*arguments: Any) -> Outcome:
        given.append(arguments[-2])
        return Outcome("unknown", None, "")

    monkeypatch.setattr(proving, "solve", recorded)
    monkeypatch.setattr(proving, "input_seconds", lambda *_: 0.5)
    assert decide(model, task, n, semantics, Budget(300), now=lambda: 0.0).verdict == "proved"
    assert given.pop() == 300 - 1.25 * 128
    monkeypatch.setattr(proving, "input_seconds", lambda *_: 1e-3)
    assert decide(model, task, n, semantics, Budget(100, enumerate_up_to=100), now=lambda: 0.0).verdict == "unknown"
    assert given.pop() == 100 - 1.25 * 4.096
