"""The width table: what it calls narrowest is proved, one sign less is not, and its page counts what is narrower."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from separatrix.can import registry
from separatrix.tasks.index_lookup import IndexLookup

SOURCE = Path(__file__).parents[2] / "benchmarks" / "width.py"


@pytest.fixture(scope="module")
def width():
    spec = importlib.util.spec_from_file_location("benchmark_width", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_narrowest_lies_below_what_is_built_and_below_the_paper(width) -> None:
    line, task, n = width.LINES[0], IndexLookup(4), 8
    found = width.narrowest(line, task, n)
    assert found is not None
    best, name, share = found
    assert 2 + 2 * 3 <= best < registry.get(line.witness).size(task, n).width < line.paper(task, n)
    assert name.startswith("signs") and share in width.TEMPERATURES


def test_rows_and_page(width) -> None:
    rows = [{"witness": "a", "n": 4, "formula": "f", "paper": 100, "built": 9, "narrowest": (7, "c", 0.5)},
            {"witness": "b", "n": 4, "formula": "f", "paper": 5, "built": 9, "narrowest": (7, "c", 0.5)},
            {"witness": "c", "n": 4, "formula": "f", "paper": 5, "built": 9, "narrowest": None}]  # fmt: skip
    page = width.table(rows)
    assert "| a | 4 | f | 100 | 9 | 7 | c | 0.5 |" in page and "| c | 4 | f | 5 | 9 | none |  |  |" in page
    assert "1 constructions are narrower than the paper's constants: a." in page


def test_the_published_page_is_of_this_form(width) -> None:
    """At least five constructions below the papers' constants."""
    page = (SOURCE.parents[1] / "docs" / "results" / "width.md").read_text()
    assert page.splitlines()[:8] == width.table([]).splitlines()[:8]
    rows = [row.split(" | ") for row in page.splitlines() if row.startswith("| ") and "-" in row[:20]]
    narrower = {row[0] for row in rows if int(row[5]) < int(row[3].replace(",", ""))}
    assert len(narrower) >= 5
