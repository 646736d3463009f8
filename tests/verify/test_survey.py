"""Surveys: counts against enumeration, budgets, partial results that are resumed and never believed, workers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.reference import all_inputs
from kernel.heads_cases import several
from separatrix.core.errors import UnknownError
from separatrix.core.files import tensors_from_bytes, tensors_to_bytes
from separatrix.core.seeds import child
from separatrix.core.semantics import REAL
from separatrix.learn import one_layer, train
from separatrix.learn.standard import initialise
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.majority import Majority
from separatrix.verify.provers import examine
from separatrix.verify.provers import survey as module
from separatrix.verify.provers.examine import cell_in_words
from separatrix.verify.provers.survey import Survey, survey

TASK, N = IndexLookup(3), 5


@pytest.fixture(scope="module")
def half_trained() -> Model:
    """Right on some cells and wrong on others."""
    return train(TASK, N, one_layer(TASK, N, 12, 2), seed=3, steps=45, learning_rate=1e-2).model


def verdicts(made: Survey) -> list[tuple[str, float]]:
    return [(cell.verdict, cell.low) for cell in made.each()]


def test_every_cell_agrees_with_enumeration(half_trained: Model) -> None:
    made = survey(half_trained, TASK, N)
    tokens = all_inputs(TASK, N)
    logits, labels = evaluate(half_trained, tokens, queries=[N])[:, 0], TASK.answer(tokens)[:, 0]
    margins = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    others = logits.copy()
    np.put_along_axis(others, labels[:, None], -np.inf, axis=1)
    margins = margins - others.max(axis=1)
    assert made.cells == 3 * N and made.undecided == 0 and made.proved >= 2 and made.refuted >= 2
    for cell in made.each():
        inside = (tokens[:, N] == cell.token) & (labels == cell.label)
        least = margins[inside].min()
        assert (cell.verdict == "proved") == (least > 0) and cell.low <= least
        assert (cell.tokens[[p for p, _ in cell.holds]] == [s for _, s in cell.holds]).all()
        assert cell.found == pytest.approx(least, abs=0.3) and cell.found >= least - 1e-6
    worst = made.worst(made.cells)
    assert [c.verdict for c in worst] == ["refuted"] * made.refuted + ["proved"] * made.proved
    assert worst[0].found == min(c.found for c in made.each()) and str(worst[0].label) in cell_in_words(TASK, worst[0])


@pytest.mark.parametrize("heads", [1, 2])
def test_examine_joins_the_verdict_with_the_cells(heads: int) -> None:
    task = Majority()
    model = train(task, 5, one_layer(task, 5, 8, heads), seed=0, steps=120, learning_rate=2e-2).model
    made = examine(model, task, 5)
    assert made.survey is not None and made.outcome.verdict == "proved" and made.survey.proved == 6
    assert all(cell.low > 0 for cell in made.survey.each()) and "3 times 1" in "".join(
        cell_in_words(task, cell) for cell in made.survey.each()
    )
    deep = examine(model, task, 5, method="exhaustive")
    assert deep.survey is None and deep.outcome.verdict == "proved"


def test_partial_results_are_resumed_and_then_removed(
    half_trained: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short by an interrupt after some pieces: the rest is done later, and nothing twice."""
    whole = survey(half_trained, TASK, N)
    work, calls = module._work, []

    def some(job: Any) -> Any:
        calls.append(sorted(job.before))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return work(job)

    monkeypatch.setattr(module, "_work", some)
    monkeypatch.setattr(module, "PER_WORKER", 100)
    with pytest.raises(KeyboardInterrupt):
        survey(half_trained, TASK, N, partial=tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith(f"certify-index-lookup-n{N}-") and path.name.endswith(".partial.safetensors")
    done, kept = calls[:2], path.read_bytes()
    calls.clear()
    monkeypatch.setattr(module, "_work", lambda job: calls.append(sorted(job.before)) or work(job))
    assert verdicts(survey(half_trained, TASK, N, partial=tmp_path, resume=True)) == verdicts(whole)
    assert not any(part in calls for part in done) and not path.exists()

    path.write_bytes(kept)  # of another model, or not asked for: left alone
    other = Model(half_trained.arch, dict(half_trained.tensors) | {"readout.bias": np.ones(3)})
    calls.clear()
    survey(other, TASK, N, partial=tmp_path, resume=True)
    assert len(calls) == N and path.exists()
    calls.clear()
    survey(half_trained, TASK, N, partial=tmp_path)
    assert len(calls) == N


def test_partial_results_are_not_believed(half_trained: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees that prove too much and inputs that fail elsewhere: the kernel judges them anew."""
    whole = survey(half_trained, TASK, N)
    monkeypatch.setattr(module.Finding, "decided", True)
    monkeypatch.setattr(module.Partial, "remove", lambda self: None)
    file = module.Partial(tmp_path, module.bench_of(half_trained, TASK, N, REAL), REAL)
    file.write({finding.piece.number: finding for finding in whole.findings})
    tensors = tensors_from_bytes(file.path.read_bytes(), "partial")
    worst = whole.worst(1)[0].tokens
    for name, tensor in tensors.items():
        if name.endswith(".tau"):
            tensors[name] = np.full_like(tensor, 1e3)
        if name.endswith(".tokens"):
            tensors[name] = np.repeat(worst[None], len(tensor), axis=0)
        if name.endswith(".found"):
            tensors[name] = np.full_like(tensor, -1.0)
    file.path.write_bytes(tensors_to_bytes(tensors))
    bent = survey(half_trained, TASK, N, partial=tmp_path, resume=True)
    assert bent.proved == 0 and bent.refuted == 1  # the one cell in which that input lies
    file.path.write_bytes(tensors_to_bytes({"x.tokens": np.zeros(1)}))
    with pytest.raises(Exception, match="remove the file"):
        survey(half_trained, TASK, N, partial=tmp_path, resume=True)


def test_workers_find_the_same(half_trained: Model) -> None:
    assert verdicts(survey(half_trained, TASK, N, workers=2)) == verdicts(survey(half_trained, TASK, N))


def test_a_budget_of_nothing_leaves_the_hard_cells_open() -> None:
    task, n = AssociativeRecall(6, 2, joined=True), 4
    model = train(task, n, one_layer(task, n, 16, 4), seed=0, steps=60, learning_rate=1e-2).model
    hurried, whole = survey(model, task, n, seconds=0.0), survey(model, task, n, seconds=60.0)
    assert hurried.undecided > whole.undecided == 0
    assert all(h == w or h[0] == "undecided" for h, w in zip(verdicts(hurried), verdicts(whole), strict=True))


def test_models_without_cells_are_refused() -> None:
    made = several(0, 2)
    with pytest.raises(UnknownError):
        survey(made.model, IndexLookup(7), 3)


def test_the_command_shows_the_cells(
    half_trained: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from separatrix.cli import main

    monkeypatch.chdir(tmp_path)
    half_trained.save(tmp_path / "m")

    def run(*more: str) -> tuple[int, str]:
        words = ["separatrix", "certify", "m", "--task", "index-lookup", "--symbols", "3", "--n", str(N), *more]
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().out

    code, out = run("--json")
    answer = json.loads(out)
    assert code == 1 and answer["verdict"] == "refuted" and answer["cells"]["refuted"] >= 2
    failing = answer["counterexample"]
    assert failing["right"] != failing["model"] == int(np.argmax(failing["logits"]))
    assert len(answer["cells"]["worst"]) == 5 and answer["cells"]["worst"][0]["verdict"] == "refuted"
    code, out = run("--time", "60", "--resume", "--workers", "2")
    assert code == 1 and "refuted" in out and "right:" in out and "cells:" in out and "margin" in out
    assert run("--time", "-1")[0] == 2 and run("--workers", "0")[0] == 2


def test_models_with_a_relu_layer_go_by_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command without any time, then resumed by two workers: the verdict of `survey`."""
    from separatrix.cli import main

    model = train(TASK, N, one_layer(TASK, N, 12, 2, mlp=8), seed=3, steps=45, learning_rate=1e-2).model
    monkeypatch.chdir(tmp_path)
    model.save(tmp_path / "m")
    whole = survey(model, TASK, N)
    assert whole.undecided == 0 and whole.proved >= 1 and whole.refuted >= 1

    def run(*more: str) -> dict[str, Any]:
        words = ["separatrix", "certify", "m", "--task", "index-lookup", "--symbols", "3", "--n", str(N), "--json"]
        monkeypatch.setattr("sys.argv", [*words, *more])
        with pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    run("--time", "0")
    answer = run("--resume", "--workers", "2")
    assert answer["verdict"] == "refuted"
    assert [answer["cells"][name] for name in ("proved", "refuted")] == [whole.proved, whole.refuted]
    assert not list((tmp_path / "m").glob("*.partial.safetensors"))


def test_partial_results_of_relu_models_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = train(TASK, N, one_layer(TASK, N, 12, 2, mlp=8), seed=3, steps=45, learning_rate=1e-2).model
    monkeypatch.setattr(module.Partial, "remove", lambda self: None)
    bench = module.bench_of(model, TASK, N, REAL)
    whole, file = survey(model, TASK, N), module.Partial(tmp_path, bench, REAL)
    file.write({finding.piece.number: finding for finding in whole.findings})
    for _, (trees, spans, _, _) in file.read().items():
        assert trees and spans is not None and all(tree.node for tree in trees)
    monkeypatch.setattr(type(bench), "search", None)  # nothing is left to search
    assert verdicts(survey(model, TASK, N, partial=tmp_path, resume=True)) == verdicts(whole)


@pytest.mark.slow
def test_a_limit_holds_for_many_cells() -> None:
    """Nothing of 800 cells of 64 symbols is known after no time at all, and that is said soon."""
    task, n = IndexLookup(64), 50
    for arch in (one_layer(task, n, 32, 1, mlp=8), one_layer(task, n, 32, 2), one_layer(task, n, 32, 1)):
        model = initialise(arch, child(0, "weights"))
        start = time.perf_counter()
        made = examine(model, task, n, seconds=0.0)
        assert time.perf_counter() - start < 60.0  # of a busy machine; the limit and a few seconds on an idle one
        assert made.survey is None or made.survey.cells == 64 * n
