"""separatrix circuit: a head or a model as a threshold circuit, measured; families over lengths; the primitives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from separatrix.cli.options import Json, lines, print_json, telling

File = Annotated[Path | None, typer.Option("-o", "--out", help="Write to this file: .svg (with --scale) or .json.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def circuit(
        n: Annotated[int, typer.Option("--n", help="Rows of the reference head.")] = 8,
        d: Annotated[int, typer.Option("--d", help="Width of a row, even.")] = 4,
        p: Annotated[int, typer.Option("--p", help="Bits of a number.")] = 4,
        layers: Annotated[int, typer.Option("--layers", help="Attention layers.")] = 1,
        scale: Annotated[str | None, typer.Option("--scale", help="Lengths, as n=4,8,16,32,64.")] = None,
        every: Annotated[
            bool, typer.Option("--round-every", help="Round after every operation, in the floats F_p of the paper.")
        ] = False,
        primitives: Annotated[bool, typer.Option("--primitives", help="The primitives and their depths.")] = False,
        full: Annotated[bool, typer.Option("--full", help="With --primitives: the larger sizes too.")] = False,
        out: File = None,
        as_json: Json = False,
    ) -> None:
        """The reference RoPE attention head as a threshold circuit: depth, size, and equality with its emulator."""
        from separatrix.core.errors import InputError

        if scale is not None and primitives:
            raise InputError("--scale and --primitives are two reports; ask for one")
        for name, value in (("--n", n), ("--d", d), ("--p", p), ("--layers", layers)):
            if value < 1:
                raise InputError(f"{name} {value}: a positive number is needed")
        if every and (scale is not None or layers > 1 or p > 4):
            raise InputError("--round-every builds one layer at one length, with --p 2, 3 or 4")
        if not every and (p < 3 or p > 8):
            raise InputError(f"--p {p}: heads are built for 3 to 8 bits (a table has 2^p steps for every pair of rows)")
        if out is not None and out.suffix not in ((".svg", ".json") if scale else (".json",)):
            raise InputError(f"-o {out}: reports are written as .json, and with --scale as .svg")
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

                result = compiled_paper(n, d, p, progress)
                text = lines_of(result)
            else:
                from separatrix.depth.report import compiled, lines_of, reference

                result = compiled(reference(n, d, p, layers), progress)[1]
                text = lines_of(result)
        if out is not None:
            _write(out, result)
        if as_json:
            print_json(result)
        else:
            lines(text)
            if out is not None:
                lines([f"written: {out}"])
        wrong = any(r["wrong"] or r["depth"] != r["stated"] for r in result.get("primitives", []))
        raise typer.Exit(1 if wrong else 0)


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
