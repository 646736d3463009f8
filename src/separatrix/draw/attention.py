"""A witness number by number: one attention row, what it is made of, and why it answers every input."""

from __future__ import annotations

from .data import AttentionFigure
from .markup import plain, svg_text, width, wrap
from .palette import heat, heat_tone, svg
from .scale import number

_LEFT = 236.0
"""Room for the names of rows, px."""
_SIDE = 300.0
_ROW = 24.0


def weight_text(weight: float) -> str:
    """An attention weight in three decimals; what rounds to nothing prints as 0."""
    return number(round(weight, 3) + 0.0, 3) if weight >= 0.0005 and weight < 0.9995 else f"{weight:.0f}"


def _cell(x: float, y: float, w: float, h: float, weight: float) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" class="{heat(weight)}"/>'


def _frame(x: float, y: float, w: float, h: float, tone: str, stroke: float = 2) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
    return f'<rect {place} rx="4" class="l-{tone}" stroke-width="{stroke:g}"/>'


def _grid(figure: AttentionFigure, cell: float) -> tuple[list[str], float]:
    """Tokens, the row that is read, and the lines of numbers under it; returns their bottom in px too."""
    count, won = len(figure.weights), figure.highlighted
    heads = [*figure.tokens, figure.query_label][:count]
    heads += [""] * (count - len(heads))
    middle = [_LEFT + cell * (i + 0.5) for i in range(count)]
    right = _LEFT + cell * count
    out = [svg_text(0, 34, "Attention", "ink", 15, 600), svg_text(0, 54, "row attends to column", "ink2", 12)]
    for i, head in enumerate(heads):
        tone, bold = ("can", 600) if i == won else ("ink", 400)
        if i < len(figure.tokens):
            out.append(svg_text(middle[i], 18, number(i + 1), "ink3", 12, anchor="middle"))
        out.append(svg_text(middle[i], 38, head, tone, 14, bold, "middle"))
    top = 66.0
    out.append(svg_text(0, top + 22, "the row that is read", "ink", 12.5, 600))
    label = figure.query_label
    if width(label, 13) < _LEFT - 150:
        out.append(svg_text(_LEFT - 16, top + 22, label, "ink", 13, 600, "end"))
    for i, weight in enumerate(figure.weights):
        out.append(_cell(_LEFT + cell * i, top, cell - 1.5, 34, weight))
        tone = heat_tone(weight)
        out.append(svg_text(middle[i], top + 22, weight_text(weight), tone, 12.5, 600 if i == won else 400, "middle"))
    out.append(_frame(_LEFT - 2, top - 2, right - _LEFT + 2.5, 38, "ink"))
    top += 74
    out += [svg_text(0, top, "The numbers in that row", "ink", 15, 600)]
    out += [svg_text(0, top + 20, "from query and keys to the answer", "ink2", 12)]
    top += 34
    first = y = top + 12
    for name, cells in figure.rows:
        names = wrap(name, 12.5, _LEFT - 20)
        for k, line in enumerate(names):
            out.append(svg_text(0, y + 16 + 16 * k, line, "ink2", 12.5))
        for i, text in enumerate(cells[:count]):
            faint = figure.weights[i] < 0.0005
            tone = "can" if i == won else "ink3" if faint else "ink"
            out.append(svg_text(middle[i], y + 16, text, tone, 13, 600 if i == won else 400, "middle"))
        y += max(_ROW, 8 + 16 * len(names))
        out.append(f'<path class="l-row" d="M0 {y - 0.5:g}H{right:.1f}"/>')
    if 0 <= won < count and figure.rows:
        out.append(_frame(_LEFT + cell * won + 1, first - 8, cell - 3.5, y - first + 14, "can"))
    return out, y + 10


