"""Medians of three, in seconds, of what users wait for, and the ratio of the kernel to a plain arb loop.

Usage: python -m benchmarks [--large]    (--large adds N = 65,536, minutes each)
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from separatrix.can import registry
from separatrix.core.semantics import Semantics
from separatrix.kernel import separable
from separatrix.kernel.balls import Ball, exp
from separatrix.tasks import make_task


def median(function: Callable[[], object], times: int = 3) -> float:
    """Median wall-clock seconds."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def command(*words: str) -> float:
    """A whole command, start-up included."""
    program = str(Path(sys.executable).with_name("separatrix"))
    with tempfile.TemporaryDirectory() as folder:
        return median(lambda: subprocess.run([program, *words], capture_output=True, cwd=folder, check=False))


def kernel_check(
    witness: str, task: str, parameters: dict[str, object], n: int, semantics: str, times: int = 3
) -> float:
    """The separable check of a built witness."""
    problem = make_task(task, parameters)
    model = registry.get(witness).build(problem, n)
    arithmetic = Semantics.parse(semantics)
    return median(lambda: separable.check(problem, n, model.arch, model.tensors, arithmetic), times)


def exp_against_arb() -> float:
    """Ratio of a loop of arb exponentials (64 bits) to the kernel's, on equal arguments."""
    import flint

    arguments = np.random.default_rng(0).uniform(-50, 0, 20_000)
    balls = Ball.exact(arguments)
    ours = median(lambda: exp(balls))
    flint.ctx.prec = 64
    numbers = [flint.arb(float(x)) for x in arguments]
    return median(lambda: [x.exp() for x in numbers]) / ours


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="add N = 65,536")
    large = parser.parse_args().large
    lookup = {"symbols": 64}
    rows: list[tuple[str, Callable[[], float]]] = [
        ("separatrix --help", lambda: command("--help")),
        ("separatrix list witnesses", lambda: command("list", "witnesses")),
        ("ask index-lookup --n 64", lambda: command("ask", "index-lookup", "--n", "64")),
        ("ask match2 --n 64", lambda: command("ask", "match2", "--n", "64")),
        ("ask sparse-averaging --n 64", lambda: command("ask", "sparse-averaging", "--n", "64")),
    ]
    for n in (256, 1024):
        for name in ("index-lookup-quadratic", "index-lookup-chirp"):
            for semantics in ("real", "float:24"):
                if (name, semantics) == ("index-lookup-quadratic", "float:24") and n > 2000:
                    continue
                label = f"check {name} N = {n} ({semantics})"
                rows.append(
                    (label, lambda a=(name, n, semantics): kernel_check(a[0], "index-lookup", lookup, a[1], a[2]))
                )
    rows.append(("check match2-circle N = 64, M = 97", lambda: kernel_check("match2-circle", "match2", {}, 64, "real")))
    if large:
        for name in ("index-lookup-quadratic", "index-lookup-chirp"):
            label = f"check {name} N = 65536 (real)"
            rows.append((label, lambda name=name: kernel_check(name, "index-lookup", lookup, 65536, "real", 1)))
    for label, measure in rows:
        print(f"{label:<55} {measure():9.2f} s", flush=True)
    print(f"{'arb exp loop / kernel exp, per number':<55} {exp_against_arb():9.1f} x")


if __name__ == "__main__":
    main()
