"""separatrix circuit: a model or the reference head as a threshold circuit; families over lengths; the primitives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from separatrix.cli.options import Json, lines, print_json, telling

File = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help="Write the report (.json; with --scale .svg) or the circuit (.npz .opb .cnf .v .blif .aag .aig).",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def circuit(
        model: Annotated[
            Path | None, typer.Argument(help="A model folder; the reference RoPE head where none is given.")
        ] = None,
        semantics: Annotated[
            str, typer.Option(help="With MODEL: its numbers, as bits:5.2,weights:2,scores:4.0,exp:8.")
        ] = "bits:8.4",
        n: Annotated[int, typer.Option("--n", help="Tokens of the model, or rows of the reference head.")] = 8,
        d: Annotated[int, typer.Option("--d", help="Width of a row, even.")] = 4,
        p: Annotated[int, typer.Option("--p", help="Bits of a number.")] = 4,
        layers: Annotated[int, typer.Option("--layers", help="Attention layers.")] = 1,
        scale: Annotated[str | None, typer.Option("--scale", help="Lengths, as n=4,8,16,32,64.")] = None,
        every: Annotated[
            bool, typer.Option("--round-every", help="Round after every operation, in the floats F_p of the paper.")
        ] = False,
        norm: Annotated[
            bool, typer.Option("--norm", help="With --round-every: normalise the rows of the result.")
        ] = False,
        primitives: Annotated[bool, typer.Option("--primitives", help="The primitives and their depths.")] = False,
        full: Annotated[bool, typer.Option("--full", help="With --primitives: the larger sizes too.")] = False,
        device: Annotated[str, typer.Option("--device", help="Where the comparison runs: cpu or cuda.")] = "cpu",
        out: File = None,
        as_json: Json = False,
    ) -> None:
        """A quantised model, or the reference RoPE head, as a threshold circuit: depth, size, and what it equals.

        The model's logits at its last position are the outputs.
        """
        from separatrix.core.errors import InputError
        from separatrix.depth.export import FORMATS

        made = None
        if model is not None and (scale is not None or primitives or every):
            raise InputError("--scale, --primitives and --round-every are about the reference head, not about a model")
        if scale is not None and primitives:
            raise InputError("--scale and --primitives are two reports; ask for one")
        for name, value in (("--n", n), ("--d", d), ("--p", p), ("--layers", layers)):
            if value < 1:
                raise InputError(f"{name} {value}: a positive number is needed")
        if device != "cpu":
            from separatrix.depth.gpu import demand

            if device != "cuda":
                raise InputError(f"--device {device}: cpu or cuda")
            if scale is not None or primitives or every:
                raise InputError("--device cuda is for the comparison of one circuit, rounded once a stage")
            demand()
        if norm and not every:
            raise InputError("--norm goes with --round-every; models of the house say themselves what they normalise")
        if every and (scale is not None or layers > 1):
            raise InputError("--round-every builds one layer at one length")
        if every:
            from separatrix.depth.compiler.paper import demand_paper

            demand_paper(n, d, p)
        if not every and (p < 3 or p > 8):
            raise InputError(f"--p {p}: heads are built for 3 to 8 bits (a table has 2^p steps for every pair of rows)")
        endings = (".json", ".svg") if scale else (".json",) if primitives or every else (".json", *FORMATS)
        if out is not None and out.suffix not in endings:
            raise InputError(f"-o {out}: this report is written as {', '.join(endings)}")
        with telling(as_json) as progress:
            if primitives:
                from separatrix.depth.primitives.table import primitive_rows

                rows = primitive_rows(full, progress=progress)
                result: dict[str, Any] = {"primitives": rows}
                text = _primitive_lines(rows)
            elif scale is not None:
                from separatrix.depth.report import scaling, scaling_lines

                result = scaling(_lengths(scale), d, p, layers, progress)
                text = scaling_lines(result)
            elif every:
                from separatrix.depth.report import compiled_paper, lines_of

                result = compiled_paper(n, d, p, norm, progress)
                text = lines_of(result)
            else:
                from separatrix.depth.report import compiled, lines_of, reference

                network = reference(n, d, p, layers) if model is None else _quantised(model, n, semantics)
                made, result = compiled(network, progress, device)
                text = lines_of(result)
        if out is not None and out.suffix in FORMATS and made is not None:
            from separatrix.depth.export import write

            write(made, out)
        elif out is not None:
            _write(out, result)
        if as_json:
            print_json(result)
        else:
            lines(text)
            if out is not None:
                lines([f"written: {out}"])
        wrong = any(r["wrong"] or r["depth"] != r["stated"] for r in result.get("primitives", []))
        raise typer.Exit(1 if wrong else 0)


def _quantised(folder: Path, n: int, semantics: str):
    from separatrix.core.errors import InputError
    from separatrix.core.semantics import Semantics
    from separatrix.depth.compiler.network import MEMORY, estimate
    from separatrix.depth.model import quantised
    from separatrix.models.model import Model

    spec = Semantics.parse(semantics).bits
    if spec is None:
        raise InputError(f"--semantics {semantics}: circuits are about bits: semantics, such as bits:8.4")
    loaded = Model.load(folder)
    network = quantised(loaded.transformer, loaded.tensors, n, (n - 1,), spec)
    estimate(network).demand(MEMORY)
    return network


def _lengths(text: str) -> list[int]:
    from separatrix.core.errors import InputError

    name, sign, values = text.partition("=")
    parts = values.split(",")
    if name != "n" or not sign or not all(part.isdigit() and len(part) < 7 for part in parts):
        raise InputError(f"--scale {text!r}: write n=4,8,16")
    return [int(part) for part in parts]


def _primitive_lines(rows: list[dict[str, Any]]) -> list[str]:
    out = [f"{'primitive':<31} {'size':<12} {'weights':<7} {'stated':>6} {'depth':>6} {'gates':>8} {'edges':>11} "
           f"{'weight bits':>11} {'wrong':>10}"]  # fmt: skip
    for r in rows:
        out.append(
            f"{r['name']:<31} {r['parameters']:<12} {r['regime']:<7} {r['stated']:>6} {r['depth']:>6} {r['gates']:>8,} "
            f"{r['edges']:>11,} {r['weight_bits']:>11} {r['wrong']:>4} of {r['lanes']}"
        )
    out.append("depth counts levels of gates with outputs read as forms; output wires cost one more (0 after a gate)")
    return out


def _write(path: Path, result: dict[str, Any]) -> None:
    import json

    from separatrix.core.errors import InputError
    from separatrix.core.files import write_atomically

    if path.suffix == ".json":
        write_atomically(path, (json.dumps(result, indent=1) + "\n").encode())
        return
    from separatrix.atlas.depth import growth_figure
    from separatrix.draw import growth_svg

    if len(result["rows"]) < 2:
        raise InputError(f"-o {path}: a curve needs two lengths")
    write_atomically(path, growth_svg(growth_figure(result)).encode())
