"""separatrix protocol: a model between two parties, what they say, and how many bits that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli.options import OPEN, Json, N, Settings, lines, print_json, read_task

SHOWN = 6  # values of a message that are printed


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(context_settings=OPEN)
    def protocol(
        context: typer.Context,
        model: Annotated[Path, typer.Argument(help="Model folder: recurrent, or one attention layer.")],
        task: Annotated[str, typer.Option(help="Task name.")],
        n: N,
        split: Annotated[str, typer.Option(help="Alice holds: half, odd, the first K, or as in 0,3,5-7.")] = "half",
        precision: Annotated[str, typer.Option(help="Attention: fixed:P (default 16). Recurrent: of the state.")] = "",
        tokens: Annotated[str, typer.Option(help="The input, as token ids; default: one of the task's samples.")] = "",
        query: Annotated[int | None, typer.Option(help="Scored position; default the task's last.")] = None,
        seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
        settings: Settings = None,
        as_json: Json = False,
    ) -> None:
        """Run the model as a protocol of two parties, exchanging summaries only, and count the bits."""
        import numpy as np

        from separatrix.cannot.protocols import run
        from separatrix.core.arch import Table
        from separatrix.core.errors import InputError
        from separatrix.core.seeds import child
        from separatrix.models import Model

        problem, loaded = read_task(task, settings, context.args), Model.load(model)
        domain, queries = problem.domain(n), problem.queries(n)
        if tokens:
            parts = tokens.replace(",", " ").split()
            if not all(part.isdecimal() and len(part) < 10 for part in parts):
                raise InputError(f"--tokens {tokens[:40]!r}: write token ids, as in '0 1 1 0'")
            word = np.array([int(part) for part in parts], dtype=np.int64)
            if not domain.contains(word):
                raise InputError(f"--tokens: not an input of {task} at n = {n}")
        else:
            word = problem.sample(n, 1, child(seed, "protocol", task, n))[0][0]
        if word.ndim != 1 or domain.reals is not None:
            raise InputError(f"protocols are run on symbols; {task} has pointers or real parts")
        if not isinstance(loaded.arch.first, Table) or loaded.arch.first.vocabulary < domain.vocabulary:
            raise InputError(f"the model does not know every token of {task} at n = {n}")
        if query is not None and query not in queries:
            raise InputError(f"--query {query}: {task} scores {', '.join(map(str, queries[:8]))}")
        done = run(loaded, word, queries[-1] if query is None else query, split, precision)
        if as_json:
            print_json({"input": word.tolist(), "shown": problem.show(word)} | done.to_json())
            return
        lines([f"input: {problem.show(word)}", f"Alice holds {len(done.split)} of {len(word)} positions"])
        for m in done.messages:
            values = " ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in m.values[:SHOWN])
            more = " .." if len(m.values) > SHOWN else ""
            lines([f"  {m.sender:<5} {m.bits:>7,} bits = {m.numbers} x {m.width:<3} {m.what}: {values}{more}"])
        equal = "the same as" if np.array_equal(done.output, done.whole) else "DIFFERENT FROM"
        lines([f"  sum   {done.bits:>7,} bits; the bounds count {done.formula} = {done.formula_bits:,}"])
        lines([f"output: {equal} the undivided model's in this arithmetic ({done.precision})"])
        stated = "no error is stated for this kind" if done.stated is None else f"stated: at most {done.stated:.3g}"
        lines([f"  off by {done.error:.3g} from exact softmax and states ({stated})"])
