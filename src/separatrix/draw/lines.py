"""Lines with bands: what trained models reach, the median of the seeds and the range from the worst to the best."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .markup import plain, svg_text, width, wrap
from .palette import path, svg
from .place import Box, spread
from .scale import LogAxis, number, span, ticks, unit

PLOT = Box(72, 0, 640, 420)
GAP, MARGIN = 14.0, 48.0
DASHES = ("", "9 5", "2 4", "12 4 2 4", "5 3", "1 5")
MARKS = ("M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0-4.5 0Z", "M-4-4H4V4H-4Z", "M0-5.5L5.5 0L0 5.5L-5.5 0Z",
         "M0-5L5 4H-5Z", "M0 5L5-4H-5Z", "M-5-1.5H5V1.5H-5Z")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A line: points (x, median, one end of the band, the other end) at increasing x, and words under its name."""

    name: str
    points: tuple[tuple[float, float, float, float], ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """Line over one axis. The title states the finding; `log_x` and `log_y` need positive values."""

    title: str
    subtitle: str
    series: tuple[Line, ...]
    x_title: str
    y_title: str
    log_x: bool = True
    log_y: bool = False
    footnote: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlainAxis:
    """Maps values `low` < `high` to px, evenly."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place in px of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)


def lines_svg(figure: Lines, standalone: bool = True) -> str:
    """The figure as SVG: lines in ink told apart by dash, sign and a name at their ends; needs one point at least.

    Values that a logarithmic axis cannot show are left out.
    """
    drawn = [(series, _shown(series, figure)) for series in figure.series]
    values = [v for _, points in drawn for point in points for v in point[1:]]
    places = sorted({point[0] for _, points in drawn for point in points})
    if not places:
        raise ValueError("a figure of lines needs a point that its axes can show")
    x = _across(places, figure.log_x)
    y = LogAxis(*span(values, 0.05), PLOT.h, 0) if figure.log_y else _up(values)
    body = _axes(figure, x, y, places)
    for _, points in drawn:
        body += _band([(x.at(at), y.at(low), y.at(high)) for at, _, low, high in points])
    names = [k for k, (_, points) in enumerate(drawn) if points]
    ends = [y.at(drawn[k][1][-1][1]) for k in names]
    for k, place in zip(names, spread(ends, [36.0] * len(names), 0, PLOT.h, 4), strict=True):
        series, points = drawn[k]
        body += _line(k, series, [(x.at(p[0]), y.at(p[1])) for p in points], points)
        left = PLOT.x + PLOT.w + GAP
        last = x.at(points[-1][0]), y.at(points[-1][1])
        body.append(f'<path class="l-open" d="M{last[0] + 7:.1f} {last[1]:.1f}L{left - 4:.1f} {place:.1f}"/>')
        body.append(_sign(k, left + 6, place))
        body.append(svg_text(left + 18, place + 5, series.name, "ink", 14, 600))
        body.append(svg_text(left + 18, place + 21, series.detail, "ink2", 12))
    words = [width(s.name, 14) for s in figure.series] + [width(s.detail, 12) for s in figure.series]
    return _framed(figure, body, PLOT.x + PLOT.w + GAP + 24 + max(words), standalone)


def _framed(figure: Lines, body: list[str], whole: float, standalone: bool) -> str:
    label, bottom = plain(f"{figure.title}. {figure.subtitle}"), PLOT.h + 60.0
    if not standalone:
        return svg((0, -34, whole, bottom + 34), label, body, False)
    feet = [line for text in figure.footnote for line in wrap(text, 12, whole)]
    head = [svg_text(0, bottom + 20 + 19 * k, line, "ink3", 12) for k, line in enumerate(feet)]
    at = -64.0
    for line in reversed(wrap(figure.subtitle, 15, whole) if figure.subtitle else []):
        head.append(svg_text(0, at, line, "ink2", 15))
        at -= 22
    for line in reversed(wrap(figure.title, 26, whole)):
        head.append(svg_text(0, at - 10, line, "ink", 26, 650))
        at -= 32
    height = bottom + 24 + 19 * len(feet)
    return svg((-MARGIN, at - 24, whole + 2 * MARGIN, height + 24 - at), label, head + body, True)


def _shown(series: Line, figure: Lines) -> list[tuple[float, float, float, float]]:
    """The points that the axes can hold."""
    return [
        point
        for point in series.points
        if all(map(math.isfinite, point))
        and (point[0] > 0 or not figure.log_x)
        and (min(point[1:]) > 0 or not figure.log_y)
    ]


def _across(places: list[float], log: bool) -> LogAxis | PlainAxis:
    low, high = places[0], places[-1]
    if high == low:
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    return (LogAxis if log else PlainAxis)(low, high, PLOT.x + 16, PLOT.x + PLOT.w - 16)


def _up(values: list[float]) -> PlainAxis:
    """From 0 to a round number; below 0 where values are."""
    low, high = min(0.0, *values), max(0.0, *values)
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-12) * 1.0001))
    step = step if (high - low) / step > 3 else step / 5
    return PlainAxis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step or step, PLOT.h, 0)


def _axes(figure: Lines, x: LogAxis | PlainAxis, y: LogAxis | PlainAxis, places: list[float]) -> list[str]:
    right, bottom = PLOT.x + PLOT.w, PLOT.y + PLOT.h
    out = [f'<path class="l-ink3" d="M{PLOT.x:g} {PLOT.y:g}V{bottom:g}H{right:g}"/>']
    out.append(svg_text(PLOT.x - 56, -18, figure.y_title, "ink2", 12))
    marks = ticks(y.low, y.high, 8) if isinstance(y, LogAxis) else [y.low + (y.high - y.low) * k / 5 for k in range(6)]
    for tick in marks:
        at = y.at(tick)
        out.append(f'<path class="l-row" d="M{PLOT.x:g} {at:.1f}H{right:g}"/>')
        out.append(svg_text(PLOT.x - 10, at + 4, _written(tick), "ink2", 12, anchor="end"))
    last = -99.0
    for place in places:
        at = x.at(place)
        if at - last < width(unit(place), 12) + 10:
            continue
        last = at
        out.append(f'<path class="l-ink3" d="M{at:.1f} {bottom:g}v6"/>')
        out.append(svg_text(at, bottom + 22, unit(place), "ink2", 12, anchor="middle"))
    return [*out, svg_text(right, bottom + 46, figure.x_title, "ink2", 12, anchor="end")]


def _written(tick: float) -> str:
    """A tick: powers of ten below 1/100 as such.

    >>> _written(1e-4), _written(0.4)
    ('10^{−4}', '0.4')
    """
    if 0 < tick < 0.01:
        return f"10^{{{number(round(math.log10(tick)))}}}"
    return unit(tick) if tick >= 1000 else f"{tick:.3g}".replace("-", "\u2212")


def _band(ends: list[tuple[float, float, float]]) -> list[str]:
    """The area between the ends; nothing where all seeds agree, or for one point."""
    if len(ends) < 2:
        return []
    there = [(at, low) for at, low, _ in ends]
    back = [(at, high) for at, _, high in reversed(ends)]
    return [f'<path class="ink" fill-opacity="0.1" d="{path([*there, *back])}Z"/>']


def _line(
    k: int, series: Line, pixels: list[tuple[float, float]], points: list[tuple[float, float, float, float]]
) -> list[str]:
    dash = f' stroke-dasharray="{DASHES[k % len(DASHES)]}"' if DASHES[k % len(DASHES)] else ""
    out = [f'<path class="l-ink" stroke-width="1.8"{dash} d="{path(pixels)}"/>'] if len(pixels) > 1 else []
    for (left, top), (at, middle, low, high) in zip(pixels, points, strict=True):
        ends = f"{min(low, high):.3g} to {max(low, high):.3g}"
        out.append(_sign(k, left, top, plain(f"{series.name} at {at:g}: {middle:.3g} ({ends})")))
    return out


def _sign(k: int, x: float, y: float, title: str = "") -> str:
    """The series' sign; hollow from the seventh series on, where signs repeat."""
    look = "full" if k < len(MARKS) else "hollow"
    told = f"<title>{title}</title>" if title else ""
    return (
        f'<path class="{look}" stroke-width="1.2" transform="translate({x:.1f} {y:.1f})" '
        f'd="{MARKS[k % len(MARKS)]}">{told}</path>'
    )
