"""separatrix show: the page of a witness or of a model folder, and its errors in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from separatrix import can
from separatrix.cli import main
from separatrix.tasks import make_task


@pytest.fixture
def separatrix(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`separatrix(words)` runs in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["separatrix", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        return 0 if code is None else int(code), *capsys.readouterr()

    return run


def test_show_draws_a_witness_and_the_same_model_from_its_folder(separatrix: Any) -> None:
    word = ("--n", "6", "--tokens", "0 1 1 0 0 1")
    code, out, _ = separatrix("show", "equality-two-layer", *word, "--json")
    said = json.loads(out)
    assert code == 0 and said["input"] == "0 1 1 | 0 0 1" and said["facts"]["answer"] == "0"
    assert said["page"] == "separatrix-out/show-equality-two-layer-n6.html"
    can.registry.get("equality-two-layer").build(make_task("equality", {}), 6).save(Path("mine"))
    code, out, _ = separatrix("show", "mine", "--task", "equality", *word, "-o", "page.html")
    assert code == 0 and "agrees with the task: yes" in out
    first, second = Path(said["page"]).read_text(), Path("page.html").read_text()
    assert first[first.index('id="stage-1"') :] == second[second.index('id="stage-1"') :]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("equality-two-layr", "--n", "6"), "did you mean equality-two-layer"),
        (("equality-two-layer", "--n", "7"), "even number"),
        (("equality-two-layer", "--n", "6", "--tokens", "1 2"), "is no legal input"),
        (("equality-two-layer", "--n", "200"), "take a smaller n"),
        (("equality-two-layer", "--n", "6", "--task", "dyck"), "leave --task out"),
        (("equality-two-layer", "--n", "6", "--seed", "-1"), "--seed -1"),
        (("equality-two-layer", "--n", "6", "--distribution", "none"), "distribution 'none'"),
        ((".", "--n", "6"), "--task"),
        ((".", "--n", "6", "--task", "equality"), "config.json"),
        (("nearest-neighbour-recency", "--n", "6"), "--joined true"),
    ],
)
def test_errors_are_one_line_with_the_mend(separatrix: Any, words: tuple[str, ...], hint: str) -> None:
    code, out, err = separatrix("show", *words)
    assert (code, out) == (2, "") and hint in err and err.count("\n") == 1
