"""separatrix refute: an input on which the model errs, beside what random testing needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import OPEN, Json, N, Out, Settings, lines, print_json, read_task, telling

RANDOM_FACTOR = 100  # random testing goes on for so many times the search's own evaluations, within its budget


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(context_settings=OPEN)
    def refute(
        context: typer.Context,
        model: Annotated[Path, typer.Argument(help="Model folder.")],
        task: Annotated[str, typer.Option(help="Task name.")],
        n: N,
        method: Annotated[str, typer.Option(help="A refuter (`list refuters`), or auto.")] = "auto",
        budget: Annotated[float, typer.Option(help="Forward passes, at most.")] = 20_000,
        seed: Annotated[int, typer.Option(help="Of the search and of random testing.")] = 0,
        distribution: Annotated[str, typer.Option(help="Of the task, for samples; default uniform.")] = "",
        settings: Settings = None,
        out: Out = None,
        as_json: Json = False,
    ) -> None:
        """Look for an input on which the model errs. Exit code 1 refuted, 3 nothing found.

        One evaluation is a forward pass at length N; part of a pass counts in proportion, a gradient counts three. The
        certificate goes beside the model (or to -o, with a copy of it).
        """
        from separatrix.core.domain import Labels
        from separatrix.models import Model
        from separatrix.verify.refuters import random_testing
        from separatrix.verify.refuters import refute as search

        problem, loaded = read_task(task, settings, context.args), Model.load(model)
        with telling(as_json) as progress:
            progress(f"refuting {model.name or model}")
            result = search(loaded, problem, n, method, budget, seed, distribution, progress)
            beside = None
            if isinstance(problem.outputs(), Labels):
                progress("random testing")
                limit = min(budget, max(1.0, RANDOM_FACTOR * result.evaluations))
                beside = random_testing(loaded, problem, n, limit, seed, distribution)
        path = None
        if result.certificate is not None:
            folder = out or model
            loaded.save(folder)
            path = result.certificate.write(folder, f"refuted-{task}-n{n}")
        failing = None
        if result.counterexample is not None:
            tokens, query = result.counterexample
            failing = {"tokens": tokens.tolist(), "query": query, "shown": problem.show(tokens)}
        if as_json:
            print_json(
                {
                    "verdict": result.verdict,
                    "certificate": None if path is None else str(path),
                    "counterexample": failing,
                    "guarantee": None if result.guarantee is None else str(result.guarantee),
                    "method": result.method,
                    "evaluations": result.evaluations,
                    "random_testing": None if beside is None else {"evaluations": beside[0], "failed": beside[1]},
                    "sentence": result.sentence,
                    "seconds": result.seconds,
                }
            )
        else:
            known = "" if result.guarantee is None else f" ({result.guarantee}, by {result.method})"
            lines([f"{result.verdict}{known}: {result.sentence}"])
            if failing is not None:
                lines([f"  input: {failing['shown']}"])
            lines([f"  evaluations: {result.evaluations:,.10g}"])
            if beside is not None:
                found = "first failing input at" if beside[1] else "no failing input in"
                lines([f"  random testing: {found} {beside[0]:,.0f} evaluations"])
            if path is not None:
                lines([f"  certificate: {path}"])
            lines([f"  {result.seconds:.2f} s"])
        raise typer.Exit(1 if result.verdict == "refuted" else 3)
