"""separatrix show: how a model works, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import OPEN, Json, N, Settings, lines, print_json, read_task, telling


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(context_settings=OPEN)
    def show(
        context: typer.Context,
        name: Annotated[str, typer.Argument(metavar="WITNESS|MODEL", help="`list witnesses`, or a model folder.")],
        n: N,
        task: Annotated[str, typer.Option(help="Task name; needed with a model folder.")] = "",
        out: Annotated[
            Path | None, typer.Option("-o", "--out", help="HTML file; default separatrix-out/show-NAME-nN.html")
        ] = None,
        tokens: Annotated[
            str | None, typer.Option(help="The input: symbol ids (pointer sets as 0,1,2), or real numbers.")
        ] = None,
        seed: Annotated[int, typer.Option(help="Of the input that is drawn where no tokens are given.")] = 0,
        distribution: Annotated[str, typer.Option(help="Of the task, for the drawn input.")] = "uniform",
        settings: Settings = None,
        as_json: Json = False,
    ) -> None:
        """Draw how a model works on one input: attention patterns, named parts of the stream, the flow in words."""
        from separatrix import can
        from separatrix.atlas.walk import read_input, walk
        from separatrix.core.errors import InputError
        from separatrix.core.files import write_atomically
        from separatrix.draw.walk import walk_html
        from separatrix.models import Model

        if seed < 0:
            raise InputError(f"--seed {seed}: a number from 0 on is needed")
        witness = None if name not in can.registry and Path(name).is_dir() else can.registry.get(name)
        if witness is None and not task:
            raise InputError(f"{name} is a model folder: name its task with --task (`list tasks`)")
        if witness is not None and task not in ("", witness.task):
            raise InputError(f"--task {task}: {name} is a witness of {witness.task}; leave --task out")
        problem = read_task(task if witness is None else witness.task, settings, context.args)
        given, reals = read_input(problem, n, tokens, seed, distribution)
        with telling(as_json) as progress:
            progress(f"building {name}" if witness else f"reading {name}")
            model = Model.load(Path(name)) if witness is None else witness.build(problem, n)
            title = Path(name).resolve().name if witness is None else name
            about = {"model": model.arch.kind, "layers": str(len(model.arch.layers)), "width": str(model.arch.width)}
            about |= {} if witness is None else {"size": witness.formula, "source": witness.source}
            progress("drawing")
            page = walk(model, problem, n, given, reals, title, about)
        path = out or Path(f"separatrix-out/show-{title}-n{n}.html")
        write_atomically(path, walk_html(page).encode())
        facts, shown = dict(page.facts), problem.show(given, reals)
        if as_json:
            print_json({"page": str(path), "input": shown, "facts": facts})
        else:
            lines([f"{title} on {shown}", f"  answer: {facts['answer']}"])
            lines([f"  agrees with the task: {facts['agrees with the task']}", f"  page: {path}"])
