"""Accuracy on random inputs beside the share of cells proved: trained one-layer models of index lookup.

Usage: python -m benchmarks.accuracy_against_proof [--seeds 3] [--samples 100000] [-o FILE]

Each row is one trained model. A cell is (index i, symbol s at position i): the model is right on a cell if it answers s
whatever the other positions hold. `proved` and `refuted` are the prover's counts (refuted cells come with an input that
was evaluated on the model); the last column is the kernel's verdict on the whole model.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from separatrix.core.seeds import child
from separatrix.learn import accuracy, one_layer, train
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import certify
from separatrix.verify.provers.survey import survey

GRID = (  # N, symbols, heads, steps
    (16, 4, 1, 400),
    (16, 4, 2, 400),
    (16, 4, 4, 400),
    (16, 4, 8, 400),
    (32, 4, 1, 500),
    (32, 4, 2, 500),
    (32, 8, 4, 600),
    (64, 4, 1, 600),
    (64, 4, 2, 600),
)
WIDTH, LEARNING_RATE, CELL_LIMIT = 64, 3e-3, 120.0


@dataclass(frozen=True, slots=True)
class Line:
    """One trained model."""

    n: int
    symbols: int
    heads: int
    seed: int
    accuracy: float
    proved: int
    refuted: int
    undecided: int
    seconds: float
    verdict: str

    def markdown(self) -> str:
        """A row of the table."""
        share = self.proved / (self.proved + self.refuted + self.undecided)
        return (
            f"| {self.n} | {self.symbols} | {self.heads} | {self.seed} | {self.accuracy:.5f} | {share:.0%} | "
            f"{self.proved} / {self.refuted} / {self.undecided} | {self.seconds:.2f} | {self.verdict} |"
        )


def measure(n: int, symbols: int, heads: int, steps: int, seed: int, samples: int) -> Line:
    """Trains, tests on random inputs, decides every cell."""
    task = IndexLookup(symbols)
    arch = one_layer(task, n, WIDTH, heads)
    trained = train(task, n, arch, seed=seed, steps=steps, learning_rate=LEARNING_RATE)
    right = accuracy(trained.model, task, n, samples, child(seed, "test", n, symbols, heads))
    start = time.perf_counter()
    if heads == 1:  # the separable prover decides the model as a whole; one refuted cell is all that it looks for
        verdict = certify(trained.model, task, n).verdict
        spent = time.perf_counter() - start
        whole = (n * symbols, 0, 0) if verdict == "proved" else (0, 1, n * symbols - 1)
        return Line(n, symbols, heads, seed, right, *whole, spent, verdict)
    tally = survey(trained.model, task, n, seconds=CELL_LIMIT)
    spent = time.perf_counter() - start
    verdict = certify(trained.model, task, n).verdict
    return Line(n, symbols, heads, seed, right, tally.proved, tally.refuted, tally.undecided, spent, verdict)


def main() -> None:
    """Prints the table, and writes it to -o."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("-o", type=Path, default=None, metavar="FILE")
    options = parser.parse_args()
    rows = [
        "| N | symbols | heads | seed | accuracy | cells proved | proved / refuted / open | seconds | model |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print(*rows, sep="\n", flush=True)
    for n, symbols, heads, steps in GRID:
        for seed in range(options.seeds):
            rows.append(measure(n, symbols, heads, steps, seed, options.samples).markdown())
            print(rows[-1], flush=True)
    if options.o is not None:
        options.o.parent.mkdir(parents=True, exist_ok=True)
        options.o.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
