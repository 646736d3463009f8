"""The page's part on depth: the reference head over lengths, every witness as a circuit, and the table of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from separatrix.atlas.circuits import CircuitRow
from separatrix.atlas.words import TASKS
from separatrix.depth.classes import TABLE
from separatrix.draw import Deep, Growth, Page, Row, Series, Statement, number

READ = {"abstract": "abstract read", "statement": "statement read", "recalled": "from memory"}

NOTE = (
    "Levels of gates, outputs read as forms. Transformers are rescaled by powers of two, rounded to the fewest bits at "
    "which the answers stay right, and their softmax is taken at its limit, hard attention; recurrent models are "
    "unrolled as they are. Every circuit was compared with its emulator bit for bit on samples, and the emulator with "
    "the task: on every input where there are 65,536 or fewer, else on 4,096 samples (checked, not proved)."
)


def statements() -> tuple[Statement, ...]:
    """The table of classes, each line with how it is known."""
    return tuple(Statement(_printed(r.subject), _printed(r.statement), f"{r.source} ({READ[r.read]})") for r in TABLE)


def _printed(text: str) -> str:
    """Plain text with its exponents raised.

    >>> _printed("log^d n <= 2^-poly(n)")
    'log^{d} n ≤ 2^{−poly(n)}'
    """
    raised = re.sub(r"\^(-?\w+(?:\(n\))?)", lambda m: f"^{{{m[1].replace('-', '−')}}}", text.replace("<=", "≤"))
    return raised.replace("`", "")


def growth_figure(result: dict[str, Any]) -> Growth:
    """The picture of `depth.report.scaling`."""
    rows, depths = result["rows"], result["depths"]
    sizes = tuple(
        Series(name, tuple((r["n"], r[key]) for r in rows), f"*n*^{{{result['fits'][key]['exponent']:.2f}}}")
        for name, key in (("edges", "edges"), ("entries stored", "stored"), ("gates", "gates"))
    )
    flat = f"depth {depths[0]} at every length" if len(depths) == 1 else f"depth {depths[0]} to {depths[-1]}"
    many = "one layer" if result["layers"] == 1 else f"{result['layers']} layers"
    return Growth(
        f"A RoPE attention head in {flat.removesuffix(' at every length')}",
        f"Softmax head as threshold gates, *d* = {result['d']}, *p* = {result['p']} bits, {many}, causal",
        sizes,
        Series("depth", tuple((r["n"], r["depth"]) for r in rows), flat),
        footnote=("Every circuit was compared with the emulator of the same integers; rotations are constants and cost "
                  "no gate. Exponents are fitted to all points.",),
    )  # fmt: skip


def with_circuits(page: Page, rows: Sequence[CircuitRow]) -> Page:
    """The page with the column on depth and the list of circuits; unchanged without rows."""
    if not rows:
        return page
    lengths = tuple(sorted({row.n for row in rows}))
    names = list(dict.fromkeys(row.witness for row in rows))
    listed = tuple(_listed([row for row in rows if row.witness == name], lengths) for name in names)
    by_title = {about.title: name for name, about in TASKS.items()}
    tasks = tuple(replace(row, levels=_levels(row, by_title, rows)) for row in page.rows)
    return replace(page, rows=tasks, lengths=lengths, circuits=listed, circuit_note=NOTE)


def _levels(row: Row, by_title: dict[str, str], rows: Sequence[CircuitRow]) -> tuple[str, str]:
    """The shallowest circuit of a task at the greatest length that any of its witnesses is compiled at."""
    mine = [r for r in rows if r.task == by_title.get(row.name)]
    made = [r for r in mine if not r.reason]
    if not made:
        return "", "not compiled" if mine else ""
    n = max(r.n for r in made)
    best = min((r for r in made if r.n == n), key=lambda r: (r.depth, r.gates))
    grows = len({r.depth for r in made if r.witness == best.witness}) > 1
    words = f"{best.depth} at *N* = {n}" if grows else f"{best.depth}"
    where = [] if grows else [f"*N* = {n}"]
    where += [best.parameters] if best.parameters else []
    return words, f"{number(best.gates)} gates" + (f" at {', '.join(where)}" if where else "")


def _listed(rows: Sequence[CircuitRow], lengths: Sequence[int]) -> Deep:
    title = f"**{rows[0].witness}**" + (f", {rows[0].parameters}" if rows[0].parameters else "")
    made = {row.n: row for row in rows if not row.reason}
    if not made:
        return Deep(title, "", (), f"not compiled: {rows[-1].reason}")
    why = {row.n: row.reason for row in rows if row.reason}
    cells = tuple(_cell(made[n]) if n in made else why.get(n, "") for n in lengths)
    numbers = "; ".join(dict.fromkeys(row.numbers for row in made.values()))
    return Deep(title, numbers, cells)


def _cell(row: CircuitRow) -> str:
    return f"**{row.depth}** levels, {number(row.gates)} gates, {number(row.edges)} edges"
