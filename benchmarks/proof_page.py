"""The accuracy-against-proof table as Markdown, seeds of one architecture in one line, and as CSV, a model a line."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.proof_grid import Row
from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically

Told = dict[str, dict[str, Any]]  # by column
HEADER = (
    "| task | N | heads | MLP | seeds | accuracy | cells | proved | refuted | open | models | prover, s | kernel, s "
    "| intervals | CROWN | HiGHS | z3 |",
    "|---|--:|--:|--:|--:|---|--:|--:|--:|--:|---|--:|--:|--:|--:|---|---|",
)
VERDICTS = ("proved", "refuted", "open")
MARKS = "<!-- table: python -m benchmarks.accuracy_against_proof -->", "<!-- end of table -->"
FIELDS = (
    ("accuracy", "accuracy"), ("proof", "proved"), ("proof", "refuted"), ("proof", "open"), ("proof", "verdict"),
    ("proof", "seconds"), ("proof", "kernel"), ("intervals", "proved"), ("crown", "proved"), ("crown", "cells"),
    ("crown", "seconds"), ("highs", "decided"), ("highs", "cells"), ("highs", "seconds"), ("z3", "decided"),
    ("z3", "cells"), ("z3", "seconds"), ("proof", "counterexample"),
)  # fmt: skip


def write(folder: Path, rows: list[Row], page: Path | None) -> list[Path]:
    """table.md and table.csv of the rows that are there; both also into a page, between its marks, and beside it."""
    made = [(row, told) for row in rows if "proof" in (told := read(folder / row.name))]
    text = "\n".join([*facts(made), "", *table(made)])
    paths = [folder / "table.md", folder / "table.csv"]
    write_atomically(paths[0], (text + "\n").encode())
    write_atomically(paths[1], sheet(made).encode())
    if page is not None:
        start, end = MARKS
        old = page.read_text() if page.exists() else ""
        if old.count(start) != 1 or old.count(end) != 1:
            raise InputError(f"{page}: the table goes between two lines {start} and {end}, which are not there")
        new = f"{old.split(start)[0]}{start}\n\n{text}\n\n{end}{old.split(end)[1]}"
        write_atomically(page, new.encode())
        write_atomically(page.with_suffix(".csv"), sheet(made).encode())
        paths += [page, page.with_suffix(".csv")]
    return paths


def read(folder: Path) -> Told:
    """What is known of a model."""
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json") if path.stem != "config"}


def facts(made: list[tuple[Row, Told]]) -> list[str]:
    """What the table comes to, a sentence for models without and one for those with a ReLU layer."""
    lines = []
    for name, hidden in (("Without a ReLU layer", False), ("With one", True)):
        told = [one for row, one in made if bool(row.mlp) is hidden]
        if not told:
            continue
        counts = [sum(one["proof"][verdict] for one in told) for verdict in VERDICTS]
        flawless = [one["proof"] for one in told if one["accuracy"]["accuracy"] == 1.0]
        right, wrong = ([p for p in flawless if p["verdict"] == verdict] for verdict in ("proved", "refuted"))
        sizes = [(p["refuted"], sum(p[v] for v in VERDICTS)) for p in wrong]
        worst = max(sizes, key=lambda pair: pair[0] / pair[1], default=(0, 0))
        total, share = sum(counts), percent(sum(counts[:2]), sum(counts))
        text = f"- **{name}**: {len(told)} models of {total:,} cells, {share} decided: "
        text += f"{counts[0]:,} proved, {counts[1]:,} refuted, {counts[2]:,} open. {len(flawless)} models answer all "
        text += f"{told[0]['accuracy']['samples']:,} random inputs right; {len(right)} of these are right on every "
        text += f"input, {len(wrong)} are wrong on some"
        lines.append(text + (f", one of them in {worst[0]} of its {worst[1]} cells." if wrong else "."))
    return lines


def title(row: Row) -> str:
    """The task with its parameters."""
    given = ", ".join(f"{value} {key}" for key, value in row.parameters if value is not True)
    return f"{row.task}, {given}" if given else row.task


def table(made: list[tuple[Row, Told]]) -> list[str]:
    """Lines of Markdown, in the order of task, symbols, length, MLP and heads."""

    def key(pair: tuple[Row, Told]) -> tuple[Any, ...]:
        row = pair[0]
        return row.task, row.parameters, row.n, row.mlp, row.heads

    lines = list(HEADER)
    for _, some in groupby(sorted(made, key=key), key):
        group = list(some)
        row, told = group[0][0], [pair[1] for pair in group]
        proofs = [one["proof"] for one in told]
        counts = [sum(proof[name] for proof in proofs) for name in VERDICTS]
        shares = [percent(count, sum(counts)) for count in counts]
        found = [proof["verdict"] for proof in proofs]
        verdicts = [f"{found.count(one)} {one}" for one in ("proved", "refuted", "unknown") if one in found]
        kernel = [proof["kernel"] for proof in proofs if proof["verdict"] == "proved"]
        entries = [title(row), row.n, row.heads, row.mlp or "-", len(group)]
        entries += [span(one["accuracy"]["accuracy"] for one in told), sum(counts) // len(group), *shares]
        entries += [", ".join(verdicts), middle(proof["seconds"] for proof in proofs), middle(kernel)]
        entries += [share(told, "intervals"), share(told, "crown"), tried(told, "highs"), tried(told, "z3")]
        lines.append("| " + " | ".join(map(str, entries)) + " |")
    return lines


def percent(part: int, whole: int) -> str:
    """A share; 100% and 0% only where they are exact.

    >>> percent(1, 3), percent(9999, 10000), percent(1, 10000), percent(0, 5)
    ('33%', '99.9%', '0.1%', '0%')
    """
    if part in (0, whole):
        return "100%" if part else "0%"
    exact = 100 * part / whole
    return f"{exact:.0f}%" if 1 <= exact <= 99 else f"{min(99.9, max(0.1, exact)):.1f}%"


def span(numbers: Iterable[float]) -> str:
    """Least and greatest, or the one that they all are."""
    every = [f"{number:.5f}" for number in numbers]
    return min(every) if min(every) == max(every) else f"{min(every)} to {max(every)}"


def middle(numbers: Iterable[float]) -> str:
    """The median, in two digits."""
    every = list(numbers)
    return f"{statistics.median(every):.2g}" if every else "-"


def share(told: list[Told], column: str) -> str:
    """Share of cells that a method proves."""
    some = [one[column] for one in told if column in one]
    return percent(sum(one["proved"] for one in some), sum(one["cells"] for one in some)) if some else "-"


def tried(told: list[Told], column: str) -> str:
    """Cells that a solver decides, of those that it was asked about, and its seconds a cell."""
    some = [one[column] for one in told if column in one]
    if not some:
        return "-"
    decided, cells = (sum(one[name] for one in some) for name in ("decided", "cells"))
    return f"{decided} of {cells}, {sum(one['seconds'] for one in some) / cells:.2g} s"


def sheet(made: list[tuple[Row, Told]]) -> str:
    """CSV: the row, then every number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ["name", "task", "n", "heads", "mlp", "seed", "steps", "width", "learning_rate"]
    writer.writerow(names + [f"{column}_{field}" for column, field in FIELDS])
    for row, told in made:
        numbers = [told.get(column, {}).get(field, "") for column, field in FIELDS]
        writer.writerow(
            [getattr(row, name) for name in names]
            + [f"{number:.6g}" if isinstance(number, float) else number for number in numbers]
        )
    return out.getvalue()
