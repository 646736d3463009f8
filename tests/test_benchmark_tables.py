"""The tables and solvers behind the accuracy-against-proof table, against enumeration."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from separatrix.learn import initialise, one_layer
from separatrix.models import evaluate
from separatrix.tasks import make_task

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.cell_tables import cells_of
from benchmarks.intervals import proves, ranges
from benchmarks.proof_grid import Row, grid, quick
from benchmarks.proof_page import percent

from benchmarks import solvers

RECALL = {"keys": 3, "labels": 2, "joined": True}


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize(
    ("name", "parameters", "n"),
    [("index-lookup", {"symbols": 3}, 3), ("associative-recall", RECALL, 3), ("majority", {}, 5)],
)
def test_tables_are_the_model_and_the_peers_are_right(name: str, parameters: dict, n: int, hidden: int) -> None:
    task, rng = make_task(name, parameters), np.random.default_rng(1)
    model = initialise(one_layer(task, n, 12, 2, mlp=hidden), rng)
    seen = set()
    for cell in cells_of(model, task, n, 6):
        low, high = ranges(cell)
        worst, failing = np.inf, dict.fromkeys(cell.rivals, np.inf)
        for columns in itertools.product(*map(np.flatnonzero, cell.allowed)):
            tokens, logits = cell.ids[np.arange(len(columns)), columns], cell.logits(np.array(columns))
            np.testing.assert_allclose(logits, evaluate(model, tokens[None], queries=[cell.query])[0, 0], atol=1e-12)
            if not hidden:
                assert (low - 1e-12 <= logits).all() and (logits <= high + 1e-12).all()
            margins = logits[cell.label] - logits[cell.rivals]
            worst = min(worst, margins.min())
            if cell.constraint.holds(tokens[None])[0]:
                assert task.domain(n).contains(tokens) and task.answer(tokens[None])[0, 0] == cell.label
                failing = {r: min(failing[r], m) for r, m in zip(cell.rivals, margins, strict=True)}
        assert not proves(cell) or worst > 0
        rival = min(failing, key=lambda r: failing[r])
        answer = solvers.highs(cell, rival, 20)
        assert answer in ("open", "found" if failing[rival] <= 0 else "none")
        seen.add(answer)
    assert seen & {"none", "found"}


def test_the_grid_names_every_model_once_and_reads_itself() -> None:
    rows = grid(3)
    assert len({row.name for row in rows}) == len(rows) == 2 * 3 * 36
    assert set(quick()) <= set(rows) and all(Row.from_json(row.to_json()) == row for row in rows)


def test_shares_are_not_rounded_to_all_or_none() -> None:
    assert [percent(a, 2000) for a in (0, 1, 1999, 2000)] == ["0%", "0.1%", "99.9%", "100%"]
