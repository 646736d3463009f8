"""separatrix ask: a verdict with witnesses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    read_size,
    telling,
)

if TYPE_CHECKING:
    from separatrix.atlas.ask import Answer

EXIT = {"can": 0, "cannot": 1, "unknown": 3}


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(context_settings=OPEN)
    def ask(
        context: typer.Context,
        n: N,
        task: Annotated[
            str | None, typer.Argument(help="Task name (`list tasks`); none with --load FILE:NAME.")
        ] = None,
        arch: Annotated[str, typer.Option(help="Architecture (`separatrix list archs`).")] = "transformer",
        layers: Annotated[int | None, typer.Option(help="At most this many attention layers.")] = None,
        heads: Annotated[int | None, typer.Option(help="At most this many heads a layer.")] = None,
        width: Annotated[int | None, typer.Option(help="Residual width; for mlp the first layer's width.")] = None,
        key_width: Annotated[int | None, typer.Option(help="Key width per head.")] = None,
        value_width: Annotated[int | None, typer.Option(help="Value width per head.")] = None,
        state_bits: Annotated[int | None, typer.Option(help="Recurrent: bits carried from token to token.")] = None,
        precision: Annotated[str | None, typer.Option(help="fp32, float:24, fixed:16, stored:8, ...")] = None,
        load: Load = None,
        alphabet: Alphabet = None,
        circuit: Circuit = False,
        settings: Settings = None,
        out: Out = None,
        as_json: Json = False,
    ) -> None:
        """Can an architecture of this size compute the task? Exit code 0 can, 1 cannot, 3 unknown.

        Components that are left open may take any value. Task parameters: --set q=4, or --q 4.
        """
        from separatrix.atlas.ask import ask as decide

        problem = read_problem(task, load, alphabet, circuit, settings, context.args)
        limits = read_size(layers, heads, width, key_width, value_width, state_bits, precision)
        folder = out or Path(f"separatrix-out/ask-{problem.name}-n{n}")
        with telling(as_json) as progress:
            answer = decide(problem, n, arch, limits, folder, progress)
        if as_json:
            print_json(answer.to_json())
        else:
            lines(describe(answer))
        raise typer.Exit(EXIT[answer.verdict])


def describe(answer: Answer) -> list[str]:
    """The answer in words."""
    from separatrix.atlas.evidence import ONE_LAYER

    about = f"{answer.task} at N = {answer.n} by {answer.arch}"
    text = []
    if answer.verdict == "can" and answer.proof is not None:
        text.append(f"can: {about}")
        text.append(f"  {answer.proof.witness}: {answer.proof.sentence}")
        text.append("  size: " + ", ".join(f"{k} {v}" for k, v in answer.proof.size.to_json().items()))
    elif answer.verdict == "cannot":
        text.append(f"cannot: {about}")
    else:
        text.append(f"unknown: {about}; no certified witness fits, and no certified bound rules it out")
        if answer.nearest is not None:
            size = ", ".join(f"{k} {v}" for k, v in answer.nearest[1].to_json().items())
            text.append(f"  nearest witness: {answer.nearest[0]} ({size})")
    for floor in answer.floors:
        mark = "violated" if floor.violated else "does not rule this size out"
        if floor.vacuous is not None:
            mark = f"no bound bites: {floor.vacuous}"
        need = (
            "one attention layer needs" if floor.measure in ONE_LAYER and "layers" not in floor.expression else "needs"
        )
        text.append(f"  {need} {floor.expression} = {floor.bits:,.6g} ({floor.guarantee}; {floor.source}): {mark}")
    if answer.gap is not None:
        text.append(f"  nearest witness / nearest bound: a factor of {answer.gap:,.3g} in bits that cross the cut")
    text += [f"  note: {note}" for note in answer.notes]
    text += [f"  {line}" for line in answer.complexity]
    text += [f"  certificate: {path}" for path in answer.certificates()]
    return [*text, f"  {answer.seconds:.2f} s"]
