"""The sheet a chart is drawn on: its layout, its axes, and what has been put where."""

from __future__ import annotations

from dataclasses import dataclass

from .data import Chart
from .markup import svg_text, width
from .place import Box, Plan
from .scale import LogAxis, span
from .trace import traces, usable
from .words import Line

LINE = 19.0
"""Distance of lines of 12 to 14 px text, px."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are, px: the plot, the left edge of the labels, their room, and whether they stand below."""

    plot: Box
    labels: float
    room: float
    below: bool
    whole: float


WIDE = Layout(Box(52, 30, 956, 600), 1032, 280, False, 1312)
COMPACT = Layout(Box(44, 30, 296, 264), 24, 330, True, 356)


class Sheet:
    """What has been drawn so far: the layers, and the boxes cut out of the hatch."""

    def __init__(self, chart: Chart, layout: Layout) -> None:
        self.chart, self.layout, plot = chart, layout, layout.plot
        points: list[tuple[float, float]] = [point for curve in chart.curves for point in usable(curve)]
        points += [(dot.n, dot.bits) for dot in chart.dots if dot.n > 0 and dot.bits > 0]
        points += [(note.n, note.bits) for note in chart.notes if note.n > 0 and note.bits > 0]
        if (mark := chart.bracket) is not None:
            points += [(mark.n, bits) for bits in (mark.low, mark.high) if mark.n > 0 and bits > 0]
        self.x = LogAxis(*span([float(n) for n, _ in points], whole=False), plot.x, plot.x + plot.w)
        self.y = LogAxis(*span([bits for _, bits in points]), plot.y + plot.h, plot.y)
        self.plan = Plan(plot)
        self.traces = traces(chart, self.x, self.y, self.plan)
        self.over: list[str] = []
        self.holes: list[str] = []
        self.written: list[Box] = []  # words that no leader may cross

    def lines(self, box: Box, lines: list[Line], hole: bool = True) -> None:
        """Print lines of text into a box, the first baseline one line below its top."""
        y = box.y
        self.written.append(box)
        for line in lines:
            y += line.size * 0.45 + 11.5
            self.over.append(svg_text(box.x, y, line.text, line.tone, line.size, line.weight))
        if hole:
            self.holes.append(f'<rect x="{box.x - 8:.1f}" y="{box.y - 4:.1f}" width="{box.w + 16:.1f}" '
                              f'height="{box.h + 8:.1f}"/>')  # fmt: skip


def size_of(lines: list[Line]) -> tuple[float, float]:
    """Width and height in px of lines of text."""
    return max(width(s.text, s.size) for s in lines), sum(s.size * 0.45 + 11.5 for s in lines) + 5
