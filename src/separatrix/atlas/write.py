"""The atlas folder: index.html, atlas.json, atlas.csv, charts/, certificates/."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from separatrix.atlas.circuits import CircuitRow
from separatrix.atlas.depth import growth_figure, statements, with_circuits
from separatrix.atlas.figures import lookup_figure
from separatrix.atlas.run import Result
from separatrix.atlas.table import page
from separatrix.atlas.trained import known_dots
from separatrix.core.files import write_atomically
from separatrix.depth.report import scaling
from separatrix.draw import chart_svg, growth_svg, page_html


def write_atlas(
    results: Sequence[Result],
    folder: Path,
    lengths: Sequence[int] = (4, 8, 16),
    circuits: Sequence[CircuitRow] = (),
    store: Path | None = None,
) -> dict[str, Any]:
    """Writes everything but the certificates, which the jobs wrote; returns the content of atlas.json.

    The reference head is compiled at `lengths`, two at least, for the part on depth; `circuits` are the witnesses'.
    Trained models are those of the run store, or of the package's own table.
    """
    growth = growth_figure(scaling(lengths))
    whole = page(results, folder, (lookup_figure(folder),), known_dots(store))
    whole = with_circuits(replace(whole, growth=growth, statements=statements()), circuits)
    rows = [result.to_json() for result in results]
    summary = {
        "rows": rows,
        "accepted": sum(bool(r.guarantee) for r in results),
        "seconds": sum(r.seconds for r in results),
        "check_seconds": sum(r.check_seconds for r in results),
        "page": str(folder / "index.html"),
        "circuits": [asdict(row) for row in circuits],
    }
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / "atlas.csv", table.getvalue().encode())
    write_atomically(folder / "atlas.json", (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode())
    for chart in whole.charts:
        write_atomically(folder / "charts" / f"{chart.slug}.svg", chart_svg(chart).encode())
    write_atomically(folder / "charts" / "depth.svg", growth_svg(growth).encode())
    write_atomically(folder / "index.html", page_html(whole).encode())
    return summary
