"""Widths of the stream: as built, as the papers' formulas say, and the narrowest that the kernel accepts.

Usage: python -m benchmarks.width [--n 64 256] [-o docs/results/width.md]    (a minute or two)

The narrowest one is searched for over codes (every width from the least upwards, several draws of random ones) and
temperatures (multiples of the one that the code's inner products ask for, from the smallest); the first model that the
kernel proves right on every input is the entry. Other constructions are fixed, and only their temperature is searched.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from separatrix.can import codes, registry
from separatrix.can.code_lookup import code_lookup
from separatrix.can.parts import code_bits
from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically
from separatrix.core.task import Task
from separatrix.models import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.nearest_neighbour import NearestNeighbour
from separatrix.verify.provers import certify

SIZES = (64, 256)
TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 2.0)  # times what the construction takes
DRAWS = 8
GAMMA = 0.25  # inner products of the papers' codes


def code(n: int, gamma: float = GAMMA) -> int:
    """Entries of random signs with all inner products below gamma, by the paper's count (8 / gamma^2) ln 2N.

    >>> code(64), code(256)
    (622, 799)
    """
    return math.ceil(8 / gamma**2 * math.log(2 * n))


@dataclass(frozen=True, slots=True)
class Line:
    """One construction: the width that its paper's formula gives for the task at N, and that formula in words."""

    witness: str
    parameters: dict[str, object]
    paper: Callable[[Task, int], int]
    formula: str


def _bits(task: Task) -> int:
    return code_bits(int(getattr(task, "symbols", getattr(task, "labels", 2))))


def _near(task: Task, n: int) -> int:
    """Codes of 2N positions with inner products up to a hundredth of the margin, 2/dim for nearest neighbours."""
    margin = 2 / (task.dim if isinstance(task, NearestNeighbour) else code_bits(int(getattr(task, "keys", 2))))
    dim = task.dim if isinstance(task, NearestNeighbour) else code_bits(int(getattr(task, "keys", 2)))
    return dim + 3 * code(2 * n, margin / 100) + 2


LOOKUP = "⌈log₂\\|Σ\\|⌉ + 2k, k = 128 ln 2N"
NEAREST = "d + 3k + 2, k = 8·10⁴ ln(4N)/γ², γ = 2/d"
LINES = (
    Line("index-lookup-random", {}, lambda t, n: _bits(t) + 2 * code(n), LOOKUP),
    Line("index-lookup-chirp", {}, lambda t, n: _bits(t) + 2 * code(n), LOOKUP),
    Line("index-lookup-quadratic", {}, lambda t, n: _bits(t) + 2 * code(n), LOOKUP),
    Line("equality-two-layer", {}, lambda t, n: 3 + 2 * code(n), "2 + 2k + 1, k = 128 ln 2N"),
    Line("disjointness-two-layer", {}, lambda t, n: 1 + 3 * code(n + 1), "1 + 3k, k = 128 ln 2(N + 1)"),
    Line("clauses-two-layer", {"formula": "1 -2, 3 4"}, lambda t, n: 1 + 3 * code(n + 1), "1 + 3k, as above"),
    Line("nearest-neighbour-two-layer", {"dim": 4}, _near, NEAREST),
    Line("nearest-neighbour-pointer", {"dim": 4}, _near, NEAREST),
    Line("associative-recall-two-layer", {"keys": 256, "labels": 2}, _near, f"{NEAREST}, d = ⌈log₂\\|keys\\|⌉"),
    Line("multi-query-recall-two-layer", {"keys": 8, "labels": 2}, _near, f"{NEAREST}, d = ⌈log₂\\|keys\\|⌉"),
)
LONGEST = {
    "multi-query-recall-two-layer": 8,
    "nearest-neighbour-two-layer": 64,
    "nearest-neighbour-pointer": 16,
    "associative-recall-two-layer": 64,
}


