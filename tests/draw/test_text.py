"""Markup, numbers, ticks and colours: small functions against values worked out by hand."""

import xml.etree.ElementTree as ET

import pytest

from separatrix.draw import number, ticks, unit
from separatrix.draw.markup import address, html, ident, plain, tspans, width, wrap
from separatrix.draw.palette import DARK, LIGHT, heat
from separatrix.draw.scale import LogAxis, span


def test_markup_becomes_tags_and_everything_else_is_escaped() -> None:
    assert html("*N*^{2} & log_{2} *N*") == "<i>N</i><sup>2</sup> &amp; log<sub>2</sub> <i>N</i>"
    assert html("<b>*</b>") == "&lt;b&gt;*&lt;/b&gt;"
    assert html("|Σ|^{*N*}") == "|Σ|<sup><i>N</i></sup>"
    assert html("**3 have**, 2 * 3 * 4") == "<b>3 have</b>, 2 * 3 * 4"
    assert plain('*N* "x" <y>') == "N &quot;x&quot; &lt;y&gt;"


@pytest.mark.parametrize("text", ["</text><script>", "a\x00b\x0bc", "*", "^{", "_{*}", "**", "&amp;", "]]>", "\ud800"])
def test_svg_text_is_well_formed_whatever_the_text(text: str) -> None:
    ET.fromstring(f"<text>{tspans(text, 12)}</text>")


def test_scripts_move_the_baseline_and_bring_it_back() -> None:
    moves = [float(t.get("dy", 0)) for t in ET.fromstring(f"<text>{tspans('a_{1} b^{2} c', 10)}</text>")]
    assert moves == [2.2, -2.2, -3.6, 3.6]


def test_wrapping_keeps_marks_whole_and_lines_short() -> None:
    lines = wrap("every recurrent *model of N* needs N_{a b} bits of state", 12, 120)
    assert all(line.count("*") % 2 == 0 and line.count("{") == line.count("}") for line in lines)
    assert all(width(line, 12) <= 120 for line in lines)
    assert " ".join(lines) == "every recurrent *model of N* needs N_{a b} bits of state"


@pytest.mark.parametrize("href", ["javascript:alert(1)", " java\nscript:x", "data:text/html,x", "vbscript:x"])
def test_addresses_that_run_are_dropped(href: str) -> None:
    assert address(href) == "#"


def test_addresses_and_ids() -> None:
    assert address('a/b.json?x="') == "a/b.json?x=&quot;"
    assert ident("index-lookup") == "index-lookup"
    assert ident("a b") != ident("a-b") != ident("a.b")


def test_ticks_are_decades_or_one_two_five() -> None:
    assert ticks(1, 1e12, 7) == (1, 100, 1e4, 1e6, 1e8, 1e10, 1e12)
    assert ticks(4, 40) == (5, 10, 20)
    assert ticks(100, 104) == (100, 102, 104)
    assert all(len(ticks(4, 10.0**k)) >= 2 for k in range(1, 9))


def test_numbers_and_units() -> None:
    assert number(131072) == "131\u2009072"
    assert number(-0.5, 2) == "\u22120.50"
    assert [unit(v) for v in (1, 20, 1e3, 2e5, 1e9, 1e12)] == [
        "1", "20", "1\u2009k", "200\u2009k", "1\u2009G", "1\u2009T",
    ]  # fmt: skip


def test_axis_is_logarithmic_both_ways() -> None:
    axis = LogAxis(10, 1000, 0, 200)
    assert axis.at(100) == pytest.approx(100)
    assert axis.value(50) == pytest.approx(10**1.5)
    assert span([60, 6e8]) == (10, 1e9)
    assert span([1, 1]) == (1, 100)
    assert span([64, 64], whole=False) == (32, 128)


def test_heat_classes() -> None:
    assert [heat(w) for w in (0, 0.0004, 0.018, 0.5, 1.0, float("nan"))] == ["hz", "hz", "h1", "h4", "h6", "hz"]


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_contrast(theme: dict[str, str]) -> None:
    pairs = [(tone, ground) for tone in ("ink", "ink2", "ink3", "can", "cannot") for ground in ("plate", "panel")]
    for tone, ground in [*pairs, ("hot", "h5"), ("hot", "h6"), ("ink2", "h2"), ("ink3", "hz")]:
        dim, bright = sorted((_luminance(theme[tone]), _luminance(theme[ground])))
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (tone, ground)
    assert theme.keys() == LIGHT.keys()
