"""The shipped example does what its text says; the full-size runs are slow."""

import importlib.util
from pathlib import Path

import pytest

from separatrix.models import Model, evaluate
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import certify

FILE = Path(__file__).parents[2] / "examples" / "train_and_prove.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("train_and_prove", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["RANDOM_INPUTS"] = 2000
    return module


def test_small_run_is_proved(example, tmp_path, capsys):
    assert example.main(["--n", "4", "--symbols", "2", "--steps", "250", "-o", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "accuracy 1.000, proved right on all 4 * 2^4 inputs" in out
    assert "(2,000 of 2,000 random inputs are answered right)" in out
    assert certify(Model.load(tmp_path), IndexLookup(2), 4).verdict == "proved"


def test_too_few_steps_are_refuted(example, tmp_path, capsys):
    assert example.main(["--n", "4", "--symbols", "2", "--steps", "1", "-o", str(tmp_path)]) == 1
    line, answers = capsys.readouterr().out.splitlines()[-2:]
    tokens = line.split(", refuted by this input: ")[1]
    said, right = answers.removeprefix("the model answers ").split(" (")[0].split(", right is ")
    assert said != right
    symbols, index = tokens.split(" ? ")
    assert symbols.split()[int(index)] == right
    outcome = certify(Model.load(tmp_path), IndexLookup(2), 4)
    assert outcome.counterexample is not None
    wrong, query = outcome.counterexample
    assert str(evaluate(Model.load(tmp_path), wrong[None], queries=[query]).argmax()) == said


def test_unusable_arguments(example, tmp_path, capsys):
    assert example.main(["--n", "0", "-o", str(tmp_path)]) == 2
    assert "n = 0" in capsys.readouterr().err


@pytest.mark.slow
def test_full_run_is_proved(example, tmp_path, capsys):
    assert example.main(["-o", str(tmp_path)]) == 0
    assert "proved right on all 64 * 4^64 inputs" in capsys.readouterr().out


@pytest.mark.slow
def test_stopped_early_is_right_on_samples_and_refuted(example, tmp_path, capsys):
    assert example.main(["--stop-early", "-o", str(tmp_path)]) == 1
    assert "accuracy 1.000, refuted by this input: " in capsys.readouterr().out
