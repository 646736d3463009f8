"""Curves of a chart as pixels: steps of witnesses, lines of bounds, and the regions they divide the plot into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .data import Chart, Curve
from .place import Mask, Plan
from .scale import LogAxis

Pixels = list[tuple[float, float]]
Region = tuple[frozenset[str], frozenset[str], Mask]
APART = 4.6
"""Vertical px between a bound and a witness that meet, so that both are seen."""


@dataclass(slots=True)
class Trace:
    """A curve with its vertices in px, its y at every column of a plan (NaN outside), and how it is drawn."""

    curve: Curve
    pixels: Pixels
    y: NDArray[np.float64]
    stroke: float = 2.0
    said: bool = field(default=False)  # its formula is written along the line


def usable(curve: Curve) -> tuple[tuple[int, float], ...]:
    """The points that a logarithmic chart can show; a bound of 0 bits is vacuous and has no place."""
    return tuple((n, bits) for n, bits in curve.points if n > 0 and bits > 0 and np.isfinite(bits))


def pixels(curve: Curve, x: LogAxis, y: LogAxis) -> Pixels:
    """Vertices in px: straight pieces for a bound, steps for a witness, the dearer size between two points."""
    points = [(x.at(n), y.at(bits)) for n, bits in usable(curve)]
    if len(points) == 1:
        return [(points[0][0] - 14, points[0][1]), (points[0][0] + 14, points[0][1])]
    if curve.role == "cannot":
        return points
    out: Pixels = points[:1]
    for (n0, _), (n1, _), (x0, y0), (x1, y1) in zip(usable(curve), usable(curve)[1:], points, points[1:], strict=False):
        turn = x.at((n0 * n1) ** 0.5) if n1 == n0 + 1 else x0 if y1 < y0 else x1  # nothing lies between n and n + 1
        out += [(turn, y0), (turn, y1), (x1, y1)]
    return out


def _thin(points: Pixels) -> Pixels:
    """Without vertices less than half a pixel from the last one kept; the ends stay."""
    out = points[:1]
    for point in points[1:-1]:
        if abs(point[0] - out[-1][0]) + abs(point[1] - out[-1][1]) >= 0.5:
            out.append(point)
    return out + points[-1:]


def _columns(points: Pixels, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The y of a vertex chain at given x, NaN beyond its ends."""
    xs, ys = np.array(points).T
    return np.interp(at, xs, ys, left=np.nan, right=np.nan)


def _aside(points: Pixels, neighbour: Pixels, whole: bool, bound: bool) -> Pixels:
    """The chain moved up where it would touch its neighbour, or as a whole (a bound moves down, to claim no more)."""
    if whole:
        return [(px, py + (APART if bound else -APART)) for px, py in points]
    xs, ys = np.array(neighbour).T
    return [(px, min(py, float(np.interp(px, xs, ys)) - APART)) for px, py in points]


def traces(chart: Chart, x: LogAxis, y: LogAxis, plan: Plan) -> list[Trace]:
    """All drawable curves: bounds first, then each family's witnesses, cheapest last and with the widest stroke."""
    made: list[Trace] = []
    curves = [curve for curve in chart.curves if usable(curve)]
    for curve in sorted(curves, key=lambda c: (c.role == "can", -usable(c)[-1][1])):
        points = _thin(pixels(curve, x, y))
        own = _columns(points, plan.columns)
        for other in made:
            near = np.abs(own - other.y)
            touching = bool(np.any(np.isfinite(near))) and float(np.nanmedian(near)) < APART
            alike = curve.role == other.curve.role
            if touching and (alike or other.curve.family == curve.family):
                points = _aside(points, other.pixels, alike, curve.role == "cannot")
                own = _columns(points, plan.columns)
        made.append(Trace(curve, points, own, 3.2 if curve.role == "cannot" else 2.0))
    for trace in made:
        rivals = [t for t in made if t.curve.role == "can" and t.curve.family == trace.curve.family]
        if rivals and trace is min(rivals, key=lambda t: usable(t.curve)[-1][1]):
            trace.stroke = 3.0
    return made


def families(chart: Chart) -> list[str]:
    """The families of a chart's curves, in order of appearance."""
    return list(dict.fromkeys(curve.family for curve in chart.curves if usable(curve)))


def regions(chart: Chart, made: list[Trace], plan: Plan) -> Iterator[Region]:
    """The parts of the plot, as (families constructed, families impossible, cells), the largest first."""
    names = families(chart)
    code = np.zeros(plan.busy.shape, dtype=np.int64)
    for trace in made:
        bit = names.index(trace.curve.family) * 2 + (trace.curve.role == "cannot")
        inside = plan.levels[:, None] < trace.y if trace.curve.role == "can" else plan.levels[:, None] > trace.y
        code |= inside.astype(np.int64) << bit
    values, counts = np.unique(code, return_counts=True)
    for value in values[np.argsort(-counts)]:
        able = frozenset(name for i, name in enumerate(names) if int(value) >> (2 * i) & 1)
        unable = frozenset(name for i, name in enumerate(names) if int(value) >> (2 * i + 1) & 1)
        yield able, unable, code == value