def _side(figure: AttentionFigure, x: float) -> tuple[list[str], float]:
    """Headline, facts, the row for every query, and the answer; returns their bottom in px too."""
    out, y = list[str](), 34.0
    for line in wrap(figure.headline, 20, _SIDE):
        out.append(svg_text(x, y, line, "can", 20, 650))
        y += 25
    y += 10
    for name, value in figure.facts:
        names, values = wrap(name, 12.5, _SIDE * 0.55), wrap(value, 12.5, _SIDE * 0.45)
        for k, line in enumerate(names):
            out.append(svg_text(x, y + 17 * k, line, "ink2", 12.5))
        for k, line in enumerate(values):
            out.append(svg_text(x + _SIDE, y + 17 * k, line, "ink", 12.5, 600, "end"))
        y += 17 * max(len(names), len(values)) + 8
        out.append(f'<path class="l-row" d="M{x:g} {y - 17:g}h{_SIDE:g}"/>')
    y += 6
    if figure.matrix:
        cell = min(13.0, 150 / max(1, *(len(row) for row in figure.matrix), len(figure.matrix)))
        for i, row in enumerate(figure.matrix):
            gap = 0.8 if cell > 5 else 0.0
            out += [_cell(x + cell * j, y + cell * i, cell - gap, cell - gap, w) for j, w in enumerate(row)]
        wide = cell * max(len(row) for row in figure.matrix)
        for i, row in enumerate(figure.matrix):
            same = len(row) <= len(figure.weights) and all(
                abs(a - b) < 1e-6 for a, b in zip(row, figure.weights, strict=False)
            )
            if same:
                out.append(_frame(x - 1.5, y + cell * i - 1.5, wide + 2, cell + 2, "ink", 1.5))
                break
        notes = wrap(figure.matrix_note, 12, _SIDE - wide - 18)
        for k, line in enumerate(notes):
            out.append(svg_text(x + wide + 18, y + 10 + 18 * k, line, "ink2", 12))
        y += max(cell * len(figure.matrix), 18.0 * len(notes)) + 14
    size = 44 if width(figure.answer, 44) < _SIDE - 90 else 20
    answer = wrap(figure.answer, size, _SIDE - 90)
    for k, line in enumerate(answer):
        out.append(svg_text(x, y + size * (k + 0.9), line, "can", size, 650))
    at = min(max(width(line, size) for line in answer) + 14, _SIDE - 74)
    out.append(svg_text(x + at, y + size * 0.9 - size / 8, "the answer", "ink2", 12.5))
    return out, y + size * len(answer) + 8


def attention_svg(figure: AttentionFigure, standalone: bool = True) -> str:
    """The panel as SVG: standalone with title, footnote and own style, or as an element for a page that prints
    those itself and carries `figure_css(False)`. 1312 px of content, wider when there are more than 14 columns.
    """
    count = max(1, len(figure.weights))
    widest = max([width(text, 13) for _, cells in figure.rows for text in cells] + [width(t, 14) for t in figure.tokens]
                 + [width(weight_text(w), 13) for w in figure.weights], default=40)  # fmt: skip
    cell = max(min(72.0, (1312 - _LEFT - _SIDE - 48) / count), min(widest + 10, 140))
    side = _LEFT + cell * count + 48
    grid, low = _grid(figure, cell)
    facts, lower = _side(figure, max(side, 1312 - _SIDE) if side + _SIDE < 1312 else side)
    whole, bottom = max(side + _SIDE, 1312.0), max(low, lower)
    body = [*grid, *facts]
    label = plain(f"{figure.title}. {figure.headline}. Answer: {figure.answer}")
    if not standalone:
        return svg(
            (0, 0, whole, bottom),
            label,
            body,
            False,
            f' width="{whole:g}" height="{bottom:g}" style="min-width:{whole * 0.88:.0f}px"',
        )
    y = -34.0
    for line in reversed(wrap(figure.subtitle, 15, whole) if figure.subtitle else []):
        body.append(svg_text(0, y, line, "ink2", 15))
        y -= 22
    y -= 8
    for line in reversed(wrap(figure.title, 30, whole)):
        body.append(svg_text(0, y, line, "ink", 30, 650))
        y -= 36
    for line in [s for text in figure.footnote for s in wrap(text, 12, whole)]:
        bottom += 19
        body.append(svg_text(0, bottom + 10, line, "ink3", 12))
    return svg((-64, y - 16, whole + 128, bottom - y + 52), label, body, True)