def families(witness: str, n: int) -> Iterator[tuple[str, np.ndarray]]:
    """Codes of N positions of the witness's kind, narrowest first."""
    least = max(1, math.ceil(math.log2(n)))
    if witness == "index-lookup-random":
        for k in range(least, code(n) + 1):
            for seed in range(DRAWS):
                yield f"signs, k = {k}", codes.random_signs(n, k, seed)
    elif witness == "index-lookup-chirp":
        for prime in codes.odd_primes(math.isqrt(n - 1) + 1):
            yield f"chirps, P = {prime}", codes.chirps(n, prime)


def sharpened(model: Model, factor: float) -> Model:
    """The model with every score of its first layer multiplied."""
    name = "layers.0.query"
    return Model(model.arch, {**model.tensors, name: model.tensors[name] * np.float32(factor)})


def narrowest(line: Line, task: Task, n: int) -> tuple[int, str, float] | None:
    """(width, code, share of its temperature) of the narrowest model that is proved; None where none was."""
    witness = registry.get(line.witness)
    tried: Iterator[tuple[str, Model]]
    if isinstance(task, IndexLookup) and line.witness != "index-lookup-quadratic":
        usable = ((name, v) for name, v in families(line.witness, n) if codes.least_norm(v) > codes.coherence(v))
        tried = ((name, code_lookup(task, vectors)) for name, vectors in usable)
    else:
        tried = iter([("as built", witness.build(task, n))])
    for name, model in tried:
        for factor in TEMPERATURES:
            if certify(sharpened(model, factor), task, n, method=witness.method).verdict == "proved":
                return model.transformer.width, name, factor
    return None


def rows(sizes: tuple[int, ...]) -> Iterator[dict[str, object]]:
    """One a construction and N."""
    for line in LINES:
        witness = registry.get(line.witness)
        task = _task(line)
        for n in sorted({min(n, LONGEST.get(line.witness, n)) for n in sizes}):
            try:
                built = witness.size(task, n).width
            except InputError:
                continue
            found = narrowest(line, task, n)
            row = {"witness": line.witness, "n": n, "formula": line.formula, "paper": line.paper(task, n)}
            yield row | {"built": built, "narrowest": found}


def _task(line: Line) -> Task:
    from separatrix.tasks import make_task

    return make_task(registry.get(line.witness).task, line.parameters)


def table(found: list[dict[str, object]]) -> str:
    """The page."""
    narrow = sorted({str(row["witness"]) for row in found if _less(row)})
    lines = [
        "# Widths: the papers' constants, what is built, and the narrowest that is proved",
        "",
        "Width of the stream. `Narrowest`: the first model that the kernel proves right on every input, over codes of",
        "growing width and temperatures from a quarter of the construction's own; `as built`: keys are no codes, so",
        "only the temperature was searched. Command: `python -m benchmarks.width`.",
        "",
        "| witness | N | paper's formula | paper | built | narrowest proved | code | temperature |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        best = row["narrowest"]
        width, name, factor = best if isinstance(best, tuple) else ("none", "", "")
        cells = (row["witness"], row["n"], row["formula"], f"{row['paper']:,}", row["built"], width, name, factor)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += [
        "",
        f"{len(narrow)} constructions are narrower than the paper's constants: {', '.join(narrow)}.",
        "",
        "The paper's codes buy a fixed temperature; a narrow code pays in temperature, hence in bits of a score, for",
        "what it saves in width. As long as codes differ, exact arithmetic does not mind.",
        "",
    ]
    return "\n".join(lines)


def _less(row: dict[str, object]) -> bool:
    best = row["narrowest"]
    return isinstance(best, tuple) and int(str(best[0])) < int(str(row["paper"]))


def main() -> None:
    """Prints the table, and writes it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    found = []
    for row in rows(tuple(options.n)):
        print(row, flush=True)
        found.append(row)
    text = table(found)
    print(text)
    if options.out:
        write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
