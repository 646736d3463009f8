"""Lines with bands: well formed, on their axes, told apart by more than one thing, with no value lost silently."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest

from separatrix.draw import Line, Lines, lines_svg

SVG = "{http://www.w3.org/2000/svg}"


def series(name: str, power: float, count: int = 10) -> Line:
    return Line(name, tuple((c, 1e-3 * c**power, 3e-3 * c**power, 5e-4 * c**power) for c in range(1, count + 1)))


def figure(*given: Line, log: tuple[bool, bool] = (True, True)) -> Lines:
    return Lines("A title with <signs> & *c*", "Under it", given, "scale *c*", "Error", *log, ("A foot.",))


@pytest.mark.parametrize("log", [(True, True), (True, False), (False, True), (False, False)])
def test_well_formed_and_inside(log: tuple[bool, bool]) -> None:
    root = ET.fromstring(lines_svg(figure(series("one", 2), series("two", 4), series("flat", 0), log=log)))
    x, y, w, h = map(float, root.attrib["viewBox"].split())
    for text in root.iter(f"{SVG}text"):
        assert x <= float(text.attrib["x"]) <= x + w and y <= float(text.attrib["y"]) <= y + h
    lines = [e for e in root.iter(f"{SVG}path") if e.attrib.get("class") == "l-ink"]
    bands = [e for e in root.iter(f"{SVG}path") if "fill-opacity" in e.attrib]
    assert len(lines) == len(bands) == 3
    assert len({line.attrib.get("stroke-dasharray") for line in lines}) == 3
    titles = [e.text or "" for e in root.iter(f"{SVG}title")]
    assert sum(t.startswith("two at ") for t in titles) == 10
    for numbers in (re.findall(r"-?[\d.]+", line.attrib["d"]) for line in lines):
        assert all(0 <= float(value) <= 712 for value in numbers)


def test_a_steeper_line_is_higher_on_logarithmic_axes() -> None:
    root = ET.fromstring(lines_svg(figure(series("one", 1), series("two", 2))))
    one, two = [e.attrib["d"] for e in root.iter(f"{SVG}path") if e.attrib.get("class") == "l-ink"]
    ends = [float(re.findall(r"[\d.]+", d)[-1]) for d in (one, two)]
    assert ends[1] < ends[0]  # px run downwards
    points = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", one)]
    slopes = {round((b[1] - a[1]) / (b[0] - a[0]), 1) for a, b in itertools.pairwise(points)}
    assert len(slopes) <= 2  # a power law is a straight line


def test_what_an_axis_cannot_hold_is_left_out() -> None:
    given = Line("one", ((1, 0.1, 0.2, 0.05), (2, math.inf, math.inf, 0.1), (3, 0.0, 0.1, 0.0), (4, 0.4, 0.5, 0.3)))
    root = ET.fromstring(lines_svg(figure(given)))
    assert [t.text for t in root.iter(f"{SVG}title") if (t.text or "").startswith("one at")] == [
        "one at 1: 0.1 (0.05 to 0.2)", "one at 4: 0.4 (0.3 to 0.5)"]  # fmt: skip
    with pytest.raises(ValueError, match="needs a point"):
        lines_svg(figure(Line("none", ())))


def test_one_point_is_drawn() -> None:
    for log in ((True, True), (False, False)):
        text = lines_svg(figure(series("one", 1, count=1), log=log))
        assert "one at 1" in text and "nan" not in text


def test_names_that_end_at_one_place_do_not_overlap() -> None:
    root = ET.fromstring(lines_svg(figure(*(series(f"name {k}", 2) for k in range(7)))))
    at = sorted(float(t.attrib["y"]) for t in root.iter(f"{SVG}text") if t.attrib.get("font-weight") == "600")
    assert len(at) == 7 and min(b - a for a, b in itertools.pairwise(at)) >= 30
