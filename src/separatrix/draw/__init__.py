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
    Dot,
    Note,
    Page,
    Row,
    Verdict,
)
from .lines import Lines, Series, lines_svg
from .page import page_html
from .palette import figure_css
from .scale import number, ticks, unit

__all__ = [
    "ORDERS", "AttentionFigure", "Bracket", "Chart", "Column", "Curve", "Dot", "Lines", "Note", "Page", "Row", "Series",
    "Verdict",
    "attention_svg", "chart_svg", "figure_css", "lines_svg", "number", "page_html", "ticks", "unit",
]  # fmt: skip
