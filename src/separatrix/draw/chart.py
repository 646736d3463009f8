"""The separatrix chart: what is impossible hatched, what is constructed tinted, trained models as dots."""

from __future__ import annotations

import numpy as np

from .data import Chart, Dot
from .labels import along, bracket, ends, tell
from .markup import ident, plain, svg_text, wrap
from .palette import path, svg
from .place import Box
from .scale import ticks, unit
from .sheet import COMPACT, LINE, WIDE, Sheet, size_of
from .trace import families, regions, usable
from .words import Line, region_words


def _axes(sheet: Sheet) -> list[str]:
    plot, out = sheet.layout.plot, [svg_text(0, 14, sheet.chart.y_title, "ink2", 12)]
    right, bottom = plot.x + plot.w, plot.y + plot.h
    for tick in ticks(sheet.y.low, sheet.y.high, max(3, int(plot.h / 40))):
        at = sheet.y.at(tick)
        out.append(f'<path class="l-ink3" d="M{plot.x - 6:g} {at:.1f}H{plot.x:g}"/>')
        out.append(svg_text(plot.x - 10, at + 4, unit(tick), "ink2", 12, anchor="end"))
    for tick in ticks(sheet.x.low, sheet.x.high, max(3, int(plot.w / 64))):
        at = sheet.x.at(tick)
        out.append(f'<path class="l-ink3" d="M{at:.1f} {bottom:g}v6"/>')
        out.append(svg_text(at, bottom + 22, unit(tick), "ink2", 12, anchor="middle"))
    out.append(svg_text(right, bottom + 46, sheet.chart.x_title, "ink2", 12, anchor="end"))
    return [f'<path class="l-ink3" d="M{plot.x:g} {plot.y:g}V{bottom:g}H{right:g}"/>', *out]


def _ground(sheet: Sheet) -> list[str]:
    """Tints above each family's witnesses and hatches below its bounds; a union is one path, families stack."""
    plot, key, out = sheet.layout.plot, ident(sheet.chart.slug) + ("-c" if sheet.layout.below else ""), list[str]()
    cut = f'<mask id="{key}-cut" maskUnits="userSpaceOnUse" x="{plot.x:g}" y="{plot.y:g}" width="{plot.w:g}" ' + (
        f'height="{plot.h:g}"><path fill="#fff" d="M{plot.x:g} {plot.y:g}h{plot.w:g}v{plot.h:g}h{-plot.w:g}z"/>'
    )
    out.append(cut + "".join(sheet.holes) + "</mask>")
    bounded = [t.curve.family for t in sheet.traces if t.curve.role == "cannot"]
    order = sorted(dict.fromkeys(bounded), key=lambda name: name == "transformer")
    for family in families(sheet.chart):
        for role, edge in (("can", plot.y), ("cannot", plot.y + plot.h)):
            own = [t for t in sheet.traces if t.curve.family == family and t.curve.role == role]
            area = "".join(path(t.pixels) + f"V{edge:g}H{t.pixels[0][0]:.1f}Z" for t in own if len(usable(t.curve)) > 1)
            if area and role == "can":
                out.append(f'<path class="tint" d="{area}"/>')
            elif area:
                rank = order.index(family)
                out.append(f'<pattern id="{key}-h{rank}" width="10" height="10" patternUnits="userSpaceOnUse" '
                           f'patternTransform="rotate({(45, 135, 0, 90)[rank % 4]})"><path class="hatch" '
                           f'stroke-width="1.3" d="M5 0V10"/></pattern><g mask="url(#{key}-cut)">'
                           f'<path fill="url(#{key}-h{rank})" d="{area}"/></g>')  # fmt: skip
    return out


def _strokes(sheet: Sheet) -> list[str]:
    out = list[str]()
    for trace in sheet.traces:
        kind = trace.curve.role
        out.append(f'<path class="l-{kind}" stroke-width="{trace.stroke:g}" d="{path(trace.pixels)}">'
                   f"<title>{plain(trace.curve.name)}</title></path>")  # fmt: skip
        xs, ys = np.array(trace.pixels).T
        for n in trace.curve.certified:
            if sheet.x.low <= n <= sheet.x.high:
                at = sheet.x.at(n)
                y = float(np.interp(at, xs, ys))
                out.append(f'<path class="l-{kind}" stroke-width="2" d="M{at:.1f} {y - 6:.1f}v12"/>')
    return out


def _dot(dot: Dot, x: float, y: float, scale: float = 1) -> str:
    look = 'class="full" stroke-width="1.5"' if dot.learned else 'class="hollow" stroke-width="1.4"'
    corners = {"recurrent": "M-5-5H5V5H-5Z"}.get(dot.family, "M0-6.5L6.5 0L0 6.5L-6.5 0Z")
    detail = f"{dot.name}: {dot.detail}" if dot.detail else dot.name
    title = f"<title>{plain(detail)}, {'learned' if dot.learned else 'did not learn'}</title>"
    if dot.family == "transformer":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5.5 * scale:g}" {look}>{title}</circle>'
    return f'<path d="{corners}" transform="translate({x:.1f} {y:.1f}) scale({scale:g})" {look}>{title}</path>'


