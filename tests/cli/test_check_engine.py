"""`check --engine` and `certify --least-precision` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from separatrix.cli import main


@pytest.fixture
def separatrix(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`separatrix(words)` runs in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["separatrix", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0), *capsys.readouterr()

    return run


LOOKUP = ("--task", "index-lookup", "--n", "16", "--symbols", "4")


def test_both_engines_accept_a_witness_and_name_what_they_trust(separatrix: Any) -> None:
    assert separatrix("build", "index-lookup-chirp", "--n", "16", "--symbols", "4", "-o", "m")[0] == 0
    trusted = {}
    for engine in ("fast", "arb"):
        code, out, _ = separatrix("check", "m", "--engine", engine, "--json")
        answer = json.loads(out)
        assert code == 0 and answer["accepted"]
        trusted[engine] = answer["certificates"][0]["trusted"]
    assert trusted["arb"][:-1] == trusted["fast"] and "flint" in trusted["arb"][-1]
    code, out, _ = separatrix("check", "m", "--engine", "arb")
    assert code == 0 and "arb" in out and "python-flint" in out


def test_floats_are_decided_by_both_engines_and_other_engines_are_unusable(separatrix: Any) -> None:
    separatrix("build", "index-lookup-chirp", "--n", "16", "--symbols", "4", "-o", "m")
    code, out, _ = separatrix("certify", "m", *LOOKUP, "--semantics", "fp32", "-o", "f")
    assert code == 0 and "proved" in out
    code, out, _ = separatrix("check", "f", "--engine", "arb")
    assert code == 0 and "fp32 arithmetic, arb" in out and "python-flint" in out
    code, out, err = separatrix("check", "f", "--engine", "exact")
    assert code == 2 and "fast or arb" in err and "Traceback" not in out + err


@pytest.mark.parametrize("arch", ["rnn", "transformer"])
def test_bounds_are_the_same_check(separatrix: Any, arch: str) -> None:
    code, _, _ = separatrix("bound", "sparse-averaging", "--n", "12", "--q", "3", "--arch", arch, "-o", "b")
    assert code == 0
    assert separatrix("check", "b")[0] == 0
    code, out, _ = separatrix("check", "b", "--engine", "arb")
    assert code == 0 and "exact; the engine does not matter" in out and "flint" not in out


def test_the_least_precision_and_its_certificate(separatrix: Any) -> None:
    separatrix("build", "index-lookup-chirp", "--n", "16", "--symbols", "4", "-o", "m")
    bits = {}
    for semantics in ("real", "float:24,tree"):
        code, out, _ = separatrix("certify", "m", *LOOKUP, "--least-precision", "--semantics", semantics, "--json")
        answer = json.loads(out)
        assert code == 0 and answer["verdict"] == "proved" and 2 <= answer["least_precision"] <= 24
        assert separatrix("check", answer["certificate"])[0] == 0
        bits[semantics] = answer["least_precision"]
        claimed = json.loads(Path(answer["certificate"]).read_text())["claim"]["semantics"]
        assert claimed == f"float:{answer['least_precision']}" + (",tree" if "tree" in semantics else "")
    assert bits["float:24,tree"] <= bits["real"]
    code, out, _ = separatrix("certify", "m", *LOOKUP, "--least-precision")
    assert code == 0 and f"least precision: {bits['real']} bits" in out
    assert separatrix("check", "m")[0] == 0
    code, out, _ = separatrix("certify", "m", *LOOKUP, "--least-precision", "--dry-run", "--json")
    assert code == 0 and json.loads(out)["seconds"] > 0
    code, out, _ = separatrix("certify", "m", *LOOKUP, "--json")
    assert code == 0 and "least_precision" not in json.loads(out)
