"""Lower bounds found without theorems: bits of the best searched certificate, and what the whole command took.

Usage: python -m benchmarks.searches [-o docs/results/searches.md]    (three minutes)

Each row is one `separatrix bound TASK --search` in a process of its own, with every certificate judged by the kernel;
the theorems' certificates, which the same command writes, are left out of the bits. Then the ranks of random Boolean
matrices.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from separatrix.cannot import registry
from separatrix.cannot.engine.rank import rank_gf2, rank_mod
from separatrix.core.files import write_atomically


@dataclass(frozen=True, slots=True)
class Search:
    """A task, its size, and the textbook's bits across the best cut."""

    task: str
    n: int
    textbook: str
    arch: str = "rnn"
    parameters: tuple[str, ...] = ()

    def run(self) -> tuple[float, str, str, float]:
        """(bits, name of the certificate, its guarantee, seconds) of the best one that no theorem wrote."""
        program = str(Path(sys.executable).with_name("separatrix"))
        words = [program, "bound", self.task, "--n", str(self.n), "--arch", self.arch, "--search", "--json"]
        words += [word for pair in self.parameters for word in ("--set", pair)]
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([*words, "--out", folder], capture_output=True, text=True, check=False)
        spent = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{' '.join(words[1:])}: {done.stderr}")
        theorems = set(registry)
        found = [row for row in json.loads(done.stdout)["lower_bounds"] if row["name"] not in theorems]
        best = max(found, key=lambda row: row["bits"])
        return best["bits"], best["name"], best["guarantee"], spent


SEARCHES = (
    Search("index-lookup", 512, "512", parameters=("symbols=2",)),
    Search("index-lookup", 4096, "4,096", parameters=("symbols=2",)),
    Search("equality", 512, "256"),
    Search("disjointness", 512, "256"),
    Search("inner-product", 512, "256"),
    Search("greater-than", 512, "256"),
    Search("sparse-averaging", 64, "63", parameters=("q=2",)),
    Search("nearest-neighbour", 16, "16", parameters=("dim=6",)),
    Search("associative-recall", 64, "64", parameters=("keys=64", "labels=2")),
    Search("match3", 32, "30", parameters=("modulus=257",)),
    Search("majority", 101, "5.7"),
    Search("parity", 101, "1"),
    Search("dyck", 12, "11 of a partition", "transformer"),
    Search("dyck", 128, "127 of a partition", "transformer"),
)


def ranks() -> list[str]:
    """Lines on a random 4,096 x 4,096 matrix of bits; compiled code is loaded on a small one first."""
    bits = np.random.default_rng(0).integers(0, 2, (4096, 4096), dtype=np.uint8)
    lines = []
    for name, rank in (("GF(2)", rank_gf2), ("GF(p), p = 1,048,573", rank_mod)):
        rank(bits[:64, :64])
        start = time.perf_counter()
        found = rank(bits)
        lines.append(f"| {name} | {found:,} | {time.perf_counter() - start:.2f} s |")
    return lines


def main() -> None:
    """Prints the tables, and writes them with -o."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path)
    out = parser.parse_args().out
    lines = [
        "# Lower bounds found without theorems",
        "",
        "`python -m benchmarks.searches`: each row is one command, `separatrix bound TASK --search`, its start, the",
        "theorems and the kernel's checks included, on two cores without a GPU. Theorems' bits are left out.",
        "",
        "| task | N | architecture | textbook, bits | found, bits | by | guarantee | command |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for search in SEARCHES:
        bits, name, guarantee, spent = search.run()
        label = " ".join((search.task, *search.parameters))
        lines.append(
            f"| {label} | {search.n:,} | {search.arch} | {search.textbook} | {bits:,.2f} | {name} | {guarantee} "
            f"| {spent:.1f} s |"
        )
        print(lines[-1], flush=True)
    lines += ["", "Ranks of a random 4,096 x 4,096 matrix of zeros and ones:", ""]
    lines += ["| field | rank | time |", "|---|---|---|", *ranks()]
    print("\n".join(lines[-4:]))
    if out is not None:
        write_atomically(out, ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
