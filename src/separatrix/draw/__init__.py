"""The drawing room: separatrix charts, witness panels and the atlas page as text, from plain data."""

from .attention import attention_svg
from .chart import chart_svg
from .data import (
    ORDERS,
    AttentionFigure,
    Bracket,
    Chart,
    Column,
    Curve,
    Deep,
    Dot,
    Growth,
    Note,
    Page,
    Row,
    Series,
    Statement,
    Verdict,
)
from .growth import growth_svg
from .lines import Line, Lines, lines_svg
from .page import page_html
from .palette import figure_css
from .scale import number, ticks, unit

__all__ = [
    "ORDERS", "AttentionFigure", "Bracket", "Chart", "Column", "Curve", "Deep", "Dot", "Growth", "Line", "Lines",
    "Note", "Page", "Row", "Series", "Statement", "Verdict", "attention_svg", "chart_svg", "figure_css",
    "growth_svg", "lines_svg", "number", "page_html", "ticks", "unit",
]  # fmt: skip
