"""What the commands share: task parameters, size flags, output folders, JSON."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from separatrix.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from separatrix.core.size import Size
    from separatrix.core.task import Task

N = Annotated[int, typer.Option("--n", help="Input length N (what it counts: `list tasks`).")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of text.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Output folder; default separatrix-out/<command>-...")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Task parameter, as name=value; or --name value.")]
Load = Annotated[
    str | None, typer.Option(help="FILE:NAME, a function of yours on (batch, n) arrays; or FILE, to register.")
]
Alphabet = Annotated[int | None, typer.Option(help="With --load FILE:NAME: symbols 0 .. K-1.")]
Circuit = Annotated[bool, typer.Option("--circuit", help="With --load FILE:NAME: read it as a circuit.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print estimates of time, memory and size; do nothing.")]
OPEN = {"allow_extra_args": True, "ignore_unknown_options": True}


def read_task(name: str, settings: list[str] | None, extra: list[str]) -> Task:
    """The task with its parameters from `--set q=4`, `--q 4` or `--q=4`; InputError for anything else."""
    from separatrix.tasks import make_task

    values: dict[str, object] = {}
    for setting in settings or []:
        key, sign, value = setting.partition("=")
        if not sign:
            raise InputError(f"--set {setting!r}: write name=value")
        values[key.replace("-", "_")] = value
    rest = list(extra)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--"):
            raise InputError(f"argument {flag!r} is not understood")
        key, sign, value = flag[2:].partition("=")
        if not sign:
            if not rest or rest[0].startswith("--"):
                value = "true"  # a flag such as --distinct-indices
            else:
                value = rest.pop(0)
        values[key.replace("-", "_")] = value
    return make_task(name, values)


def read_problem(
    task: str | None,
    load: str | None,
    alphabet: int | None,
    circuit: bool,
    settings: list[str] | None,
    extra: list[str],
) -> Task:
    """A task by name, perhaps from a file that registers it, or a function of a file: FILE:NAME and an alphabet."""
    from separatrix.tasks.own import load as load_file
    from separatrix.tasks.own import own_task

    if task is None and load is None:
        raise InputError("give a task name, or --load FILE:NAME for a function of your own")
    if task is None:
        return own_task(load or "", alphabet, circuit)
    if load is not None and ":" in load:
        raise InputError(f"give either the task {task} or --load FILE:NAME")
    if load is not None:
        load_file(Path(load))
    return read_task(task, settings, extra)


def read_size(
    layers: int | None,
    heads: int | None,
    width: int | None,
    key_width: int | None,
    value_width: int | None,
    state_bits: int | None,
    precision: str | None,
) -> Size:
    """The components that were given; InputError for numbers that are not positive."""
    from separatrix.core.size import Precision, Size

    given = {"layers": layers, "heads": heads, "width": width, "key-width": key_width, "value-width": value_width}
    for name, value in {**given, "state-bits": state_bits}.items():
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: a positive number is needed")
    exact = Precision.parse(precision) if precision else None
    if state_bits is not None:
        if exact is not None:
            raise InputError("--state-bits counts bits; give no --precision with it")
        exact = Precision(1, "stored")
    return Size(layers, heads, width, key_width, value_width, None, state_bits, None, exact)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of a list with commas, `20,50,100`; InputError for anything else."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        found = tuple(float(word) for word in words)
    except ValueError as error:
        raise InputError(f"{option} {text!r}: write numbers with commas between them, like 20,50,100") from error
    if not all(map(math.isfinite, found)):
        raise InputError(f"{option} {text!r}: every number must be finite")
    return found


def print_json(value: Any) -> None:
    """One JSON object on stdout; infinities become strings."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


@contextmanager
def telling(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar or spinner with a clock on stderr that shows what is being done; silent with --json or without a tty."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), BarColumn(24), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        job = progress.add_task("starting", total=None)

        def tell(text: str) -> None:
            share = re.match(r"([0-9,]+) of ([0-9,]+) ", text)  # "17 of 1,024 cells": the bar knows how far it is
            done, total = (float(part.replace(",", "")) for part in share.groups()) if share else (None, None)
            progress.update(job, description=text, completed=done, total=total)

        yield tell


def lines(texts: Iterable[str]) -> None:
    """Prints lines of text."""
    for text in texts:
        print(text)
