"""Dots on charts: those of the task alone, with their budget, and none that beats Fano's inequality."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from separatrix.atlas.table import page
from separatrix.atlas.trained import chart_dots, known_dots
from separatrix.core.errors import InputError, SeparatrixError
from separatrix.draw import Chart, Curve, chart_svg
from separatrix.learn.dots import TrainedDot
from separatrix.tasks import make_task

TASK = make_task("index-lookup", {"symbols": 64})
DOT = TrainedDot(
    "index-lookup", '{"symbols":64}', 20, "recurrent", 4096, "LSTM, 64 units", "uniform", False, 0.25, 0.2, 0, 3,
    1500, 64, 1500, 0.003, 2, 18.0,
)  # fmt: skip


def test_dots_are_of_the_task_with_its_parameters() -> None:
    others = [dataclasses.replace(DOT, task="match2"), dataclasses.replace(DOT, parameters='{"symbols":4}')]
    (dot,) = chart_dots(TASK, [DOT, *others])
    assert (dot.n, dot.bits, dot.family, dot.learned) == (20, 4096, "recurrent", False)
    told = "25.00% right (worst seed 20.00%). How it was trained: 0 of 3 seeds reached the target; at most 1,500 steps"
    assert told in dot.detail
    (dot,) = chart_dots(TASK, [dataclasses.replace(DOT, distribution="one")])
    assert "right on one inputs" in dot.detail


def test_a_dot_below_the_fano_bound_stops_everything() -> None:
    with pytest.raises(SeparatrixError, match="less than the 5000 that Fano"):
        chart_dots(TASK, [dataclasses.replace(DOT, fano_bits=5000.0)])


def test_the_budget_is_in_the_tooltip() -> None:
    curve = Curve("needs", "recurrent", "cannot", ((8, 48.0), (64, 384.0)))
    text = chart_svg(Chart("c", "t", "s", (curve,), chart_dots(TASK, [DOT])))
    assert "<title>LSTM, 64 units: N = 20, 25.00% right" in text and "learning rate 0.003, best of 2" in text


def test_the_packages_table_can_be_drawn() -> None:
    trained = known_dots()
    assert len(trained) > 10 and all(dot.bits >= dot.fano_bits for dot in trained)
    drawn = page([], Path(), trained=trained)
    assert not drawn.charts  # no curve, no chart


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run store"):
        known_dots(tmp_path)
    assert not (tmp_path / "runs.db").exists()
