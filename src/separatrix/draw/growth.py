"""Sizes that grow beside a depth that does not: two panels over the input length."""

from __future__ import annotations

from .data import Growth, Series
from .markup import plain, svg_text, width, wrap
from .palette import path, svg
from .place import Box, spread
from .scale import LogAxis, number, span, ticks, unit

__all__ = ["Growth", "Series", "growth_svg"]
WIDE = Box(64, 0, 470, 380), Box(760, 0, 300, 380)
COMPACT = Box(44, 0, 190, 220), Box(44, 330, 190, 130)  # one above the other, labels beside them


def growth_svg(figure: Growth, standalone: bool = True, compact: bool = False) -> str:
    """The figure as SVG, 1060 px wide, compact 356 px; needs a positive size at two lengths at least."""
    left, right = COMPACT if compact else WIDE
    values = [float(s) for series in figure.sizes for _, s in series.points]
    lengths = sorted({float(n) for series in figure.sizes for n, _ in series.points})
    x = LogAxis(lengths[0], lengths[-1], left.x + 12, left.x + left.w - 12)
    y = LogAxis(*span(values), left.h, 0)
    body = [*_frame(left, "Gates and edges", figure.x_title, x, lengths)]
    for tick in ticks(y.low, y.high, 8):
        at = y.at(tick)
        body.append(f'<path class="l-ink3" d="M{left.x - 6:g} {at:.1f}H{left.x:g}"/>')
        body.append(svg_text(left.x - 10, at + 4, unit(tick), "ink2", 12, anchor="end"))
    places = spread([y.at(s.points[-1][1]) for s in figure.sizes], [34.0] * len(figure.sizes), 0, left.h, 4)
    for series, place in zip(figure.sizes, places, strict=True):
        points = [(x.at(n), y.at(s)) for n, s in series.points]
        body += _line(points, [f"{series.name} at n = {n}: {number(s)}" for n, s in series.points])
        body.append(svg_text(left.x + left.w + 12, place, series.name, "can", 14, 600))
        body.append(svg_text(left.x + left.w + 12, place + 17, series.detail, "ink2", 12))
    top = max(d for _, d in figure.depth.points)
    across = LogAxis(lengths[0], lengths[-1], right.x + 12, right.x + right.w - 12)
    body += _frame(right, "Depth, levels of threshold gates", figure.x_title, across, lengths)
    most = top + 1
    step = max(1, -(-most // 8))
    for level in range(0, most + 1, step):
        at = right.y + right.h * (1 - level / most)
        body.append(f'<path class="l-ink3" d="M{right.x - 6:g} {at:.1f}H{right.x:g}"/>')
        body.append(svg_text(right.x - 10, at + 4, str(level), "ink2", 12, anchor="end"))
    points = [(across.at(n), right.y + right.h * (1 - d / most)) for n, d in figure.depth.points]
    body += _line(points, [f"depth at n = {n}: {d}" for n, d in figure.depth.points])
    body.append(svg_text(right.x + right.w, points[-1][1] - 12, figure.depth.detail, "can", 14, 600, "end"))
    label, whole = plain(f"{figure.title}. {figure.subtitle}"), 356.0 if compact else right.x + right.w
    bottom = (right.y + right.h if compact else left.h) + 60.0
    if not standalone:
        return svg((0, -34, whole, bottom + 34), label, body, False)
    for k, line in enumerate(s for text in figure.footnote for s in wrap(text, 12, whole)):
        body.append(svg_text(0, bottom + 20 + 19 * k, line, "ink3", 12))
        bottom += 0 if k else 24
    head, at = list[str](), -64.0
    for line in reversed(wrap(figure.subtitle, 15, whole)):
        head.append(svg_text(0, at, line, "ink2", 15))
        at -= 22
    for line in reversed(wrap(figure.title, 30, whole)):
        head.append(svg_text(0, at - 10, line, "ink", 30, 650))
        at -= 36
    return svg((-48, at - 24, whole + 96, bottom + 40 - at), label, head + body, True)


def _frame(box: Box, title: str, x_title: str, x: LogAxis, lengths: list[float]) -> list[str]:
    right, bottom = box.x + box.w, box.y + box.h
    out = [f'<path class="l-ink3" d="M{box.x:g} {box.y:g}V{bottom:g}H{right:g}"/>']
    out.append(svg_text(max(0, box.x - 48), box.y - 18, title, "ink2", 12))
    last = -99.0
    for n in lengths:
        at = x.at(n)
        if at - last < width(unit(n), 12) + 10:
            continue
        last = at
        out.append(f'<path class="l-ink3" d="M{at:.1f} {bottom:g}v6"/>')
        out.append(svg_text(at, bottom + 22, unit(n), "ink2", 12, anchor="middle"))
    return [*out, svg_text(right, bottom + 44, x_title, "ink2", 12, anchor="end")]


def _line(points: list[tuple[float, float]], titles: list[str]) -> list[str]:
    out = [f'<path class="l-can" stroke-width="2.2" d="{path(points)}"/>']
    for (x, y), title in zip(points, titles, strict=True):
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="full" stroke-width="1.5">'
                   f"<title>{plain(title)}</title></circle>")  # fmt: skip
    return out
