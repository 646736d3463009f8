"""separatrix audit: what a language model carries from token to token, from its config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import Json, lines, print_json


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def audit(
        config: Annotated[Path, typer.Argument(help="config.json of a transformers model, or its folder.")],
        context: Annotated[int, typer.Option(help="Tokens after which is asked.")],
        symbols: Annotated[int, typer.Option(help="Alphabet of the items that are recalled.")] = 64,
        state_bits: Annotated[
            int | None, typer.Option(help="Bits of one number of a recurrent state; default the config's, or 32.")
        ] = None,
        as_json: Json = False,
    ) -> None:
        """State bits, cache growth, caps on recall and copying, and the lower bounds that bite at this context."""
        from separatrix.cannot.audit import audit as examine
        from separatrix.cannot.audit import read_layout
        from separatrix.core.errors import InputError

        if state_bits is not None and not 1 <= state_bits <= 64:
            raise InputError(f"--state-bits {state_bits}: take 1 to 64")
        found = examine(read_layout(config, state_bits), context, symbols)
        if as_json:
            print_json(found.to_json())
            return
        lines([f"{found.layout.family}: {len(found.layout.layers)} layers"])
        lines(f"  {count:>4} x {kind}: {holds}" for kind, count, holds in found.rows())
        lines([f"  one number: {found.layout.state_bits} bits in states, {found.layout.cache_bits} elsewhere"])
        lines(found.words())
        lines(f"  note: {note}" for note in found.layout.notes)
