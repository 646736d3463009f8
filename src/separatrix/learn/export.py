"""The run store as a table: one row a run, metrics as columns; CSV or Parquet by the file's name."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically
from separatrix.learn.store import Finished

KINDS = {
    "key": str, "experiment": str, "label": str, "task": str, "n": int, "learning_rate": float, "seed": int,
    "state": str, "steps": int, "score": float, "seconds": float,
    "precision": str,
}  # fmt: skip


def require_library(path: Path) -> None:
    """Raises InputError where the table at `path` needs a library that is not there."""
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise InputError(f"{path}: Parquet needs the extra: pip install 'separatrix[parquet]'") from error


def write_table(path: Path, rows: Sequence[Finished]) -> None:
    """Writes the runs, as Parquet where the name ends with .parquet, else as CSV; atomically.

    Metrics that a run does not have are empty (null in Parquet). Raises InputError for Parquet without pyarrow.
    """
    require_library(path)
    metrics = sorted({name for row in rows for name in row.metrics})
    told = [_told(row) | {name: row.metrics.get(name) for name in metrics} for row in rows]
    names = [*KINDS, *metrics]
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
        schema = pyarrow.schema([(name, kinds[KINDS.get(name, float)]) for name in names])
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(told, schema), sink)
        write_atomically(path, sink.getvalue().to_pybytes())
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(told)
    write_atomically(path, text.getvalue().encode())


def _told(row: Finished) -> dict[str, Any]:
    run, member = row.run, row.run.member
    values = (run.key[:16], row.experiment, run.label, run.task, run.n, member.learning_rate, member.seed, row.state,
              row.steps, row.score, round(row.seconds, 3), run.recipe.precision)  # fmt: skip
    return dict(zip(KINDS, values, strict=True))
