"""Figures at the command line: refused in one line before anything is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from separatrix.core.errors import InputError
from separatrix.learn.experiments import registry
from separatrix.learn.figure import picture


def test_an_empty_store_has_no_figure() -> None:
    with pytest.raises(InputError, match="holds no run of k-hop in size paper"):
        picture(registry.get("k-hop"), "paper", [])


def test_only_svg(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from separatrix.cli import main

    given = ["learn", "k-hop", "--store", str(tmp_path / "runs"), "--figure", str(tmp_path / "x.png")]
    monkeypatch.setattr(sys, "argv", ["separatrix", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "ends with .svg" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
