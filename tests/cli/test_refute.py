"""`separatrix refute` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.test_commands import separatrix as separatrix
from models.recurrent_models import random_recurrent
from separatrix.core.recurrent import Elman, Lstm


@pytest.mark.parametrize("cell", [Elman(4), Lstm(4)], ids=lambda c: c.kind)
def test_a_failing_input_comes_with_a_certificate_that_checks(separatrix: Any, cell: Elman | Lstm) -> None:
    random_recurrent((cell,), 0, vocabulary=2, outputs=2).save(Path("model"))
    code, out, _ = separatrix("refute", "model", "--task", "equality", "--n", "8", "--json")
    answer = json.loads(out)
    assert code == 1 and answer["verdict"] == "refuted" and answer["guarantee"] == "proved"
    assert len(answer["counterexample"]["tokens"]) == 8 and answer["random_testing"]["evaluations"] >= 1
    assert separatrix("check", answer["certificate"])[0] == 0
    _, text, _ = separatrix("refute", "model", "--task", "equality", "--n", "8", "--method", "random")
    assert "random testing" in text and "certificate" in text
    config = Path("model/config.json")
    config.write_text(config.read_text().replace("recurrent", "recurrant", 1))
    code, _, err = separatrix("refute", "model", "--task", "equality", "--n", "8")
    assert code == 2 and err.count("\n") == 1


def test_nothing_found_and_bad_names(separatrix: Any) -> None:
    separatrix("build", "index-lookup-quadratic", "--n", "8", "-o", "model")
    words = ("refute", "model", "--task", "index-lookup", "--n", "8", "--budget", "50")
    code, out, _ = separatrix(*words, "--json")
    assert code == 3 and json.loads(out)["verdict"] == "unknown" and json.loads(out)["certificate"] is None
    code, _, err = separatrix(*words, "--method", "colisions")
    assert code == 2 and "collisions" in err and err.count("\n") == 1
    assert "collisions" in separatrix("list", "refuters")[1]
