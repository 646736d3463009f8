"""Accuracy on random inputs beside the share of cells proved: trained one-layer models, and what other methods decide.

Usage: python -m benchmarks.accuracy_against_proof [-o DIR] [--quick] [--crown PYTHON] [--solver SECONDS] [--page FILE]

Trains the grid of `proof_grid`, and writes table.md and table.csv into DIR. Every number is kept as it is made: the
same command goes on where a killed one stopped. Models lie in DIR too, so that a column can be made `--again`.

A cell is a set of inputs with one answer: index i with symbol s there; a number of ones; a key that asks, with its
pair's place and label. Seconds are CPU seconds of one thread.

  proof      every cell by the kernel's verdict, the verdict on the model, and what the kernel takes to judge that again
  intervals  cells that interval propagation through the softmax proves, each position's columns taken exactly
  crown      cells of 32 that CROWN (auto_LiRPA) proves; --crown names the Python that has it, see `crown.py`
  highs, z3  cells of 4 that a mixed integer or an SMT solver decides, each within --solver seconds; small models only
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import solvers
from benchmarks.cell_tables import cells_of
from benchmarks.intervals import proves
from benchmarks.proof_grid import Row, grid, quick
from benchmarks.proof_page import read, write
from benchmarks.proof_row import decided, model_of, tested
from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically
from separatrix.models import Model

COLUMNS = ("accuracy", "proof", "intervals", "crown", "highs", "z3")
SOLVED = 4  # cells a model that the solvers are asked about
Tell = Callable[[str], None]


def measured(row: Row, model: Model, column: str, options: argparse.Namespace, tell: Tell) -> dict[str, Any] | None:
    """One entry of the table; None where there is none for this row."""
    match column:
        case "accuracy":
            return tested(row, model, options.samples)
        case "proof":
            return decided(row, model, options.limit, tell)
        case "intervals":
            start, found = time.process_time(), [proves(cell) for cell in cells_of(model, row.problem, row.n)]
            return {"cells": len(found), "proved": sum(found), "seconds": time.process_time() - start}
        case "highs" | "z3":
            if not options.solver or row.seed or row.n > 16 or row.heads > 4 or (column == "z3" and row.mlp):
                return None
            solve = solvers.highs if column == "highs" else solvers.smt
            return solvers.decide(solve, list(cells_of(model, row.problem, row.n, SOLVED)), options.solver)
    return None


def make(row: Row, options: argparse.Namespace, tell: Tell) -> None:
    """Whatever is missing of a row."""
    folder: Path = options.o / row.name
    model = model_of(row, folder, tell)
    keep(folder / "row.json", row.to_json())
    for column in COLUMNS:
        path = folder / f"{column}.json"
        if not path.exists():
            tell(column)
            told = measured(row, model, column, options, tell)
            if told is not None:
                keep(path, told)


def summary(folder: Path) -> str:
    """A row in a line."""
    told = read(folder)
    proof = told["proof"]
    counts = ", ".join(f"{proof[name]} {name}" for name in ("proved", "refuted", "open"))
    return f"accuracy {told['accuracy']['accuracy']:.5f}; cells: {counts}; {proof['seconds']:.2f} s"


def keep(path: Path, told: dict[str, Any]) -> None:
    """Written whole or not at all."""
    write_atomically(path, (json.dumps(told, indent=1) + "\n").encode())


def main() -> int:
    """Makes what is missing, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", type=Path, default=Path("separatrix-out/accuracy-against-proof"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="the smallest models, one seed: some minutes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=100_000, help="random inputs that accuracy is measured on")
    parser.add_argument("--limit", type=float, default=60.0, metavar="SECONDS", help="of search a model (60)")
    parser.add_argument("--solver", type=float, default=20.0, metavar="SECONDS", help="a cell (20); 0: no solvers")
    parser.add_argument("--crown", metavar="PYTHON", help="of the environment that `crown.py` describes")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows with this in their name: recall, mlp0, n16")
    parser.add_argument("--again", choices=COLUMNS, help="make this column of these rows anew")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table into this page too, between its marks")
    options = parser.parse_args()
    rows = [row for row in (quick() if options.quick else grid(options.seeds)) if options.only in row.name]
    try:
        return run(options, rows)
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


def run(options: argparse.Namespace, rows: list[Row]) -> int:
    """All rows with a bar, then CROWN in its own environment, then the files."""
    if not rows or options.seeds < 1 or options.samples < 1:
        raise InputError(f"--only {options.only!r}, --seeds {options.seeds}: no row is left; take recall, mlp0, n16")
    if options.again:
        for row in rows:
            (options.o / row.name / f"{options.again}.json").unlink(missing_ok=True)
    columns = (BarColumn(30), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        job = bar.add_task("", total=len(rows))
        for row in rows:
            make(row, options, lambda text, row=row: bar.update(job, description=f"{row.name}: {text}"))
            bar.console.print(f"{row.name}: {summary(options.o / row.name)}", highlight=False, soft_wrap=True)
            bar.advance(job)
    if options.crown:
        try:
            subprocess.run([options.crown, "-m", "benchmarks.crown", str(options.o)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise InputError(f"--crown {options.crown}: {error}; see benchmarks/crown.py for the environment") from None
    for path in write(options.o, rows, options.page):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
