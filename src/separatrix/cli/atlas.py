"""separatrix atlas: the table of verdicts, charts, certificates, page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import DryRun, Json, lines, print_json


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def atlas(
        preset: Annotated[str, typer.Option(help="quick (minutes) or full (hours).")] = "quick",
        out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")] = Path("separatrix-out/atlas"),
        workers: Annotated[int | None, typer.Option(help="Processes; default: one a core.")] = None,
        runs: Annotated[
            Path | None, typer.Option(help="Run store whose trained models are drawn; default: the package's table.")
        ] = None,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        """Build witnesses, certify them, compute bounds, re-check every certificate, and write the page.

        Finished certificates in the output folder are re-checked, not redone, so that an interrupted run goes on.
        """
        from separatrix.atlas.circuits import circuit_jobs, run_circuits
        from separatrix.atlas.cost import estimate
        from separatrix.atlas.run import Result, plan, run
        from separatrix.atlas.trained import known_dots
        from separatrix.atlas.write import write_atlas
        from separatrix.can import registry
        from separatrix.core.jobs import default_workers

        if runs is not None:
            known_dots(runs)  # a wrong folder is said before the work
        planned, deep = plan(preset, out), circuit_jobs(preset, out)
        count = workers or default_workers()
        if dry_run:
            rows = [estimate(registry.get(j.name), j.make_task(), j.n) for j in planned if j.kind == "witness"]
            total = 2 * sum(row.seconds for row in rows) / count  # certified once, re-checked once
            if as_json:
                print_json({"jobs": len(planned), "seconds": total, "estimates": [row.to_json() for row in rows]})
            else:
                lines(str(row) for row in rows)
                lines([f"{len(planned)} jobs, about {total:.3g} s on {count} cores"])
            return
        if as_json or not sys.stderr.isatty():
            results = run(planned, count)
            circuits = run_circuits(deep, count)
        else:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
                job = bar.add_task("starting", total=len(planned))

                def step(result: Result) -> None:
                    bar.update(job, advance=1, description=f"{result.job.name} N = {result.job.n}")

                results = run(planned, count, step)
                job = bar.add_task("circuits", total=sum(len(one.lengths) for one in deep))
                circuits = run_circuits(
                    deep, count, lambda row: bar.update(job, advance=1, description=f"circuit of {row.witness}")
                )
        summary = write_atlas(results, out, circuits=circuits, store=runs)
        if as_json:
            print_json(summary)
        else:
            _table(results)
            accepted = sum(bool(r.guarantee) for r in results)
            compiled = sum(not row.reason for row in circuits)
            lines([f"{accepted} certificates accepted by the kernel", f"{compiled} circuits compiled",
                   f"page: {out / 'index.html'}"])  # fmt: skip
        raise typer.Exit(1 if any(r.failed for r in results) else 0)


def _table(results: list) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in ("task", "N", "what", "bits across the cut", "guarantee", "check"):
        side = "right" if head in ("N", "bits across the cut", "check") else "left"
        table.add_column(head, justify=side, no_wrap=True, max_width=40 if head == "guarantee" else None)
    for result in results:
        bits = "" if result.bits is None else f"{result.bits:,.0f}"
        word = "can: " if result.job.kind == "witness" else "needs: "
        name = word + result.job.name + (f" ({result.job.semantics})" if result.job.semantics else "")
        verdict = result.guarantee or result.sentence
        table.add_row(result.job.task, f"{result.job.n:,}", name, bits, verdict, f"{result.check_seconds:.2f} s")
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)
