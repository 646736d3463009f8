"""Accuracy on random inputs beside the share of cells proved: trained one-layer models, and what other methods decide.

Usage: python -m benchmarks.accuracy_against_proof [--seeds 3] [--samples 100000] [--task NAME] [--heads H]
       [--solver SECONDS] [-o FILE]

Each row is one trained model. A cell is a set of inputs with one answer: index i with symbol s there; a number of
ones; a key that asks, with its pair's place and label. `proved` is the kernel's count, a refuted cell comes with an
input that the kernel evaluated. `intervals`: cells that interval propagation through the softmax proves, on the exact
range of every position's scores and values (it refutes none). `z3`: of SOLVED cells spread over the task, how many z3
decides (on the tables rounded to float64, as rationals), each within --solver seconds; the others are timeouts. The
last column is the kernel's verdict on the whole model.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import intervals, solver
from separatrix.core.seeds import child
from separatrix.learn import accuracy, one_layer, train
from separatrix.tasks import make_task
from separatrix.verify.provers import examine

CELL_LIMIT = 120.0  # seconds of search a model
SOLVED = 4  # cells a model that the solver is asked about


@dataclass(frozen=True, slots=True)
class Row:
    """What is trained; `mlp` hidden units after the attention, 0 for none."""

    task: str
    parameters: dict[str, Any]
    n: int
    heads: int
    steps: int
    width: int = 64
    learning_rate: float = 3e-3
    mlp: int = 0


RECALL = {"keys": 16, "labels": 2, "joined": True}
GRID = (
    *(Row("index-lookup", {"symbols": 4}, 16, h, 400) for h in (1, 2, 4, 8)),
    *(Row("index-lookup", {"symbols": 4}, 32, h, 500) for h in (1, 2)),
    Row("index-lookup", {"symbols": 8}, 32, 4, 600),
    *(Row("index-lookup", {"symbols": 4}, 64, h, 600) for h in (1, 2)),
    *(Row("majority", {}, n, h, 300, 16, 1e-2) for n in (15, 31) for h in (1, 2, 4)),
    *(Row("associative-recall", RECALL, 8, h, 600, 32, 1e-2) for h in (1, 2, 4)),
)
HEADER = (
    "| task | N | heads | MLP | seed | accuracy | proved / refuted / open | seconds | intervals | z3 | model |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


def measure(row: Row, seed: int, samples: int, solve: float) -> str:
    """Trains, tests on random inputs, decides every cell; a line of the table."""
    task = make_task(row.task, row.parameters)
    more: dict[str, Any] = {"mlp": row.mlp} if row.mlp else {}
    arch = one_layer(task, row.n, row.width, row.heads, **more)
    model = train(task, row.n, arch, seed=seed, steps=row.steps, learning_rate=row.learning_rate).model
    right = accuracy(model, task, row.n, samples, child(seed, "test", row.task, row.n, row.heads))
    start = time.perf_counter()
    made = examine(model, task, row.n, seconds=CELL_LIMIT)
    spent, survey = time.perf_counter() - start, made.survey
    counts, bound, solved = "-", "-", "-"
    if survey is not None:
        counts = f"{survey.proved} / {survey.refuted} / {survey.undecided}"
        bound = f"{intervals(model, task, row.n) / survey.cells:.0%}"
        solved = solver(model, task, row.n, SOLVED, solve) if solve else "-"
    given = ", ".join(str(v) for v in row.parameters.values() if v is not True)
    name = f"{row.task} ({given})" if given else row.task
    return (
        f"| {name} | {row.n} | {row.heads} | {row.mlp or '-'} | {seed} | {right:.5f} | "
        f"{counts} | {spent:.2f} | {bound} | {solved} | {made.outcome.verdict} |"
    )


def main() -> None:
    """Prints the table, and writes it to -o."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--task", default=None, help="rows of this task only")
    parser.add_argument("--heads", type=int, default=None, help="rows with so many heads only")
    parser.add_argument("--solver", type=float, default=0.0, metavar="SECONDS", help="ask z3 too, so long a cell")
    parser.add_argument("-o", type=Path, default=None, metavar="FILE")
    options = parser.parse_args()
    rows: list[str] = list(HEADER)
    print(*rows, sep="\n", flush=True)
    for row in GRID:
        if options.task in (None, row.task) and options.heads in (None, row.heads):
            for seed in range(options.seeds):
                rows.append(measure(row, seed, options.samples, options.solver))
                print(rows[-1], flush=True)
    if options.o is not None:
        options.o.parent.mkdir(parents=True, exist_ok=True)
        options.o.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