def _points(sheet: Sheet) -> list[tuple[list[Line], list[tuple[float, float]], str]]:
    """Draw the dots, and return what is to be said about which places: dots by name with their sign, then notes."""
    groups: dict[str, list[Dot]] = {}
    for dot in sorted(sheet.chart.dots, key=lambda d: d.learned):
        if dot.n > 0 and dot.bits > 0:
            x, y = sheet.x.at(dot.n), sheet.y.at(dot.bits)
            groups.setdefault(dot.name, []).append(dot)
            sheet.over.append(_dot(dot, x, y, 0.75 if sheet.layout.below else 1))
            sheet.plan.block(Box(x - 6, y - 6, 12, 12), 5)
    said, mixed = [], len({dot.learned for dot in sheet.chart.dots}) == 2
    for name, dots in groups.items():
        lines = [Line(name, 12, 600, "ink")]
        if len({dot.detail for dot in dots}) == 1 and dots[0].detail:
            lines.append(Line(dots[0].detail, 12, 400, "ink2"))
        if mixed:  # said once, at the first name
            lines.append(Line("filled: learned; hollow: did not", 12, 400, "ink2"))
            mixed = False
        said.append((lines, [(sheet.x.at(d.n), sheet.y.at(d.bits)) for d in dots], _dot(dots[-1], 6, 14)))
    inside = [note for note in sheet.chart.notes if note.n > 0 and note.bits > 0]
    return said + [([Line(n.text, 12, 400, "ink")], [(sheet.x.at(n.n), sheet.y.at(n.bits))], "") for n in inside]


def chart_svg(chart: Chart, standalone: bool = True, compact: bool = False) -> str:
    """The chart as SVG: standalone with title, footnote and own style, or as an element for a page that prints
    those itself and carries `figure_css(False)`. `compact` is 356 px wide, with the names of curves below.
    """
    layout = COMPACT if compact else WIDE
    sheet, plot = Sheet(chart, layout), layout.plot
    for trace in sheet.traces:
        sheet.plan.block_line(trace.y)
    said = _points(sheet)
    rest = bracket(sheet)
    for trace in sheet.traces:
        if not compact:
            along(sheet, trace)
    places = list[tuple[list[Line], Box]]()
    bottom = max(ends(sheet), plot.y + plot.h + 54)
    for able, unable, cells in regions(chart, sheet.traces, sheet.plan):
        if able and unable and chart.bracket is not None and not rest:
            continue  # the bracket stands in this region and says it
        lines, corner = region_words(families(chart), able, unable, brief=compact)
        if lines:
            near = [(plot.x + plot.w * corner[0], plot.y + plot.h * corner[1])]
            box = sheet.plan.find(*size_of(lines), near, cells)
            if box is not None:
                places.append((lines, box))
    for lines, box in places:
        sheet.lines(box, lines)
    for lines, spots, sign in said:
        w, h = size_of(lines)
        if not compact and tell(sheet, lines, spots):
            continue
        sheet.over.append(f'<g transform="translate(0 {bottom:.1f})">{sign}</g>')
        sheet.lines(Box(24 if sign else 0, bottom, w, h), lines, hole=False)
        bottom += h + 4
    if rest:
        rest = [line._replace(text=s) for line in rest for s in wrap(line.text, line.size, layout.whole)]
        w, h = size_of(rest)
        sheet.lines(Box(0, bottom, w, h), rest, hole=False)
        bottom += h + 6
    body = [*_ground(sheet), *_axes(sheet), *_strokes(sheet), *sheet.over]
    label = plain(f"{chart.title}. {chart.subtitle}")
    if not standalone:
        return svg((0, 0, layout.whole, bottom), label, body, False)
    head, y = list[str](), -40.0
    feet = [s for text in chart.footnote for s in wrap(text, 12, layout.whole)]
    for i, s in enumerate(feet):
        head.append(svg_text(0, bottom + 26 + LINE * i, s, "ink3", 12))
    under = wrap(chart.subtitle, 15, layout.whole) if chart.subtitle else []
    for s in reversed(under):
        head.append(svg_text(0, y, s, "ink2", 15))
        y -= 22
    size = 22 if compact else 30
    y -= 10
    for s in reversed(wrap(chart.title, size, layout.whole)):
        head.append(svg_text(0, y, s, "ink", size, 650))
        y -= size * 1.2
    margin = 16 if compact else 64
    height = bottom + 26 + LINE * len(feet) + 16 - y
    return svg((-margin, y - 16, layout.whole + 2 * margin, height + 16), label, head + body, True)
