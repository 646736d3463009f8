"""Colours and their meanings, light and dark, and the style sheet that all figures share.

Blue is constructed, orange is impossible, a thin grey line is open, ink is data; nothing else has a colour, and a
word, a hatch or a shape always says the same again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

FONT = "Inter,system-ui,-apple-system,'Segoe UI',sans-serif"

LIGHT: dict[str, str] = {
    "plate": "#FFFFFF", "panel": "#F6F8FA", "ink": "#1B1F24", "ink2": "#4B5563", "ink3": "#69727D",
    "can": "#0B5FA5", "cannot": "#B8440B", "block": "#D9662B", "open": "#B9C1CA", "hair": "#D9DEE4", "row": "#EDF0F3",
    "h0": "#F4F7FA", "h1": "#DCEAF6", "h2": "#B5D3EC", "h3": "#7FB2DB", "h4": "#3F88C1", "h5": "#0B5FA5",
    "h6": "#08467B", "hz": "#F7F8FA", "hot": "#FFFFFF", "tint": "0.08", "hatch": "0.46",
}  # fmt: skip
DARK: dict[str, str] = {
    "plate": "#12161B", "panel": "#1A2027", "ink": "#E9EDF2", "ink2": "#B6BFCA", "ink3": "#8F9AA7",
    "can": "#6CB2F0", "cannot": "#F29A66", "block": "#DB6F37", "open": "#596470", "hair": "#323B45", "row": "#222931",
    "h0": "#1A2027", "h1": "#1B2C3D", "h2": "#1D3D59", "h3": "#23567F", "h4": "#5C9FD6", "h5": "#8CC3F0",
    "h6": "#B9DDFA", "hz": "#181D23", "hot": "#0B1015", "tint": "0.11", "hatch": "0.5",
}  # fmt: skip
"""The same names with the same meanings; heat still runs from the ground to the strongest blue."""

HEAT_STEPS = (0.01, 0.05, 0.15, 0.4, 0.65, 0.9)
"""Weights at which the heat ramp goes on to its next colour; from 0.4 the numeral takes the `hot` ink."""
NOTHING = 0.0005
"""Weights under this print as 0."""

_FIGURE = """
.sx{font-family:FONT;font-feature-settings:"tnum","calt" 0;display:block}
.sx text{stroke:none}
.sx .ink{fill:var(--ink)}.sx .ink2{fill:var(--ink2)}.sx .ink3{fill:var(--ink3)}.sx .can{fill:var(--can)}
.sx .cannot{fill:var(--cannot)}.sx .hot{fill:var(--hot)}.sx .plate{fill:var(--plate)}.sx .block{fill:var(--block)}
.sx .l-can{fill:none;stroke:var(--can);stroke-linejoin:round}.sx .l-cannot{fill:none;stroke:var(--block)}
.sx .l-ink{fill:none;stroke:var(--ink)}.sx .l-ink3{fill:none;stroke:var(--ink3)}
.sx .l-open{fill:none;stroke:var(--open)}.sx .l-row{fill:none;stroke:var(--row)}
.sx .tint{fill:var(--can);fill-opacity:var(--tint)}.sx .hatch{stroke:var(--block);stroke-opacity:var(--hatch)}
.sx .full{fill:var(--ink);stroke:var(--plate)}.sx .hollow{fill:var(--plate);stroke:var(--ink)}
.sx .hz{fill:var(--hz)}.sx .h0{fill:var(--h0)}.sx .h1{fill:var(--h1)}.sx .h2{fill:var(--h2)}.sx .h3{fill:var(--h3)}
.sx .h4{fill:var(--h4)}.sx .h5{fill:var(--h5)}.sx .h6{fill:var(--h6)}
""".replace("FONT", FONT).strip()


def variables(theme: dict[str, str]) -> str:
    """A theme as CSS custom properties."""
    return ";".join(f"--{name}:{value}" for name, value in theme.items())


def figure_css(standalone: bool) -> str:
    """The rules of all figures. Standalone ones carry plain light colours, since few SVG tools know variables."""
    return re.sub(r"var\(--(\w+)\)", lambda m: LIGHT[m[1]], _FIGURE) if standalone else _FIGURE


def heat(weight: float) -> str:
    """The class of a heat-map cell of this attention weight (0 to 1)."""
    return "hz" if not weight >= NOTHING else f"h{sum(weight >= step for step in HEAT_STEPS)}"


def heat_tone(weight: float) -> str:
    """The colour class of a numeral printed on that cell."""
    return "hot" if weight >= 0.4 else "ink2" if weight >= NOTHING else "ink3"


def svg(box: Sequence[float], label: str, body: list[str], standalone: bool, extra: str = "") -> str:
    """An SVG document (standalone, with its own style and ground) or element; `label` is already escaped."""
    x, y, w, h = box
    head = f'<svg class="sx" viewBox="{x:g} {y:g} {w:g} {h:g}" role="img" aria-label="{label}"{extra}'
    if not standalone:
        return "\n".join([head + ">", *body, "</svg>"])
    head += f' xmlns="http://www.w3.org/2000/svg" width="{w:g}" height="{h:g}"><title>{label}</title>'
    ground = f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" class="plate"/>'
    return "\n".join([head, f"<style>{figure_css(True)}</style>", ground, *body, "</svg>\n"])


def path(points: Sequence[tuple[float, float]]) -> str:
    """Path data through points in px; runs along an axis are written short, moves under 0.05 px are left out."""
    rounded = [(round(x, 1), round(y, 1)) for x, y in points]
    out = [f"M{rounded[0][0]:g} {rounded[0][1]:g}"]
    for (x0, y0), (x1, y1) in pairwise(rounded):
        if (x0, y0) != (x1, y1):
            out.append(f"V{y1:g}" if x0 == x1 else f"H{x1:g}" if y0 == y1 else f"L{x1:g} {y1:g}")
    return "".join(out)
