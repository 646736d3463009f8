"""`separatrix circuit`: its reports, its files, its refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from separatrix.cli import main


def call(*arguments: str) -> int:
    """The command's exit code."""
    old, sys.argv = sys.argv, ["separatrix", "circuit", *arguments]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = old
    return 0


def test_one_head(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--n", "4", "--p", "3", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["depth"], report["depth_materialised"], report["wrong"]) == (4, 5, 0)
    assert sum(report["levels"]) == report["gates"] == sum(one["gates"] for one in report["operations"])
    assert sum(one["edges"] for one in report["operations"]) == report["edges"]
    assert call("--n", "4", "--p", "3") == 0
    assert "depth 4" in capsys.readouterr().out


def test_lengths_are_fitted_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "growth.svg"
    assert call("--scale", "n=4,8,16", "--d", "2", "--p", "3", "-o", str(picture), "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert [(r["n"], r["depth"], r["wrong"]) for r in result["rows"]] == [(4, 4, 0), (8, 4, 0), (16, 4, 0)]
    assert all(r["gates"] > 0 and r["edges"] > r["gates"] for r in result["rows"])
    assert 1.8 < result["fits"]["gates"]["exponent"] < 2.1
    text = picture.read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "depth 4 at every length" in text
    assert f"gates at n = 16: {result['rows'][2]['gates']:,}".replace(",", "\u2009") in text


def test_primitives(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "primitives.json"
    assert call("--primitives", "-o", str(report)) == 0
    assert "iterated product by CRT" in capsys.readouterr().out
    rows = json.loads(report.read_text())["primitives"]
    assert all(r["depth"] == r["stated"] and r["wrong"] == 0 for r in rows)


def test_rounding_after_every_operation(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--round-every", "--n", "2", "--d", "2", "--p", "3", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["depth"], report["wrong"]) == (16, 0)
    assert call("--round-every", "--norm", "--n", "2", "--d", "2", "--p", "3", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["depth"], report["wrong"]) == (20, 0) and "bound" not in report


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scale", "4,8"), "write n=4,8,16"),
        (("--scale", "n=4,4"), "different positive lengths"),
        (("--scale", "n=4", "-o", "x.svg"), "two lengths"),
        (("--p", "20"), "3 to 8 bits"),
        (("--d", "3"), "even width"),
        (("--n", "0"), "positive"),
        (("--n", "5000"), "GiB to build"),
        (("-o", "x.png"), ".json"),
        (("--round-every", "--p", "6"), "gates, with weights of 140 bits"),
        (("--round-every", "--p", "8", "--n", "16"), "about 356,515,840 gates"),
        (("--device", "tpu"), "cpu or cuda"),
        (("--device", "cuda", "--primitives"), "comparison of one circuit"),
        (("--round-every", "--p", "3", "--n", "60"), "take a smaller n"),
        (("--scale", "n=4,8", "--primitives"), "ask for one"),
        (("--norm",), "--norm goes with --round-every"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_and_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from separatrix.depth.specimens import lookup_by_codes
    from separatrix.tasks.index_lookup import IndexLookup

    lookup_by_codes(IndexLookup(2), 4).save(tmp_path / "model")
    words = (str(tmp_path / "model"), "--n", "5", "--semantics", "bits:5.2,weights:2,scores:4.0,exp:8")
    assert call(*words, "--json", "-o", str(tmp_path / "model.npz")) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["wrong"] == 0 and report["n"] == 5 and report["depth"] == 6
    from separatrix.depth.export import read_npz

    assert read_npz(tmp_path / "model.npz").gates == report["gates"]
    for ending in ("blif", "opb", "v", "aag"):
        assert call(*words, "-o", str(tmp_path / f"model.{ending}")) == 0 and (tmp_path / f"model.{ending}").exists()
    for bad, word in (
        (("--semantics", "fp32"), "bits:"),
        (("--scale", "n=4,8"), "reference head"),
        (("-o", "x.pdf"), ".npz"),
        (("--n", "9"), "positions"),
    ):
        capsys.readouterr()
        assert call(*words, *bad) in (2, 3)
        told = capsys.readouterr().err
        assert word in told and told.count("\n") == 1
