"""The page's part on depth: the reference head as circuits over lengths, and the table of classes."""

from __future__ import annotations

import re
from typing import Any

from separatrix.depth.classes import TABLE
from separatrix.draw import Growth, Series, Statement

READ = {"abstract": "abstract read", "statement": "statement read", "recalled": "from memory"}


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
