"""Compiling and evaluating reference heads: seconds, sizes, peak memory, inputs a second.

Usage: python -m benchmarks.circuits [--large]    (--large adds n = 64 at 4 bits and two layers at n = 32)

A gate-edge-lane is one wire of one gate's form on one input (form length once a gate). The evaluator adds nested forms
once, so it does less work than it counts; inputs a second are what to compare.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import numpy as np

from separatrix.depth.compiler import compile_network
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.measure import measure
from separatrix.models.quantise import reference_head

ROWS = [(8, 3, 1), (16, 3, 1), (16, 4, 1), (32, 3, 1)]
LARGE = [(32, 3, 2), (64, 4, 1)]


def row(n: int, p: int, layers: int, lanes: int) -> str:
    """One head with d = 4."""
    network = reference_head(n, 4, p, layers)
    builds = []
    for _ in range(3):
        start = time.perf_counter()
        circuit = compile_network(network)
        builds.append(time.perf_counter() - start)
    counts, evaluator = measure(circuit), Evaluator(circuit)
    packed = np.random.default_rng(0).integers(0, 2**63, (network.input_bits, lanes // 64), dtype=np.uint64)
    evaluator.planes(packed[:, :64])  # compile the loops
    walls, cores = [], []
    for _ in range(3):
        wall, core = time.perf_counter(), time.process_time()
        evaluator.planes(packed)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    wall, core = statistics.median(walls), statistics.median(cores)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{n:>3} {p:>2} {layers:>6} {counts.depth:>6} {counts.gates:>10,} {counts.edges:>12,} "
        f"{statistics.median(builds):>8.2f} {peak:>8.0f} {lanes / wall / 1e6:>9.3f} {lanes / core / 1e6:>10.3f} "
        f"{counts.edges * lanes / wall / 1e9:>9.0f}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    large = parser.parse_args().large
    print("  n  p layers  depth      gates        edges  build s  peak MB  M in/s  M in/core-s  G edge/s")
    for n, p, layers in ROWS + LARGE * large:
        print(row(n, p, layers, 2**16 if n < 32 else 2**13), flush=True)


if __name__ == "__main__":
    main()
