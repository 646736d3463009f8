"""The command-line application; each command stands in a file of its own."""

from __future__ import annotations

import typer

from separatrix.cli import (
    ask,
    atlas,
    audit,
    bound,
    build,
    certify,
    check,
    circuit,
    learn,
    listing,
    program,
    protocol,
    refute,
    runs,
    show,
)

app = typer.Typer(
    name="separatrix",
    help="Ask what an architecture of a given size can compute, and get a witness either way.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
MODULES = (
    atlas, ask, build, show, certify, check, bound, refute, protocol, audit, circuit, program, learn, runs, listing,
)  # fmt: skip
for module in MODULES:
    module.register(app)
