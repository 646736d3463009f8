"""separatrix check: let the kernel re-derive certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import Json, print_json, telling


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def check(
        paths: Annotated[list[Path], typer.Argument(metavar="CERTIFICATE|DIR...", help="Files, or folders to search.")],
        engine: Annotated[str, typer.Option(help="fast (balls in float64), or arb (any precision, slow).")] = "fast",
        load: Annotated[
            list[Path] | None, typer.Option(help="Python file with the functions that certificates are about.")
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Re-check certificates from scratch; nothing lying beside one is executed.

        Exit code 0 when all are accepted, else the worst of 1 rejected, 2 unusable, 3 undecided (1 before 2 before 3).
        """
        from separatrix.core.errors import InputError
        from separatrix.kernel import judge_file

        if engine not in ("fast", "arb"):
            raise InputError(f"--engine {engine}: take fast or arb")
        from separatrix.tasks.own import load as load_file

        for file in load or []:
            load_file(file)
        files: list[Path] = []
        for path in paths:
            found = sorted(path.rglob("*.cert.json")) if path.is_dir() else [path]
            if not found:
                raise InputError(f"{path}: no *.cert.json in this folder")
            files += found
        rows, codes = [], set()
        for file in files:
            with telling(as_json) as progress:
                progress(f"checking {file.name}")
                verdict = judge_file(file, progress, engine)
            codes.add(verdict.exit_code)
            rows.append(
                {
                    "certificate": str(file),
                    "accepted": verdict.accepted,
                    "sentence": verdict.sentence,
                    "guarantee": str(verdict.guarantee) if verdict.guarantee else None,
                    "trusted": list(verdict.trusted),
                    "seconds": verdict.seconds,
                }
            )
            if not as_json:
                word = {0: "accepted", 1: "REJECTED", 2: "UNUSABLE", 3: "UNDECIDED"}[verdict.exit_code]
                print(f"{word}: {file}")
                print(f"  {verdict.guarantee}: {verdict.sentence}" if verdict.accepted else f"  {verdict.sentence}")
                if "unknown task 'own-" in verdict.sentence:
                    print("  it is about a function of its author's: give the file with --load FILE")
                if verdict.accepted:
                    print(f"  trusted: {', '.join(verdict.trusted)}; {verdict.seconds:.2f} s")
        if as_json:
            print_json({"accepted": codes == {0}, "certificates": rows})
        elif len(files) > 1:
            print(f"{sum(row['accepted'] is True for row in rows)} of {len(files)} accepted")
        raise typer.Exit(next((code for code in (1, 2, 3) if code in codes), 0))
