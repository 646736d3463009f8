"""separatrix program: a program of parallel computation, its compiled weights, and how far they stray from it."""

from __future__ import annotations

from typing import Annotated

import typer

from separatrix.cli.options import Json, N, lines, print_json, telling

SAMPLES = 64
CUT = 160  # characters of one round that are printed


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def program(
        name: Annotated[str, typer.Argument(help="A library program, such as sort or prefix-sums.")],
        n: N,
        backend: Annotated[
            str, typer.Option(help="direct; benes, benes-weights (permutations); sortnet, sortnet-packed (route).")
        ] = "direct",
        scale: Annotated[int, typer.Option(help="Compare at scales 1 to this.")] = 10,
        seed: Annotated[int, typer.Option(help="Of the compared inputs.")] = 0,
        as_json: Json = False,
    ) -> None:
        """Print a program, compile it to a positional transformer, and compare both at every scale of the input."""
        from separatrix.can.programs.compare import compiled, deviation
        from separatrix.core.errors import InputError

        if seed < 0:
            raise InputError(f"--seed {seed}: a number from 0 on is needed")
        rows = []
        with telling(as_json) as progress:
            progress(f"compiling {name}")
            made = compiled(name, n, backend, scale)
            for c in range(1, scale + 1):
                progress(f"{c} of {scale} scales")
                (far, top), (single, _) = (deviation(made, c, SAMPLES, seed, d) for d in ("float64", "float32"))
                rows.append({"scale": c, "answer": top, "float64": far, "float32": single})
        size = made.model.size(n).to_json()
        worst = {d: max(row[d] / max(row["answer"], 1e-300) for row in rows) for d in ("float64", "float32")}
        if as_json:
            rounds = {"rounds": len(made.program.rounds), "lanes": made.program.lanes, "words": made.program.words}
            print_json({"program": name, **rounds, "backend": backend, "size": size, "scales": rows, "relative": worst})
            return
        lines(text if len(text) <= CUT else text[:CUT] + " .." for text in str(made.program).splitlines())
        lines([f"compiled by {backend}: " + ", ".join(f"{k} {v}" for k, v in size.items())])
        lines([f"against the interpreter, {SAMPLES} inputs a scale: scale, largest answer, error in float64, float32"])
        lines(f"  {r['scale']:>4} {r['answer']:>10.4g} {r['float64']:>10.2g} {r['float32']:>10.2g}" for r in rows)
        lines([f"relative to the largest answer: {worst['float64']:.1g} in float64, {worst['float32']:.1g} in float32"])
