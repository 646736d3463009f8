"""Charts stay well-formed, inside their canvas and legible, for ordinary and for awkward data."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import combinations
from math import ceil, log2
from typing import Any

import numpy as np
import pytest

from separatrix.draw import Bracket, Chart, Curve, Dot, Note, chart_svg
from separatrix.draw.data import Role
from separatrix.draw.markup import width
from separatrix.draw.place import Box, Plan, spread
from separatrix.draw.scale import LogAxis
from separatrix.draw.trace import pixels

SVG = "{http://www.w3.org/2000/svg}"
GRID = sorted({round(v) for v in np.geomspace(4, 1e8, 300)} | {2**k + d for k in range(2, 27) for d in (0, 1)})


def curve(name: str, family: str, role: Role, size: Callable[[int], float], **more: Any) -> Curve:
    return Curve(name, family, role, tuple((n, float(size(n))) for n in GRID), **more)


def quadratic(n: int) -> int:
    return 8 * (2 * ceil(log2(n)) + 11) + ceil(log2(n))


LOOKUP = Chart(
    "index-lookup",
    "Index lookup: log *N* bits for a transformer, *N* bits for any recurrent model",
    "*N* symbols from an alphabet of 64, then a position.",
    (
        curve(
            "1-layer transformer", "transformer", "can", quadratic, formula="8(2⌈log_{2} *N*⌉ + 11)", certified=(16, 64)
        ),
        curve("Store everything", "recurrent", "can", lambda n: 6 * n + ceil(log2(n + 1)), formula="6*N* + ⌈log⌉"),
        curve("Every recurrent model", "recurrent", "cannot", lambda n: 6 * n, formula="6*N*", source="Theorem 3"),
    ),
    tuple(Dot(20 * 2**k, 500.0 * 3**k, "recurrent", k % 2 == 0, "trained recurrent models") for k in range(5)),
    Bracket(131072, quadratic(131072), 6 * 131072, "The separation: 2\u2009086×", ("at *N* = 131\u2009072",)),
    footnote=("Bits that cross the cut.",),
    notes=(Note(31, 185, "beats every RNN from *N* = 31"),),
)
FLAT = [curve(f"w{i}", "transformer", "can", lambda n: 10 * ceil(log2(n)), formula="10⌈log_{2} *N*⌉") for i in range(3)]
ODD = [
    Chart("none", "No curve", "", ()),
    Chart("one", "One curve", "", (Curve("a", "transformer", "can", ((4, 1.0), (10**8, 1e12))),)),
    Chart("point", "One point", "", (Curve("a", "other", "can", ((64, 500.0),)),)),
    Chart("bound", "No witness", "", (Curve("a", "recurrent", "cannot", ((4, 1.0), (64, 32.0))),)),
    Chart("vacuous", "A bound of nothing", "", (Curve("a", "recurrent", "cannot", ((4, 0.0), (64, 0.0))),)),
    Chart("same", "Coinciding", "", tuple(FLAT)),
    Chart("flat", "Flat", "", (Curve("a", "transformer", "can", ((4, 1.0), (5, 1.0))),)),
    Chart("five", "Five families", "", tuple(curve(f"f{i}", f"f{i}", "cannot", lambda n: n) for i in range(5))),
    Chart("dots", "Dots", "", (), tuple(Dot(4 + i, 9, f"f{i % 4}", i % 3 > 0, f"a long name {i}") for i in range(40))),
    Chart("<&\"'>", "</title>", "<script>", (Curve("</text>\x00", "<", "can", ((4, 8.0), (8, 9.0)), "&", "<", ">"),)),
]


def boxes(root: ET.Element) -> list[tuple[str, Box]]:
    """Level texts of a chart with the boxes they take."""
    found = []
    for text in root.iter(f"{SVG}text"):
        if text.get("transform"):
            continue
        said, size = "".join(text.itertext()), float(text.get("font-size", 0))
        wide = width(said, size) / 1.03  # the estimate without its slack
        shift = {"end": 1.0, "middle": 0.5}.get(text.get("text-anchor", ""), 0.0)
        x, y = float(text.get("x", 0)), float(text.get("y", 0))
        found.append((said, Box(x - shift * wide, y - 0.72 * size, wide, 0.74 * size)))
    return found


@pytest.mark.parametrize("compact", [False, True], ids=["wide", "compact"])
@pytest.mark.parametrize("chart", [LOOKUP, *ODD], ids=lambda c: c.slug[:8])
def test_well_formed_and_inside_the_canvas(chart: Chart, compact: bool) -> None:
    root = ET.fromstring(chart_svg(chart, compact=compact))
    ET.fromstring(chart_svg(chart, standalone=False, compact=compact))
    x, y, w, h = map(float, root.attrib["viewBox"].split())
    for said, box in boxes(root):
        assert x <= box.x and box.x + box.w <= x + w and y <= box.y and box.y + box.h <= y + h, said
    for data in (node.get("d", "") for node in root.iter(f"{SVG}path")):
        assert "nan" not in data and "inf" not in data and "e+" not in data


@pytest.mark.parametrize("compact", [False, True], ids=["wide", "compact"])
@pytest.mark.parametrize("chart", [LOOKUP, *ODD[:8]], ids=lambda c: c.slug)
def test_labels_do_not_overlap(chart: Chart, compact: bool) -> None:
    for (a, first), (b, second) in combinations(boxes(ET.fromstring(chart_svg(chart, compact=compact))), 2):
        assert not first.meets(second), (a, b)


def test_every_curve_dot_and_region_has_its_name() -> None:
    said = " ".join(text for text, _ in boxes(ET.fromstring(chart_svg(LOOKUP))))
    for words in ("1-layer transformer", "Store everything", "Every recurrent model", "trained recurrent models",
                  "filled: learned", "The separation", "Constructed for both", "Impossible for every recurrent model",
                  "open for transformers", "beats every RNN", "re-checked at N = 16, 64", "1\u2009G"):  # fmt: skip
        assert words in said


def test_a_standalone_chart_carries_its_style_and_loads_nothing() -> None:
    alone, inline = chart_svg(LOOKUP), chart_svg(LOOKUP, standalone=False)
    assert "var(" not in alone and "#0B5FA5" in alone
    assert "#0B5FA5" not in inline and "<style" not in inline and LOOKUP.title.split(":")[1] not in inline
    assert re.findall(r"https?://[^\"]*", alone) == ["http://www.w3.org/2000/svg"]
    assert chart_svg(LOOKUP) == alone


def test_a_witness_keeps_its_steps() -> None:
    x, y = LogAxis(4, 64, 0, 400), LogAxis(1, 100, 100, 0)
    steps = pixels(Curve("w", "transformer", "can", ((4, 1.0), (16, 10.0), (17, 100.0))), x, y)
    assert [round(py) for _, py in steps] == [100, 100, 50, 50, 50, 0, 0]
    assert steps[1][0] == pytest.approx(0)  # the dearer size holds between points that are far apart
    assert steps[4][0] == pytest.approx(x.at((16 * 17) ** 0.5))  # and a step of neighbours lies between them
    assert len(pixels(Curve("b", "recurrent", "cannot", ((4, 1.0), (16, 10.0))), x, y)) == 2


def test_labels_at_an_edge_are_spread_in_order() -> None:
    assert spread([0, 5, 100], [20, 20, 20], 0, 200, 10) == [0, 30, 100]
    assert spread([190, 195], [20, 20], 0, 200, 10) == [150, 180]


def test_a_plan_finds_free_places_only() -> None:
    plan = Plan(Box(0, 0, 200, 100))
    taken = [plan.find(60, 30, [(0, 0)], margins=(2,)) for _ in range(12)]
    found = [box for box in taken if box is not None]
    assert 4 <= len(found) < 12
    assert not any(a.meets(b) for a, b in combinations(found, 2))
