"""separatrix learn: train an experiment's models, and read its table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import DryRun, Json, lines, numbers, print_json

STORE = Path("separatrix-out/runs")
Precision = Annotated[
    str, typer.Option(help="fp32; or bf16: training multiplies in bfloat16, and its runs are kept apart.")
]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def learn(
        name: Annotated[str, typer.Argument(metavar="EXPERIMENT|list", help="`list` names the experiments.")],
        size: Annotated[
            str, typer.Option(help="quick (minutes), paper (days), or middle where there is one.")
        ] = "quick",
        store: Annotated[Path, typer.Option(help="Folder of the run store.")] = STORE,
        workers: Annotated[str, typer.Option(help="local, local:K, ray or ray://ADDRESS.")] = "local",
        device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
        precision: Precision = "fp32",
        compiled: Annotated[
            bool, typer.Option("--compile", help="With cuda: torch.compile the training step.")
        ] = False,
        resume: Annotated[bool, typer.Option("--resume", help="As always: finished runs are never repeated.")] = False,
        models: Annotated[str, typer.Option(help="Only these models; labels separated by ;, with * and ?.")] = "",
        across: Annotated[str, typer.Option(help="Only these values of the figure's axis: 20,50,100.")] = "",
        rates: Annotated[str, typer.Option(help="Only these learning rates: 3e-3,1e-3.")] = "",
        seeds: Annotated[int, typer.Option(help="Only so many of the first seeds; 0 for all.")] = 0,
        figure: Annotated[
            Path | None, typer.Option(help="Draw what the store holds into this .svg, .png or .pdf.")
        ] = None,
        tensorboard: Annotated[Path | None, typer.Option(help="Write every run's curve for TensorBoard.")] = None,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        """Train an experiment of the papers. Killed at any moment, it goes on where it stopped when called again."""
        from separatrix.core.errors import InputError
        from separatrix.learn.board import Board
        from separatrix.learn.experiment import points
        from separatrix.learn.experiments import registry
        from separatrix.learn.figure import write_figure
        from separatrix.learn.part import Part
        from separatrix.learn.passes import require_precision
        from separatrix.learn.plot import require_figure
        from separatrix.learn.recipe import known_precision
        from separatrix.learn.store import Store
        from separatrix.learn.sweep import Result, estimate, sweep

        if name == "list":
            listed = [{"name": e.name, "title": e.title, "source": e.source} for _, e in registry.items()]
            if as_json:
                print_json(listed)
            else:
                lines(text for row in listed for text in (row["name"], f"    {row['title']}", f"    {row['source']}"))
            return
        experiment = registry.get(name)
        wanted, rounded = experiment.size(size), known_precision(precision)
        if compiled and not device.startswith("cuda"):
            raise InputError(f"--compile goes with --device cuda, not with {device}")
        if figure is not None:
            require_figure(figure)
        patterns = tuple(word.strip() for word in models.split(";") if word.strip())
        part = Part(patterns, numbers("--across", across), numbers("--rates", rates), seeds)
        planned = [run.at(rounded) for run in part.of(experiment, experiment.runs(wanted))]
        for run in planned:
            require_precision(run.make_task(), run.arch, rounded)
        if dry_run:
            known = Store(store).has(run.key for run in planned) if (store / "runs.db").exists() else set()
            left = [run for run in planned if run.key not in known]
            cost = {"done": len(known)} | estimate(left)
            if as_json:
                print_json(cost)
            else:
                spent = f"about {span(cost['seconds'])} of CPU time at most, {cost['bytes'] / 1e6:.3g} MB"
                lines([f"{len(left)} runs to train ({len(known)} are in {store}): {spent}"])
            return
        kept = Store(store)
        done = len(kept.has(run.key for run in planned))
        if not as_json and done:
            lines([f"{done} of {len(planned)} runs are in {store} already"])
        keys = {run.key for run in planned}
        board = None if tensorboard is None else Board(tensorboard)
        for row in kept.finished() if board is not None and done else ():
            if row.run.key in keys and board is not None:
                board.add(row.experiment, row.run, kept.curve(row.run.key), row.metrics)

        def tell(result: Result) -> None:
            if board is not None:
                board.add(name, result.run, result.trained.curve, result.metrics)
            step(result)

        with _bar(len(planned), done, as_json) as step:
            sweep(
                name,
                planned,
                experiment.measure,
                kept,
                workers=workers,
                device=device,
                compiled=compiled,
                progress=tell,
            )
        rows = [row for row in kept.finished() if row.run.key in keys]  # experiments share runs
        found = points(experiment, rows)
        if figure is not None:
            write_figure(figure, experiment, size, found)
        if as_json:
            print_json([{field: getattr(p, field) for field in p.__slots__} for p in found])
            return
        across = experiment.x[0].replace("*", "")
        lines([f"across: {across}; values: {experiment.y_title if experiment.curve else experiment.y}"])
        lines([f"{'model':40} {'across':>6} {'median':>10} {'worst':>10} {'best':>10} {'seeds':>5} {'solved':>6}"])
        for p in found:
            ends = f"{p.worst:10.4g} {p.best:10.4g} {p.seeds:5d} {p.solved:6d}"
            lines([f"{p.label:40} {p.x:6g} {p.median:10.4g} {ends}"])
        if experiment.report is not None:
            lines(experiment.report(kept, rows))


@contextmanager
def _bar(total: int, done: int, quiet: bool) -> Iterator:
    """Tells of every finished run: a progress bar on a terminal, lines elsewhere."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            job = bar.add_task("training", total=total, completed=done)
            yield lambda result: bar.update(job, advance=1, description=result.run.label)
    else:

        def tell(result) -> None:
            trained = result.trained
            text = f"{result.run.label}, N = {result.run.n}: {trained.state} after {trained.steps} steps"
            print(f"{text}, {result.seconds:.1f} s", file=sys.stderr, flush=True)

        yield tell


def span(seconds: float) -> str:
    """A time in words.

    >>> span(40), span(4000), span(2e6)
    ('40 s', '1.11 hours', '23.1 days')
    """
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
