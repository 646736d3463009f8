"""separatrix bound: lower bounds with their certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import (
    OPEN,
    Alphabet,
    Circuit,
    Json,
    Load,
    N,
    Out,
    Settings,
    lines,
    print_json,
    read_problem,
    telling,
)


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(context_settings=OPEN)
    def bound(
        context: typer.Context,
        n: N,
        arch: Annotated[str, typer.Option(help="Architecture that is bounded.")],
        task: Annotated[str | None, typer.Argument(help="Task name; none with --load FILE:NAME.")] = None,
        load: Load = None,
        alphabet: Alphabet = None,
        matrix: Annotated[bool, typer.Option("--matrix", help="Enumerate the communication matrix (small N).")] = False,
        cut: Annotated[int | None, typer.Option(help="Alice holds the positions before it.")] = None,
        circuit: Circuit = False,
        search: Annotated[bool, typer.Option("--search", help="Search, too, without theorems.")] = False,
        hint: Annotated[Path | None, typer.Option(help="JSON file with a code or a gadget to check.")] = None,
        time: Annotated[float, typer.Option(help="Seconds of processor time for searches.")] = 60.0,
        settings: Settings = None,
        out: Out = None,
        as_json: Json = False,
    ) -> None:
        """The best lower bound for this task and architecture, with a certificate. Exit code 3 if there is none."""
        from separatrix.atlas.evidence import matrix_floors, state_bound
        from separatrix.atlas.portfolio import best_of, own_floors
        from separatrix.cannot import bounds_for
        from separatrix.core.errors import InputError
        from separatrix.core.families import family
        from separatrix.tasks.own import OwnTask

        problem = read_problem(task, load, alphabet, circuit, settings, context.args)
        task = problem.name
        problem.domain(n)
        if not time > 0:
            raise InputError(f"--time {time}: a positive number of seconds is needed")
        folder = out or Path(f"separatrix-out/bound-{task}-n{n}")
        floors = []
        with telling(as_json) as progress:
            for one in bounds_for(problem.name, family(arch).bounds_of):
                progress(one.name)
                floors.append(state_bound(one, problem, n, folder / one.name))
            if isinstance(problem, OwnTask) or search or hint is not None:
                floors += own_floors(problem, n, family(arch).bounds_of, cut, folder, progress, hint=hint, seconds=time)
            elif matrix or cut is not None:
                if family(arch).bounds_of != "rnn":
                    raise InputError(f"--matrix bounds what a recurrent model carries; {arch} is none")
                progress("communication matrix")
                floors += matrix_floors(problem, n, cut, folder)
        best = best_of(floors)
        if as_json:
            print_json(
                {
                    "bits": best.bits if best else None,
                    "guarantee": best.guarantee if best else None,
                    "certificate": str(best.certificate) if best and best.certificate else None,
                    "lower_bounds": [floor.to_json() for floor in floors],
                }
            )
        else:
            for floor in floors:
                lines([f"{floor.bound}: {floor.measure} >= {floor.expression} = {floor.bits:,.6g} ({floor.guarantee})"])
                lines([f"  {floor.sentence if floor.vacuous is None else 'no bound bites: ' + floor.vacuous}"])
                lines([f"  {floor.source}; counted as {floor.merge}"])
                if floor.certificate is not None:
                    lines([f"  certificate: {floor.certificate}"])
            if not floors:
                lines([f"no lower bound is known here for {task} by {arch}; that says nothing about the task"])
        raise typer.Exit(0 if best else 3)
