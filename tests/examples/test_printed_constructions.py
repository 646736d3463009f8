"""Printed constructions fail where the example says so, and the repaired ones do not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "printed_constructions.py"


@pytest.fixture(scope="module")
def printed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("printed_constructions", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_everything_fails_as_printed_and_holds_as_repaired(
    printed: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed.main() == 0
    assert "as printed" in capsys.readouterr().out


def test_the_nearest_other_symbol_is_what_leads_astray(printed: ModuleType) -> None:
    """Symbol 1 occurs at the start and asks at the end; a key of symbol 2 is closer on the ring."""
    word = np.array([[1, 2, 0, 0, 0, 0, 0, 1]])
    assert printed.last_occurrence(word, 3, 8) > 0 == printed.last_occurrence(word, 3, 16)


def test_hops_of_the_two_recursions(printed: ModuleType) -> None:
    assert [k for k in range(1, 33) if printed.printed_hops(k) == k] == [1]
    assert all(printed.repaired_hops(k) == k for k in range(1, 200))
