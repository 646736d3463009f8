"""The words of a chart: along its lines, at their ends, beside its dots and its dimension line."""

from __future__ import annotations

from math import atan2, cos, degrees, hypot, sin

import numpy as np

from .markup import svg_text, width, wrap
from .place import Box, spread
from .scale import number
from .sheet import Sheet, size_of
from .trace import Trace
from .words import Line

Leader = tuple[tuple[float, float], tuple[float, float]]  # from the edge of a label to what it names
TRIES = 8


def along(sheet: Sheet, trace: Trace) -> None:
    """Write a formula along its line where that is straight and free, as far right as possible."""
    text, plan = trace.curve.formula, sheet.plan
    room, sign = width(text, 12.5), 1.0 if trace.curve.role == "cannot" else -1.0
    finite = np.nonzero(np.isfinite(trace.y))[0]
    if not text or finite.size < 2:
        return
    for start in reversed(range(int(finite[0]) + 3, int(finite[-1]) - 6)):
        x0, y0 = float(plan.columns[start]), float(trace.y[start])
        reach = np.hypot(plan.columns[start:] - x0, trace.y[start:] - y0) >= room + 12
        if not reach.any():
            continue
        end = start + int(np.argmax(reach))
        x1, y1 = float(plan.columns[end]), float(trace.y[end])
        piece, chord = trace.y[start : end + 1], np.linspace(y0, y1, end + 1 - start)
        if np.abs(piece - chord).max() > 4:
            continue
        turn = atan2(y1 - y0, x1 - x0)
        middle = ((x0 + x1) / 2 - sign * sin(turn) * 17, (y0 + y1) / 2 + sign * cos(turn) * 17)
        half = (cos(turn) * room / 2, sin(turn) * room / 2)
        ends = (middle[0] - half[0], middle[1] - half[1]), (middle[0] + half[0], middle[1] + half[1])
        steps = [tuple(a + (b - a) * t / 24 for a, b in zip(*ends, strict=True)) for t in range(25)]
        if not all(plan.free(x, y - 4) and plan.free(x, y + 4) for x, y in steps):
            continue
        base = (middle[0] - sin(turn) * 4, middle[1] + cos(turn) * 4)
        sheet.over.append(svg_text(*base, text, trace.curve.role, 12.5, 600, "middle", degrees(turn)))
        sheet.holes.append(f'<rect x="{middle[0] - room / 2 - 6:.1f}" y="{middle[1] - 10:.1f}" '
                           f'width="{room + 12:.1f}" height="20" '
                           f'transform="rotate({degrees(turn):.2f} {middle[0]:.1f} {middle[1]:.1f})"/>')  # fmt: skip
        plan.block_strip(*ends)
        trace.said = True
        return


def _end_lines(trace: Trace, room: float) -> list[Line]:
    curve = trace.curve
    lines = [Line(s, 14, 600, curve.role) for s in wrap(curve.name, 14, room)]
    if not trace.said and curve.formula:
        lines += [Line(s, 12, 400, "ink2") for s in wrap(curve.formula, 12, room)]
    source = " · ".join(s for s in (curve.guarantee, curve.source) if s)
    lines += [Line(s, 12, 400, "ink3") for s in wrap(source, 12, room) if s]
    if marks := [number(n) for n in sorted(curve.certified)]:
        text = ", ".join(marks) if len(marks) <= 4 else f"{marks[0]} … {marks[-1]}, {len(marks)} lengths"
        lines += [Line(s, 12, 400, "ink3") for s in wrap(f"marks: re-checked at *N* = {text}", 12, room)]
    return lines


