"""How far the prover `circuit` gets with quantised models in a given time: three families, from small to large N.

Usage: python -m benchmarks.quantised [--seconds 300] [-o FILE]

lookup: one layer by codes of positions. equality: two attention layers and a feed-forward layer, by codes. trained: two
attention and two feed-forward layers of width 8, trained on index lookup of 2 symbols until 1,000 answers are right,
then quantised with many bits and with few. A family ends at the first N that is not decided in time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.depth.prover import Budget, decide
from separatrix.depth.specimens import equality_by_codes, lookup_by_codes
from separatrix.models.model import Model
from separatrix.tasks.equality import Equality
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import Outcome

HEAD = ("family", "N", "input bits", "semantics", "verdict", "seconds")
Row = tuple[str, int, Task, Model, str]


def built() -> Iterator[Iterator[Row]]:
    """Rows of the two families that are built, each from small to large."""
    lookup, equality = IndexLookup(2), Equality()
    yield (
        ("lookup", n, lookup, lookup_by_codes(lookup, n), "bits:4.2,weights:2,scores:4.0,exp:10")
        for n in (8, 16, 24, 32, 48, 64, 96, 128, 160)
    )
    yield (
        ("equality", n, equality, equality_by_codes(equality, n), "bits:5.2,weights:2,scores:4.0,exp:8")
        for n in (8, 16, 20, 24, 28, 32, 36, 40, 44, 48)
    )


def trained(n: int) -> Iterator[Row]:
    """One run, two quantisations: rows of the third family."""
    from separatrix.learn.simple import train

    task = IndexLookup(2)
    layers = (Attention(1, 4, 4, residual=True), FeedForward(8, residual=True)) * 2
    arch = Arch(8, Table(n + 2, n + 1), layers, Readout(2))
    run = train(task, n, arch, seed=0, steps=600, learning_rate=0.01, patience=1)
    for semantics in ("bits:11.5,weights:6,scores:9.4,exp:24", "bits:8.3,weights:4,scores:6.2,exp:18"):
        yield "trained", n, task, run.model, semantics


def main() -> None:
    """Prints the table as it goes, as Markdown; writes it to a file on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="for each model")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--trained", type=int, nargs="*", default=[6, 7, 8, 10, 12, 14, 16])
    options = parser.parse_args()
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    print("\n".join(lines), flush=True)

    def report(row: Row) -> Outcome:
        family, n, task, model, semantics = row
        outcome = decide(model, task, n, Semantics.parse(semantics), Budget(options.seconds))
        words = f"{task.domain(n).log2_inputs():.0f} | {semantics} | {outcome.verdict}"
        lines.append(f"| {family} | {n} | {words} | {outcome.seconds:.1f} |")
        print(lines[-1], flush=True)
        return outcome

    for family in built():
        for row in family:
            if report(row).verdict == "unknown":
                break
    for n in options.trained:
        for row in trained(n):
            report(row)
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
