"""Exact verdicts for trained models of several heads: cells by verdict, seconds of prover and kernel.

Usage: python -m benchmarks.heads [--large]    (trains the models first; --large adds N = 64)
"""

from __future__ import annotations

import argparse
import statistics

from separatrix.kernel import judge
from separatrix.learn import one_layer, train
from separatrix.tasks import make_task
from separatrix.verify.provers import certify
from separatrix.verify.provers.survey import survey

ROWS = [(16, 4, 2, 32, 400), (16, 4, 4, 32, 400), (16, 4, 8, 32, 400), (32, 8, 4, 32, 300)]
LARGE = [(64, 4, 2, 48, 600), (64, 4, 4, 48, 600), (64, 4, 8, 48, 600)]


def row(n: int, symbols: int, heads: int, width: int, steps: int, seed: int) -> str:
    """One trained model: accuracy on fresh inputs, cells proved, refuted and undecided, medians of three."""
    task = make_task("index-lookup", {"symbols": symbols})
    made = train(task, n, one_layer(task, n, width, heads), seed=seed, steps=steps, learning_rate=1e-2)
    tallies = [survey(made.model, task, n) for _ in range(3)]
    outcomes = [certify(made.model, task, n, method="heads") for _ in range(3)]
    tally, outcome = tallies[0], outcomes[0]
    kernel = "-"
    if outcome.verdict == "proved" and outcome.certificate is not None:
        certificate = outcome.certificate
        checks = [judge(certificate, made.model.arch, made.model.tensors).seconds for _ in range(3)]
        kernel = f"{statistics.median(checks):.3f}"
    setting = f"{n:>3} {symbols:>2} {heads:>2} {steps:>5} {seed:>4}  {made.accuracy:.4f}"
    cells = f"{tally.proved:>4} {tally.refuted:>4} {tally.undecided:>4}"
    seconds = [statistics.median(run.seconds for run in runs) for runs in (tallies, outcomes)]
    return f"{setting}  {cells}  {seconds[0]:>8.2f}  {outcome.verdict:>8} {seconds[1]:>8.3f}  {kernel:>6}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="add N = 64")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    print("  N  S  H steps seed  accuracy  proved/refuted/undecided  seconds   verdict  certify  kernel")
    for settings in ROWS + (LARGE if options.large else []):
        for seed in range(options.seeds):
            print(row(*settings, seed), flush=True)


if __name__ == "__main__":
    main()
