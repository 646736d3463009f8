"""A walk through a model on one input: the flow in words, then each layer's patterns and values, in one HTML file."""

from __future__ import annotations

from dataclasses import dataclass

from .markup import html, plain, svg_text, width
from .palette import NOTHING, heat, heat_tone, svg
from .style import page_css

_MORE_CSS = """
ol.flow{margin:0;padding-left:22px;font-size:15px;line-height:1.6;color:var(--ink2);max-width:62em}
ol.flow li{padding:1px 0}.grids{display:flex;flex-wrap:wrap;gap:28px 44px;margin-top:18px}
.grids h3{margin-bottom:2px}.grids .foot{margin:0 0 8px;max-width:44em}
section.figure .say{font-size:14px;color:var(--ink2);max-width:60em;margin-top:6px}
.about{display:flex;flex-wrap:wrap;gap:4px 36px;margin:14px 0 0;font-size:13px}
.about dt{color:var(--ink3);display:inline}.about dd{display:inline;margin:0 0 0 8px;font-weight:600}
.grids>figure{margin:0;max-width:100%}.grids .scroll svg{max-width:none}
"""


@dataclass(frozen=True, slots=True)
class Grid:
    """A heat map.

    Attributes:
        rows, columns: labels. weights: one row a row, 0 to 1, the heat of each cell.
        texts: what stands in the cells, if anything.
        marked, marked_columns: those whose label is blue: what the answer is read from.
        framed: cells (row, column) with a frame: what was written here.
    """

    title: str
    gloss: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    texts: tuple[tuple[str, ...], ...] = ()
    marked: tuple[int, ...] = ()
    marked_columns: tuple[int, ...] = ()
    framed: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Stage:
    """One section of the page: a heading, what it does in words, its grids."""

    title: str
    subtitle: str
    says: tuple[str, ...]
    grids: tuple[Grid, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """The page. `flow` is the way from the input to the answer, a sentence a step; `facts` are (name, value)."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    flow: tuple[str, ...]
    stages: tuple[Stage, ...]
    footnote: str = ""


def grid_svg(grid: Grid) -> str:
    """The heat map as an SVG element, for a page that carries `figure_css(False)`; cells shrink as they grow many."""
    count = max(1, len(grid.columns))
    size = 12.0 if count <= 32 else 10.0 if count <= 64 else 8.0
    widest = max((width(text, 11) for row in grid.texts for text in row), default=0.0) + 8
    cell = max(26.0 if count <= 24 else 17.0 if count <= 48 else 11.0, widest if grid.texts else 0.0)
    high = 24.0 if grid.texts or count <= 24 else cell
    left = max((width(text, size) for text in grid.rows), default=0.0) + 12
    named = [width(text, size) for text in grid.columns]
    cell = max(cell, min(48.0, max(named, default=0.0) + 8)) if count <= 20 else cell
    turned = max(named, default=0.0) > cell - 3
    top = (max(named, default=0.0) if turned else size) + 8
    out = list[str]()
    for j, text in enumerate(grid.columns):
        tone, bold = ("can", 600) if j in grid.marked_columns else ("ink", 400)
        middle = left + cell * (j + 0.5)
        if turned:
            out.append(svg_text(middle + size / 3, top - 6, text, tone, size, bold, "start", -90))
        else:
            out.append(svg_text(middle, top - 6, text, tone, size, bold, "middle"))
    for i, row in enumerate(grid.weights):
        y = top + high * i
        tone, bold = ("can", 600) if i in grid.marked else ("ink", 400)
        out.append(svg_text(left - 8, y + high / 2 + size / 3, grid.rows[i], tone, size, bold, "end"))
        gap = 1.5 if cell > 12 else 0.6
        for j, weight in enumerate(row):
            x = left + cell * j
            out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - gap:.1f}" height="{high - gap:.1f}" '
                       f'class="{heat(weight)}"/>')  # fmt: skip
            if grid.texts and grid.texts[i][j]:
                at = (x + (cell - gap) / 2, y + high / 2 + 3.5)
                out.append(svg_text(*at, grid.texts[i][j], heat_tone(weight), 11, anchor="middle"))
    for i, j in sorted(grid.framed):
        x, y = left + cell * j + 0.2, top + high * i + 0.2
        out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - 1.9:.1f}" height="{high - 1.9:.1f}" rx="2" '
                   'class="l-ink" stroke-width="2"/>')  # fmt: skip
    wide, tall = left + cell * count, top + high * len(grid.rows) + 2
    heavy = sum(weight >= NOTHING for row in grid.weights for weight in row)
    label = plain(f"{grid.title}: {len(grid.rows)} rows, {count} columns, {heavy} cells that are not 0")
    return svg((0, 0, wide, tall), label, out, False, f' width="{wide:g}" height="{tall:g}"')


def _figure(grid: Grid) -> str:
    gloss = f'<p class="foot">{html(grid.gloss)}</p>' if grid.gloss else ""
    return (
        f'<figure><h3>{html(grid.title)}</h3>{gloss}<div class="scroll" tabindex="0" role="group" '
        f'aria-label="{plain(grid.title)}">{grid_svg(grid)}</div></figure>'
    )


def walk_html(walk: Walk) -> str:
    """The page as one HTML document that loads nothing and runs nothing."""
    facts = "".join(f"<div><dt>{html(name)}</dt><dd>{html(value)}</dd></div>" for name, value in walk.facts)
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f'<meta name="color-scheme" content="light dark"><title>{plain(walk.title)}</title>',
        f"<style>\n{page_css()}\n{_MORE_CSS.strip()}\n</style></head><body><main>",
        f'<h1>{html(walk.title)}</h1><p class="sub">{html(walk.subtitle)}</p><dl class="about">{facts}</dl>',
        '<section class="figure"><h2>From the input to the answer</h2><ol class="flow">',
        *(f"<li>{html(sentence)}</li>" for sentence in walk.flow),
        "</ol></section>",
    ]
    for number, stage in enumerate(walk.stages, 1):
        parts.append(f'<section class="figure" id="stage-{number}"><h2>{html(stage.title)}</h2>'
                     f'<p class="sub">{html(stage.subtitle)}</p>')  # fmt: skip
        parts += [f'<p class="say">{html(sentence)}</p>' for sentence in stage.says]
        parts += ['<div class="grids">', *map(_figure, stage.grids), "</div></section>"]
    if walk.footnote:
        parts.append(f'<p class="foot">{html(walk.footnote)}</p>')
    return "\n".join([*parts, "</main></body></html>\n"])
