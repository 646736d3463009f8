"""The page and the witness panel: readable without a script, safe with hostile names, loading nothing."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from separatrix.draw import (
    AttentionFigure,
    Chart,
    Column,
    Curve,
    Growth,
    Page,
    Row,
    Series,
    Statement,
    Verdict,
    attention_svg,
    growth_svg,
    page_html,
)
from separatrix.draw.attention import weight_text
from separatrix.draw.page import strip_words

EVIL = "<script>alert('x')</script>\"'&\x00*N*</style></title>"
CAN = Verdict(
    "can", "O(log *N*)", 0, 1, True, sentence="A witness.", source="Theorem 1", links=(("Certificate", "a.json"),)
)
NEEDS = Verdict("needs", "*N* bits", 3, 3, True, sentence="A bound.", source="Theorem 3", short="*N*")
OPEN = Verdict("unknown", "at most *N*", 0, 3, False)
CANNOT = Verdict("cannot", "", 0, 4, False, conditional=True)


def figure(count: int, text: str = "s") -> AttentionFigure:
    weights = tuple(1.0 if i == 1 else 0.0 for i in range(count))
    rows = (("key: *j*", tuple(str(i) for i in range(count))), (text, (text,) * count))
    return AttentionFigure(
        text, text, (text,) * (count - 1), "*q* = 2", weights, rows, "Proved for every input",
        ((text, text),), text[:1] or "-", 1, (weights,) * 3,
    )  # fmt: skip


def page(text: str, columns: int = 4) -> Page:
    chart = Chart(text, text, text, (Curve(text, text, "can", ((4, 8.0), (64, 30.0)), text, text, text),))
    verdicts = (CAN, NEEDS, OPEN, CANNOT, CAN, OPEN)[:columns]
    bad = Verdict("can", text, 1, 2, False, False, text, text, text, ((text, "javascript:alert(1)"),))
    rows = (Row("Retrieval", "Lookup", "gloss", verdicts, text), Row(text, text, text, (bad,) * columns))
    heads = tuple(Column(text, text, text) for _ in range(columns))
    return Page(text, text, heads, rows, (chart,), (figure(5, text),), text, ((text, text, text, text),))


class Outline(HTMLParser):
    """Checks that tags are balanced, and collects tags, ids and references."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.wanted: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.wanted += [values["aria-controls"] or ""] if "aria-controls" in values else []
        self.wanted += [h[1:] for h in [values.get("href") or ""] if h.startswith("#") and len(h) > 1]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("text", ["task", EVIL], ids=["plain", "hostile"])
def test_the_page_is_balanced_safe_and_complete(text: str) -> None:
    made = page_html(page(text))
    outline = Outline()
    outline.feed(made)
    assert outline.open == []
    assert outline.tags.count("script") == 1 and outline.tags.count("style") == 1
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.wanted) <= set(outline.ids)
    assert outline.tags.count("article") == outline.tags.count("button") == 8  # every proof is there without a script
    assert not re.search(r"http|src=|@import|url\((?!#)|javascript:|\x00", made)
    assert "link" not in outline.tags and "img" not in outline.tags


@pytest.mark.parametrize("columns", [1, 3, 6])
def test_any_number_of_columns(columns: int) -> None:
    Outline().feed(page_html(page("a", columns)))


def test_an_empty_page_is_a_page() -> None:
    assert "<h1>T</h1>" in page_html(Page("T", "", (), ()))


@pytest.mark.parametrize("text", ["task", EVIL], ids=["plain", "hostile"])
def test_the_part_on_depth_is_there_and_safe(text: str) -> None:
    growth = Growth(text, text, (Series(text, ((4, 10), (8, 40)), text),), Series(text, ((4, 4), (8, 4)), text))
    made = page_html(Page("T", "", (), (), growth=growth, statements=(Statement(text, text, text),)))
    outline = Outline()
    outline.feed(made)
    assert outline.open == [] and 'id="depth"' in made and outline.tags.count("svg") == 2
    for compact in (False, True):
        root = ET.fromstring(growth_svg(growth, compact=compact))
        assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 4
    assert 'id="depth"' not in page_html(Page("T", "", (), ()))


def test_a_cell_says_in_words_what_its_strip_shows() -> None:
    assert strip_words(CAN) == "constructed from order log N; open elsewhere"
    assert strip_words(NEEDS) == "impossible below order N; constructed from order N"
    assert strip_words(Verdict("unknown", "", 0, 4, False)) == "open at every size"
    assert "assumption" in strip_words(CANNOT)


def test_verdicts_and_rows_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="lower <= upper"):
        Verdict("can", "", 3, 1, False)
    with pytest.raises(ValueError, match="1 verdicts for 2 columns"):
        Page("", "", (Column("a"), Column("b")), (Row("g", "n", "", (CAN,), None),))


@pytest.mark.parametrize("count", [1, 2, 11, 40])
@pytest.mark.parametrize("text", ["s", EVIL], ids=["plain", "hostile"])
def test_witness_panels_are_well_formed(count: int, text: str) -> None:
    root = ET.fromstring(attention_svg(figure(count, text)))
    ET.fromstring(attention_svg(figure(count, text), standalone=False))
    x, _, w, _ = map(float, root.attrib["viewBox"].split())
    for node in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert x <= float(node.attrib["x"]) and float(node.attrib["x"]) + float(node.attrib["width"]) <= x + w


def test_a_panel_prints_its_numbers() -> None:
    said = ET.tostring(ET.fromstring(attention_svg(figure(4))), encoding="unicode", method="text")
    assert "Proved for every input" in said and "the answer" in said
    assert [weight_text(w) for w in (0.0, 0.0004, 0.0183, 0.96466, 0.9999, 1.0)] == [
        "0",
        "0",
        "0.018",
        "0.965",
        "1",
        "1",
    ]
