"""separatrix certify: prove or refute a model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from separatrix.cli.options import OPEN, DryRun, Json, N, Out, Settings, lines, print_json, read_task, telling

if TYPE_CHECKING:
    import numpy as np

    from separatrix.core.task import Task
    from separatrix.verify.provers.survey import Survey

WORST = 5  # cells that are shown
EXIT = {"proved": 0, "checked": 0, "refuted": 1, "unknown": 3}


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(context_settings=OPEN)
    def certify(
        context: typer.Context,
        model: Annotated[Path, typer.Argument(help="Model folder: model.safetensors and config.json.")],
        task: Annotated[str, typer.Option(help="Task that the model should compute.")],
        n: N,
        semantics: Annotated[str, typer.Option(help="real, fp32, bf16, fp16, float:24[,tree], bits:8.4")] = "real",
        method: Annotated[str, typer.Option(help="auto, or a prover of `separatrix list provers`.")] = "auto",
        least_precision: Annotated[
            bool, typer.Option("--least-precision", help="Find the least p that certifies under float:p[,tree].")
        ] = False,
        seconds: Annotated[
            float | None, typer.Option("--time", help="Seconds of search; the verdict is what is known then.", min=0.0)
        ] = None,
        workers: Annotated[int, typer.Option(help="Processes that decide cells.", min=1)] = 1,
        resume: Annotated[
            bool, typer.Option("--resume", help="Go on from the partial results of a run that was cut short.")
        ] = False,
        settings: Settings = None,
        out: Out = None,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        """Prove the model right on every input, or find an input on which it errs.

        Exit code 0 proved (or checked: right on every input, on a solver's word), 1 refuted, 3 unknown.
        The certificate goes beside the model (or to -o, with a copy of it).
        Cells of one-layer models are decided one by one: how many are proved, refuted and undecided, and the worst of
        them. Until all are decided, partial results lie beside the model (or in -o), for --resume.
        With --least-precision the certificate is about the least p; sums are in any order unless the semantics say
        `,tree` (as in --semantics float:24,tree), whose bits are not read.
        """
        import separatrix.depth.prover  # noqa: F401  (registers `circuit`)
        from separatrix.atlas.cost import certify_seconds
        from separatrix.core.errors import InputError
        from separatrix.core.semantics import Semantics
        from separatrix.models import Model
        from separatrix.verify import provers
        from separatrix.verify.provers.precision import least_precision as least

        problem = read_task(task, settings, context.args)
        arithmetic = Semantics.parse(semantics)
        if arithmetic.bits is not None and (least_precision or dry_run):
            raise InputError(f"{arithmetic}: --least-precision and --dry-run are about real numbers and floats")
        loaded = Model.load(model)
        problem.domain(n)
        if dry_run:
            guess = certify_seconds(loaded.size(problem.domain(n).positions), problem, n)
            guess *= 7 if least_precision else 1  # 53 bits, then a bisection of 52 numbers
            if as_json:
                print_json({"seconds": guess})
            else:
                lines([f"certify {model}: about {guess:.3g} s"])
            return
        with telling(as_json) as progress:
            progress(f"certifying {model.name or model}")
            bits, name = None, ""
            if least_precision:
                tree = arithmetic.spec is not None and arithmetic.spec.tree
                with provers.within(seconds):
                    bits, outcome = least(loaded, problem, n, tree, method, progress)
                name = f"-float{bits}" + "-tree" * tree
                survey = None
            else:
                made = provers.examine(
                    loaded, problem, n, arithmetic, method, seconds=seconds, workers=workers,
                    partial=out or model, resume=resume, progress=progress,
                )  # fmt: skip
                outcome, survey = made.outcome, made.survey
        path = None
        if outcome.certificate is not None:
            folder = out or model
            loaded.save(folder)
            path = outcome.certificate.write(folder, f"{outcome.verdict}-{task}-n{n}{name if bits else ''}")
        failing = None
        if outcome.counterexample is not None:
            tokens, query = outcome.counterexample
            failing = {"tokens": tokens.tolist(), "query": query, "shown": _shown(problem, tokens)}
            failing |= provers.answers(loaded, problem, n, tokens, query)
        cells = None if survey is None else _cells(survey, problem)
        if as_json:
            print_json(
                {
                    "verdict": outcome.verdict,
                    "certificate": None if path is None else str(path),
                    "counterexample": failing,
                    "sentence": outcome.sentence,
                    "seconds": outcome.seconds,
                    "cells": cells,
                    "worst_error": None if outcome.worst_error is None else dataclasses.asdict(outcome.worst_error),
                }
                | ({"least_precision": bits} if least_precision else {})
            )
        else:
            lines([f"{outcome.verdict}: {outcome.sentence}"])
            if bits is not None:
                lines([f"  least precision: {bits} bits (significand, the hidden bit counted)"])
            if failing is not None:
                lines([f"  input: {failing['shown']}"])
            if failing is not None and "logits" in failing:
                logits = ", ".join(f"{x:.4g}" for x in failing["logits"][:8]) + ", ..." * (len(failing["logits"]) > 8)
                lines([f"  right: {failing['right']}, the model: {failing['model']} (outputs {logits})"])
            if cells is not None:
                lines(
                    [f"  cells: {cells['proved']} proved, {cells['refuted']} refuted, {cells['undecided']} undecided"]
                )
                lines(f"    {row['verdict']}, {_margin(row)}: {row['cell']}" for row in cells["worst"])
            if path is not None:
                lines([f"  certificate: {path}"])
            lines([f"  {outcome.seconds:.2f} s"])
        raise typer.Exit(EXIT[outcome.verdict])


def _shown(problem: Task, words: np.ndarray) -> str:
    """One line for a failing input: tokens, or the real words of a positional transformer."""
    if words.dtype.kind != "f":
        return problem.show(words)
    return problem.show(words.astype(int), words.reshape(len(words), -1))


def _cells(survey: Survey, task: Task) -> dict[str, Any]:
    """The summary of a survey, as JSON values."""
    from separatrix.verify.provers.examine import cell_in_words

    rows = [
        {
            "verdict": cell.verdict,
            "cell": cell_in_words(task, cell),
            "margin_above": cell.low,
            "margin_found": cell.found,
            "tokens": cell.tokens.tolist(),
            "query": cell.query,
        }
        for cell in survey.worst(WORST)
    ]
    return {"proved": survey.proved, "refuted": survey.refuted, "undecided": survey.undecided, "worst": rows}


def _margin(row: dict[str, Any]) -> str:
    """What is known of a cell's least margin."""
    if row["verdict"] == "proved":
        return f"margin above {row['margin_above']:.4g}"
    return f"margin {row['margin_found']:.4g} found" if row["margin_found"] < float("inf") else "margin not known"
