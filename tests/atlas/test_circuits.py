"""Witnesses as circuits in the atlas: rows, their files, the column and the list on the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from separatrix.atlas import circuits as room
from separatrix.atlas.circuits import CircuitJob, circuit_jobs, run_circuit, run_circuits
from separatrix.atlas.depth import with_circuits
from separatrix.atlas.table import page
from separatrix.can import registry
from separatrix.core.errors import InputError
from separatrix.draw import page_html

SOME = ("dyck-elman", "equality-two-layer", "k-hop-doubling", "sorting-program", "match2-circle")


def jobs(folder: Path, lengths: tuple[int, ...] = (4,)) -> list[CircuitJob]:
    return [CircuitJob(name, lengths, 50_000, str(folder)) for name in SOME]


def test_every_witness_of_the_atlas_has_a_job(tmp_path: Path) -> None:
    planned = circuit_jobs("quick", tmp_path)
    assert {job.witness for job in planned} == {name for name, w in registry.items() if w.task in room.TASKS}
    with pytest.raises(InputError, match="preset"):
        circuit_jobs("nothing", tmp_path)


def test_rows_say_depth_and_size_or_why_not_and_stand_on_the_page(tmp_path: Path) -> None:
    rows = {row.witness: row for row in run_circuits(jobs(tmp_path), 1)}
    assert (rows["dyck-elman"].depth, rows["equality-two-layer"].depth) == (6, 8)
    assert rows["equality-two-layer"].every and rows["equality-two-layer"].tried == 16
    assert all(row.gates and row.edges and row.compared for row in rows.values() if not row.reason)
    assert "real numbers" in rows["sorting-program"].reason and rows["match2-circle"].parameters == "modulus = 17"
    assert "about 58,816 gates, more than 50,000" in rows["k-hop-doubling"].reason
    made = with_circuits(page([], tmp_path), list(rows.values()))
    assert {row.name: row.levels for row in made.rows}["Equality"] == ("8", "816 gates at *N* = 4")
    assert {row.name: row.levels for row in made.rows}["Sorting"] == ("", "not compiled")
    html = page_html(made)
    assert html.count('class="deep"') == len(made.rows) and 'id="circuits"' in html
    assert "6</b> levels" in html and "not compiled: its inputs and outputs are real numbers" in html
    assert 'class="deep"' not in page_html(page([], tmp_path)) and with_circuits(made, []) is made


def test_a_second_run_reads_its_file_and_other_questions_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_circuit(jobs(tmp_path)[0])
    kept = json.loads((tmp_path / "dyck-elman.json").read_text())
    assert (kept["asked"]["lengths"], kept["asked"]["most_gates"]) == ([4], 50_000)

    def fail(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(room, "_rows", fail)
    assert run_circuit(jobs(tmp_path)[0]) == first
    with pytest.raises(AssertionError, match="again"):
        run_circuit(jobs(tmp_path, (6,))[0])
