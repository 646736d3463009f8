"""separatrix build: a witness as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import OPEN, DryRun, Json, N, Out, Settings, lines, print_json, read_task, telling


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(context_settings=OPEN)
    def build(
        context: typer.Context,
        name: Annotated[str, typer.Argument(metavar="WITNESS|TASK", help="A task means its narrowest witness.")],
        n: N,
        settings: Settings = None,
        out: Out = None,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        """Write a construction's weights, and the certificate that they are right on every input."""
        from separatrix import can
        from separatrix.atlas.cost import estimate
        from separatrix.atlas.evidence import prove_witness
        from separatrix.core.errors import InputError, UnknownError

        names = [name] if name in can.registry else [w.name for _, w in can.registry.items() if w.task == name]
        if not names:
            can.registry.get(name)  # raises with the nearest names
        witnesses = [can.registry.get(one) for one in names]
        problem = read_task(witnesses[0].task, settings, context.args)
        problem.domain(n)
        reasons, sized = [], []
        for witness in witnesses:
            try:
                sized.append((witness.size(problem, n).width or 0, witness))
            except InputError as error:
                reasons.append(str(error))
        if not sized:
            raise InputError("; ".join(reasons))
        sized.sort(key=lambda pair: pair[0])
        if dry_run:
            rows = [estimate(witness, problem, n) for _, witness in sized]
            if as_json:
                print_json({"estimates": [row.to_json() for row in rows]})
            else:
                lines(str(row) for row in rows)
            return
        for _, witness in sized:
            folder = out or Path(f"separatrix-out/build-{witness.name}-n{n}")
            with telling(as_json) as progress:
                progress(f"building {witness.name}")
                proof = prove_witness(witness, problem, n, folder, progress=progress)
            if proof.certificate is None:
                reasons.append(f"{witness.name}: {proof.sentence}")
                continue
            if as_json:
                named = {"witness": witness.name, "folder": str(folder), "size": proof.size.to_json()}
                print_json(named | {"certificate": str(proof.certificate)})
            else:
                lines([f"{witness.name} in {folder}", f"  {proof.sentence}", f"  source: {witness.source}"])
                lines(["  size: " + ", ".join(f"{k} {v}" for k, v in proof.size.to_json().items())])
            return
        raise UnknownError("; ".join(reasons))
