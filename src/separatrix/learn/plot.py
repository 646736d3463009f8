"""The lines of a figure as PNG or PDF, by matplotlib; the SVG of the same lines is `separatrix.draw.lines_svg`."""

from __future__ import annotations

import io
import re
from pathlib import Path

from separatrix.core.errors import InputError
from separatrix.draw import Lines

KINDS = (".svg", ".png", ".pdf")
MARKS, DASHES = "os^vDX", ("-", (0, (9, 5)), (0, (2, 4)), "-.", (0, (5, 3)), (0, (1, 5)))


def require_figure(path: Path) -> None:
    """Raises InputError for a name that is no figure's, or PNG and PDF without matplotlib."""
    if path.suffix not in KINDS:
        raise InputError(f"{path}: figures are SVG, PNG or PDF; name a file that ends with .svg, .png or .pdf")
    if path.suffix != ".svg":
        try:
            import matplotlib  # noqa: F401
        except ImportError as error:
            raise InputError(f"{path}: PNG and PDF need the extra: pip install 'separatrix[figures]'") from error


def printed(figure: Lines, kind: str) -> bytes:
    """The figure as `png` (300 dots an inch) or `pdf`, with no date in it: equal figures are equal files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = Figure(figsize=(6.4, 5.0), layout="constrained")
    FigureCanvasAgg(page)
    axes = page.add_subplot()
    for k, series in enumerate(figure.series):
        points = [
            point
            for point in series.points
            if (point[0] > 0 or not figure.log_x) and (min(point[1:]) > 0 or not figure.log_y)
        ]
        if not points:
            continue
        x, middle, low, high = zip(*points, strict=True)
        look = {"marker": MARKS[k % len(MARKS)], "linestyle": DASHES[k % len(DASHES)], "markersize": 5}
        (line,) = axes.plot(x, middle, label=_plain(series.name), linewidth=1.4, **look)
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xscale("log" if figure.log_x else "linear")
    axes.set_yscale("log" if figure.log_y else "linear")
    if figure.log_x:
        places = sorted({point[0] for series in figure.series for point in series.points if point[0] > 0})
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
    axes.set_xlabel(_plain(figure.x_title))
    axes.set_ylabel(_plain(figure.y_title))
    axes.set_title(_plain(figure.title), fontsize=10, loc="left", wrap=True)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.15), ncols=2, frameon=False)  # hides no line
    page.supxlabel(
        _plain(" ".join((figure.subtitle + ".", *figure.footnote))), fontsize=6, x=0.01, ha="left", wrap=True
    )
    file = io.BytesIO()
    empty = {"Creator": None, "Producer": None, "CreationDate": None} if kind == "pdf" else {"Software": None}
    page.savefig(file, format=kind, dpi=300, metadata=empty)
    return file.getvalue()


def _plain(text: str) -> str:
    """Without the marks for italics and powers of the SVG's words.

    >>> _plain("signs, *N*")
    'signs, N'
    """
    return re.sub(r"\*(\w+)\*", r"\1", text).replace("$", r"\$")
