"""separatrix list: what there is, by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from separatrix.cli.options import Json, print_json

KINDS = ("tasks", "archs", "witnesses", "provers", "refuters", "bounds", "classes", "depths")


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(name="list")
    def listing(
        kind: Annotated[str, typer.Argument(help=", ".join(KINDS))],
        as_json: Json = False,
    ) -> None:
        """List what there is, with sources: tasks, witnesses, provers, refuters, bounds, complexity classes, depths."""
        from separatrix.core.errors import InputError

        if kind not in KINDS:
            raise InputError(f"cannot list {kind!r}; there are {', '.join(KINDS)}")
        rows = _rows(kind)
        if as_json:
            print_json(rows)
            return
        for row in rows:
            name, *rest = row.values()
            print(name)
            for text in rest:
                if text:
                    print(f"    {text}")


def _rows(kind: str) -> list[dict[str, Any]]:
    if kind == "tasks":
        from separatrix.tasks import registry as tasks

        return [
            {
                "name": name,
                "gloss": task.gloss,
                "parameters": "parameters: " + ", ".join(f"{k} = {getattr(task(), k)}" for k in task().parameters()),
                "n": f"n counts {task.length_word}",
                "source": task.source,
            }
            for name, task in tasks.items()
        ]
    if kind == "archs":
        from separatrix.core.families import FAMILIES

        return [{"name": f.name, "gloss": f.gloss, "size": f"size flags: {f.size}"} for f in FAMILIES.values()]
    if kind == "witnesses":
        from separatrix.can import registry as witnesses

        return [
            {
                "name": n,
                "task": f"task: {w.task}",
                "size": w.formula,
                "by": f"proved by: {w.method}",
                "source": w.source,
            }
            for n, w in witnesses.items()
        ]
    if kind == "refuters":
        from separatrix.verify.refuters import registry as refuters

        return [{"name": name, "gloss": " ".join((r.__doc__ or "").split())} for name, r in refuters.items()]
    if kind == "provers":
        import separatrix.depth.prover  # noqa: F401  (registers the prover `circuit`)
        from separatrix.verify.provers import registry as provers

        return [{"name": name, "gloss": " ".join((p.__doc__ or "").split())} for name, p in provers.items()]
    if kind == "classes":
        from separatrix.depth.classes import TABLE

        return [row.to_json() for row in TABLE]
    if kind == "depths":
        from separatrix.depth.beside import algebra_rows

        return algebra_rows()
    from separatrix.cannot import registry as bounds

    return [
        {"name": n, "task": f"{b.task} by {b.arch}", "bound": f"{b.measure} >= {b.expression}", "source": b.source}
        for n, b in bounds.items()
    ]