def ends(sheet: Sheet) -> float:
    """Name every curve at its right end (or in a list below the plot); returns the bottom of the names, px."""
    layout, plot = sheet.layout, sheet.layout.plot
    blocks = [_end_lines(trace, layout.room) for trace in sheet.traces]
    heights = [size_of(lines)[1] for lines in blocks]
    ends = [trace.pixels[-1] for trace in sheet.traces]
    bottom = plot.y + plot.h + (52 if layout.below else 0)
    if layout.below:
        order = sorted(range(len(ends)), key=lambda i: ends[i][1])
        heads = spread([y - 7 for _, y in ends], [14.0] * len(ends), 0, bottom, gap=0)
        tops = [0.0] * len(ends)
        for rank, i in enumerate(order):
            tops[i], bottom = bottom, bottom + heights[i] + 8
            mark, tone = "abcdefghijklmnopqrstuvwxyz"[rank % 26], blocks[i][0].tone
            sheet.over.append(svg_text(plot.x + plot.w + 6, heads[i] + 11, mark, tone, 12, 600))
            sheet.over.append(svg_text(0, tops[i] + 17.8, mark, tone, 14, 600))
    else:
        for i in reversed(range(len(ends))):  # a curve that ends early is named at its end, if there is room
            w, h = size_of(blocks[i])
            box = sheet.plan.find(w, h, [(ends[i][0] + 6, ends[i][1])]) if ends[i][0] < plot.x + plot.w - 40 else None
            if box is not None:
                sheet.lines(box, blocks[i])
                del blocks[i], heights[i], ends[i]
        tops = spread([y - 20 for _, y in ends], heights, plot.y - 6, plot.y + plot.h + 20)
        for top, (x, y) in zip(tops, ends, strict=True):
            if abs(top + 13 - y) > 12:
                sheet.over.append(
                    f'<path class="l-open" d="M{x + 4:.1f} {y:.1f}L{layout.labels - 5:g} {top + 13:.1f}"/>'
                )
        bottom = max([t + h for t, h in zip(tops, heights, strict=True)], default=0)
    for top, lines, (w, h) in zip(tops, blocks, map(size_of, blocks), strict=True):
        sheet.lines(Box(layout.labels, top, w, h), lines, hole=False)
    return bottom


def tell(sheet: Sheet, lines: list[Line], places: list[tuple[float, float]]) -> bool:
    """Put a label near one of its places, with a leader from the nearest one; False if there is no room.

    A box whose leader would cross other words is passed over, unless the next few are no better.
    """
    w, h = size_of(lines)
    chosen: tuple[Box, Leader] | None = None
    for _ in range(TRIES):
        box = sheet.plan.find(w, h, places, margins=(3,))
        if box is None:
            break
        edge = [(min(max(x, box.x), box.x + w), min(max(y, box.y + 4), box.y + h - 2)) for x, y in places]
        leader = min(zip(edge, places, strict=True), key=lambda ends: hypot(*np.subtract(*ends)))
        clear = not any(_crosses(leader, words) for words in sheet.written)
        if clear or chosen is None:
            chosen = box, leader
        if clear:
            break
    if chosen is None:
        return False
    box, ((x0, y0), (x1, y1)) = chosen
    long = hypot(x1 - x0, y1 - y0)
    if long > 10:
        stop = max(0.0, long - 8) / long
        x1, y1 = x0 + (x1 - x0) * stop, y0 + (y1 - y0) * stop
        sheet.over.append(f'<path class="l-ink" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>')
    sheet.lines(box, lines)
    return True


def _crosses(leader: Leader, words: Box) -> bool:
    (x0, y0), (x1, y1) = leader
    steps = max(2, int(hypot(x1 - x0, y1 - y0) / 4))
    return any(
        Box(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t, 1, 1).meets(words) for t in np.linspace(0, 1, steps).tolist()
    )


def bracket(sheet: Sheet) -> list[Line]:
    """Draw the dimension line and its words beside it; returns the words that must stand below the plot instead."""
    mark = sheet.chart.bracket
    if mark is None or not (mark.n > 0 and mark.low > 0 and mark.high > 0):
        return []
    x, top, bottom = sheet.x.at(mark.n), sheet.y.at(mark.high), sheet.y.at(mark.low)
    sheet.over.append(
        f'<path class="l-ink" stroke-width="1.6" d="M{x - 6:.1f} {top:.1f}h12m-6 0V{bottom:.1f}m-6 0h12"/>'
    )
    sheet.plan.block(Box(x - 6, top, 12, bottom - top))
    lines = [Line(mark.title, 20, 650, "ink"), *(Line(s, 12.5, 400, "ink2") for s in mark.lines)]
    w, h = size_of(lines)
    box = sheet.plan.find(w, h, [(x + 26 + w / 2, (top + bottom) / 2)], margins=(10,))
    if sheet.layout.below or box is None:
        return lines
    sheet.lines(box, lines)
    return []
