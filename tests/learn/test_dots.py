"""Dots of trained models: which run is shown, what it says of its budget, and the table they are kept in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from separatrix.core.arch import Readout, Table
from separatrix.core.errors import InputError
from separatrix.core.recurrent import Lstm, Recurrent
from separatrix.learn.cohort import Member
from separatrix.learn.dots import read_dots, trained_dots, write_dots
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep, one_layer
from separatrix.learn.store import Finished
from separatrix.tasks import make_task

TASK = make_task("index-lookup", {"symbols": 4})
RECIPE = Recipe(100, batch=8, hold=2)


def finished(arch, rate: float, seed: int, accuracy: float, recipe: Recipe = RECIPE, state: str = "") -> Finished:
    run = Run.of("model", TASK, 6, arch, recipe, Member(seed, rate))
    state = state or ("solved" if accuracy == 1.0 else "budget")
    return Finished(run, "test", state, 40, accuracy, 1.0, {"accuracy": accuracy, "fano_bits": 3.0})


def test_the_learning_rate_with_the_best_median_is_shown() -> None:
    arch = one_layer(TASK, 6, 8)
    rows = [finished(arch, 0.1, seed, value) for seed, value in enumerate((1.0, 0.2, 0.3))]
    rows += [finished(arch, 0.01, seed, value) for seed, value in enumerate((1.0, 1.0, 0.1))]
    (dot,) = trained_dots(rows)
    assert (dot.accuracy, dot.worst, dot.solved, dot.seeds, dot.rate, dot.rates) == (1.0, 0.1, 2, 3, 0.01, 2)
    assert dot.learned and dot.budget.startswith("2 of 3 seeds reached the target; at most 100 steps of 8 inputs")
    # d p + H (2 d_v p + 4 p + 2 ceil(log2 T)) with d = d_v = 8, p = 32 and T = 7 positions
    assert (dot.family, dot.bits, dot.fano_bits) == ("transformer", 8 * 32 + 2 * 8 * 32 + 4 * 32 + 2 * 3, 3.0)


def test_the_longer_budget_is_shown_where_both_do_as_well() -> None:
    arch = Recurrent(4, Table(10), (Lstm(5),), Readout(4))
    rows = [finished(arch, 0.1, 0, 0.5, dataclasses.replace(RECIPE, steps=steps)) for steps in (100, 300, 200)]
    (dot,) = trained_dots(rows)
    assert (dot.steps, dot.learned, dot.family, dot.bits) == (300, False, "recurrent", 2 * 5 * 32)


def test_models_without_a_cut_measure_have_no_dot() -> None:
    assert trained_dots([finished(deep(TASK, 6, 8, layers=2), 0.1, 0, 1.0)]) == []
    row = finished(one_layer(TASK, 6, 8), 0.1, 0, 1.0)
    assert trained_dots([dataclasses.replace(row, metrics={"mse_c1": 0.1})]) == []


def test_the_table_keeps_everything(tmp_path: Path) -> None:
    dots = trained_dots([finished(one_layer(TASK, 6, 8), 0.1, 0, 1 / 3)])
    write_dots(dots, tmp_path / "dots.csv")
    assert read_dots(tmp_path / "dots.csv") == dots
    text = (tmp_path / "dots.csv").read_text()
    for wrong, told in ((text.replace("accuracy", "right"), "no table"), (text.replace("False", "no"), "line 2")):
        (tmp_path / "dots.csv").write_text(wrong)
        with pytest.raises(InputError, match=told):
            read_dots(tmp_path / "dots.csv")
