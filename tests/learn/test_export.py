"""What leaves the store: tables as CSV and Parquet, curves for TensorBoard; without a library one line says so."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from learn.killed import measure, runs
from separatrix.core.errors import InputError
from separatrix.learn.board import Board
from separatrix.learn.export import write_table
from separatrix.learn.store import Finished, Store
from separatrix.learn.sweep import sweep


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("store"))
    sweep("x", runs(1, 20), measure, made)
    return made


def rows(store: Store) -> list[Finished]:
    """Two runs, of which one lacks the metric."""
    first, second = store.finished()
    return [first, Finished(second.run, "y", "diverged", 3, float("-inf"), 1.0, {"other": 2.0})]


def test_csv(store: Store, tmp_path: Path) -> None:
    write_table(tmp_path / "x.csv", rows(store))
    first, second = csv.DictReader((tmp_path / "x.csv").read_text().splitlines())
    assert float(first["sum"]) == store.finished()[0].metrics["sum"] and second["sum"] == ""
    assert (second["state"], float(second["score"]), float(second["other"])) == ("diverged", float("-inf"), 2.0)
    write_table(tmp_path / "none.csv", [])
    assert (tmp_path / "none.csv").read_text().startswith("key,experiment,label,task,n,learning_rate,seed,state,steps")


def test_parquet_holds_what_csv_holds(store: Store, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path / "x.csv", rows(store))
    write_table(tmp_path / "x.parquet", rows(store))
    told = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    for row, text in zip(told, csv.DictReader((tmp_path / "x.csv").read_text().splitlines()), strict=True):
        assert {name: "" if value is None else str(value) for name, value in row.items()} == text
    assert told[1]["sum"] is None and isinstance(told[0]["n"], int)


def test_tensorboard_reads_the_curve(store: Store, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    row = store.finished()[0]
    board, curve = Board(tmp_path), store.curve(row.run.key)
    (tmp_path / "x").mkdir()
    for _ in range(2):
        board.add("x", row.run, curve, row.metrics)
    (folder,) = (tmp_path / "x").iterdir()
    assert folder.name.startswith("model, N = 4, learning rate 0.01, seed 0 ") and len(list(folder.iterdir())) == 1
    told = reader.EventAccumulator(str(folder)).Reload()
    points = [(event.step, np.float32(event.value)) for event in told.Scalars("loss")]
    assert points == [(int(step), np.float32(loss)) for step, loss, _ in curve.tolist()]
    assert told.Scalars("measured/sum")[0].value == np.float32(row.metrics["sum"])


def test_without_the_libraries_one_line_says_so(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"Parquet needs the extra: pip install 'separatrix\[parquet\]'"):
        write_table(tmp_path / "x.parquet", rows(store))
    with pytest.raises(InputError, match=r"pip install 'separatrix\[tensorboard\]'"):
        Board(tmp_path)
    assert not list(tmp_path.iterdir())
