"""Text with italic variables, bold and sub/superscripts, escaped for HTML and for SVG, and its width in pixels."""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple

_TOKEN = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*|\*(?=[^\s*])([^*]*?[^\s*])\*|([_^])\{([^{}]*)\}")
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 cannot hold these at all
_ADVANCES = (  # Inter SemiBold, space to ~, in hundredths of the size: the widest weight used for running text
    "25,31,40,64,65,84,66,21,39,39,54,67,30,47,29,38,67,48,62,65,67,63,65,59,65,65,29,30,67,67,67,54,100,72,66,74,72,"
    "61,59,75,74,27,56,68,57,91,74,77,64,78,65,65,66,73,72,101,69,70,65,39,38,39,48,47,50,57,63,58,63,59,38,63,61,26,"
    "26,57,26,90,61,61,62,62,40,55,38,61,58,84,56,58,56,39,36,39,67"
)
_WIDTH = {chr(32 + i): int(w) / 100 for i, w in enumerate(_ADVANCES.split(","))} | {
    "\u2009": 0.18, "⌈": 0.39, "⌉": 0.39, "·": 0.29, "…": 0.82, "’": 0.3,
}  # fmt: skip
_SLACK = 1.03  # fall-back fonts run a little wider than Inter


class Span(NamedTuple):
    """A run of text in one style; `shift` is -1 for a subscript, 1 for a superscript."""

    text: str
    italic: bool = False
    bold: bool = False
    shift: int = 0


def clean(text: str) -> str:
    """The text without characters that no XML document may hold."""
    return _ILLEGAL.sub("\ufffd", text)


_UPRIGHT = Span("")


def spans(text: str, style: Span = _UPRIGHT) -> list[Span]:
    """Cut marked-up text into styled runs. Marks that do not pair are printed as they stand."""
    found: list[Span] = []
    at = 0
    for match in _TOKEN.finditer(text):
        if match.start() > at:
            found.append(style._replace(text=text[at : match.start()]))
        bold, italic, sign, script = match.groups()
        if bold is not None:
            found += spans(bold, style._replace(bold=True))
        elif italic is not None:
            found += spans(italic, style._replace(italic=True))
        else:
            found += spans(script, style._replace(shift=1 if sign == "^" else -1))
        at = match.end()
    return found + ([style._replace(text=text[at:])] if at < len(text) else [])


def plain(text: str) -> str:
    """The text without marks, escaped: for attributes, titles and text alternatives."""
    return escape(clean("".join(span.text for span in spans(text))))


def html(text: str) -> str:
    """The text as safe HTML."""
    out: list[str] = []
    for span in spans(clean(text)):
        piece = escape(span.text)
        for tag, on in (("i", span.italic), ("b", span.bold), ("sub", span.shift < 0), ("sup", span.shift > 0)):
            piece = f"<{tag}>{piece}</{tag}>" if on else piece
        out.append(piece)
    return "".join(out)


def tspans(text: str, size: float) -> str:
    """The text as SVG tspans. Scripts move by dy, which every viewer knows, and the next run moves back."""
    out: list[str] = []
    level = 0.0
    for span in spans(clean(text)):
        want = {0: 0.0, 1: -0.36 * size, -1: 0.22 * size}[span.shift]
        style = f' dy="{want - level:.1f}"' if want != level else ""
        style += f' font-size="{0.74 * size:.1f}"' if span.shift else ""
        style += ' font-style="italic"' if span.italic else ""
        style += ' font-weight="600"' if span.bold else ""
        level = want
        out.append(f"<tspan{style}>{escape(span.text)}</tspan>" if style else escape(span.text))
    return "".join(out)


def svg_text(
    x: float, y: float, text: str, tone: str = "ink2", size: float = 12, weight: int = 400, anchor: str = "start",
    turn: float = 0,
) -> str:  # fmt: skip
    """An SVG text at baseline (x, y) px; `tone` is a colour class of the palette, `turn` degrees clockwise."""
    extra = f' font-weight="{weight}"' if weight != 400 else ""
    extra += f' text-anchor="{anchor}"' if anchor != "start" else ""
    extra += f' transform="rotate({turn:.2f} {x:.1f} {y:.1f})"' if turn else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{tone}" font-size="{size:g}"{extra}>{tspans(text, size)}</text>'


def width(text: str, size: float) -> float:
    """Estimated width in px of one line of text at a font size in px; errs on the wide side."""
    return _SLACK * size * sum(
        (0.74 if span.shift else 1.0) * sum(_WIDTH.get(c, 0.68 if ord(c) < 0x2E80 else 1.0) for c in span.text)
        for span in spans(text)
    )  # fmt: skip


def wrap(text: str, size: float, room: float) -> list[str]:
    """Lines no wider than `room` px where words allow; breaks at spaces that are outside any mark."""
    words = re.split(r" (?![^{]*\})(?=(?:[^*]*\*[^*]*\*)*[^*]*$)", text)
    lines = [words[0]]
    for word in words[1:]:
        joined = f"{lines[-1]} {word}"
        if width(joined, size) <= room:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def ident(slug: str) -> str:
    """An id that is safe in HTML, SVG and url(#..); different slugs stay different."""
    safe = re.sub(r"[^A-Za-z0-9-]+", "-", slug)
    return safe if safe == slug and slug else f"{safe}-{sum(ord(c) * 31**i for i, c in enumerate(slug)) % 16**6:x}"


def address(href: str) -> str:
    """An escaped link target: relative, fragment or web address; any other scheme becomes `#`."""
    bare = re.sub(r"[\x00-\x20\x7f]", "", clean(href))
    scheme = re.match(r"[^/?#:]*:", bare)
    return escape(bare if scheme is None or scheme[0].lower() in ("http:", "https:") else "#")
