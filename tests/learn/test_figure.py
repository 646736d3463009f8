"""Figures: of the store alone, as SVG, PNG or PDF; refused in one line before anything is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from separatrix.core.errors import InputError
from separatrix.learn.experiment import Point
from separatrix.learn.experiments import registry
from separatrix.learn.figure import lines, picture, write_figure

POINTS = [
    Point(label, k, middle, middle / 2, min(1.0, 1.5 * middle), seeds, 1e-3, 1, 1.0)
    for label, seeds, middle in (("1 layer", 3, 0.4), ("2 layers", 5, 0.9))
    for k in (1, 2, 4)
]


def test_an_empty_store_has_no_figure() -> None:
    with pytest.raises(InputError, match="holds no run of k-hop in size paper"):
        picture(registry.get("k-hop"), "paper", [])


def test_the_band_is_named_for_what_it_is() -> None:
    (foot,) = lines(registry.get("k-hop"), "paper", POINTS).footnote
    assert "worst to best seed, a 75 to 93.8 % confidence interval of the median" in foot
    one = [Point("1 layer", 1, 0.5, 0.5, 0.5, 1, 1e-3, 1, 1.0)]
    assert "Band: none, one seed each." in lines(registry.get("k-hop"), "quick", one).footnote[0]


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
@pytest.mark.parametrize("name", ["k-hop", "positional-sum"])
def test_figures_of_every_kind(kind: str, start: bytes, name: str, tmp_path: Path) -> None:
    if kind != "svg":
        pytest.importorskip("matplotlib")
    for path in (tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"):
        write_figure(path, registry.get(name), "paper", POINTS)
    data = (tmp_path / f"a.{kind}").read_bytes()
    assert start in data[:200] and data == (tmp_path / f"b.{kind}").read_bytes()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--figure", "x.jpg"], "figures are SVG, PNG or PDF"),
        (["--figure", "x.png"], "pip install 'separatrix[figures]'"),
        (["--size", "huge"], "k-hop has no size 'huge'; take quick or middle or paper"),
    ],
)
def test_one_line_before_anything_runs(
    given: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from separatrix.cli import main

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(sys, "argv", ["separatrix", "learn", "k-hop", "--store", str(tmp_path / "runs"), *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and told in (lines := capsys.readouterr().err) and lines.count("\n") == 1
    assert not (tmp_path / "runs").exists()
