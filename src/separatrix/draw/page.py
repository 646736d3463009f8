"""The atlas page: the table of verdicts, the proof of each, charts, witnesses and certificates, in one HTML file."""

from __future__ import annotations

from itertools import groupby

from .attention import attention_svg
from .chart import chart_svg
from .data import ORDERS, AttentionFigure, Chart, Page, Row, Verdict
from .growth import growth_svg
from .markup import address, html, ident, plain
from .style import SCRIPT, page_css

_TICK = (
    '<svg class="tick" viewBox="0 0 12 12" role="img" aria-label="certificate re-checked">'
    '<path d="M1.5 6.5L4.5 9.5L10.5 2.5"/></svg>'
)


def strip_words(verdict: Verdict) -> str:
    """What the strip of a cell shows, in words."""
    if verdict.conditional:
        return "impossible at any size drawn, under an assumption"
    said = [f"impossible below order {plain(ORDERS[verdict.lower])}"] if verdict.lower else []
    said += [f"constructed from order {plain(ORDERS[verdict.upper])}"] if verdict.upper < 4 else []
    if said and verdict.lower < verdict.upper:
        said.append("open elsewhere")
    return "; ".join(said) or "open at every size"


def strip_html(verdict: Verdict) -> str:
    """The four segments of a cell, with their text alternative."""
    kinds = ["no" if k < verdict.lower else "yes" if k >= verdict.upper else "gap" for k in range(4)]
    kinds = ["if"] if verdict.conditional else kinds
    marks = "".join(f'<span class="{kind}"></span>' for kind in kinds)
    return f'<span class="strip" role="img" aria-label="{strip_words(verdict)}">{marks}</span>'


def _verdict(verdict: Verdict) -> str:
    dagger = "†" if verdict.conditional else ""
    tick = _TICK if verdict.ticked else ""
    return f'<b class="w">{verdict.word}{dagger}</b> <span class="x">{html(verdict.expression)}</span>{tick}'


def _brief(verdict: Verdict) -> str:
    plainly = {"unknown": "?", "cannot": "no"}.get(verdict.word, verdict.expression)
    return html(verdict.short or plainly) + ("†" if verdict.conditional else "")


def _links(page: Page, row: Row, verdict: Verdict) -> str:
    links = (
        [("Chart", f"#chart-{ident(row.chart)}")] if row.chart in [c.slug for c in page.charts] and row.chart else []
    )
    links += [link for link in verdict.links if not (links and link[0] == "Chart")]
    return "".join(f'<a href="{address(href)}">{html(text)}</a>' for text, href in links)


def _first(page: Page) -> tuple[int, int]:
    """The cell that is open at first: a lower bound that was re-checked, else any with a sentence."""
    cells = [(r, c, v) for r, row in enumerate(page.rows) for c, v in enumerate(row.verdicts)]
    cells.sort(key=lambda cell: (not cell[2].sentence, cell[2].word != "needs", not cell[2].ticked))
    return cells[0][:2] if cells else (0, 0)


def _row(page: Page, r: int, row: Row) -> list[str]:
    out = [f'<tr class="task"><th scope="row"><span class="name">{html(row.name)}</span>'
           f'<span class="gloss">{html(row.gloss)}</span></th>']  # fmt: skip
    for c, verdict in enumerate(row.verdicts):
        first = " data-first" if (r, c) == _first(page) else ""
        out.append(f'<td><button type="button" class="cell {verdict.word}" aria-expanded="false" '
                   f'aria-controls="proof-{r}-{c}"{first}><span class="long">{_verdict(verdict)}</span>'
                   f'<span class="short">{_brief(verdict)}</span>{strip_html(verdict)}</button></td>')  # fmt: skip
    items = [
        f'<li><span class="who">{html(column.name)}</span><span class="what {verdict.word}">{_verdict(verdict)}</span>'
        f'<span class="from{" own" if len(verdict.source) > 16 else ""}">{html(verdict.source)}</span></li>'
        for column, verdict in zip(page.columns, row.verdicts, strict=True)
    ]
    if page.circuits:
        words, gloss = (html(text) for text in row.levels)
        link = f'<a href="#circuits">{words}</a>' if words else ""
        out.append(f'<td class="deep">{link}<span class="gloss">{gloss}</span></td>')
    span = len(page.columns) + 1 + bool(page.circuits)
    more = f'<tr class="more"><td colspan="{span}"><ul>{"".join(items)}</ul><div class="slot"></div></td></tr>'
    return [*out, "</tr>", more]


def _table(page: Page) -> list[str]:
    width = "few" if len(page.columns) <= 3 else "many" if len(page.columns) >= 6 else "some"
    out = [f'<table class="atlas {width}"><caption class="unseen">{html(page.title)}</caption><thead><tr>'
           '<th scope="col"><span class="unseen">Task</span></th>']  # fmt: skip
    for column in page.columns:
        short = html(column.short or column.name)
        out.append(f'<th scope="col"><span class="long">{html(column.name)}</span><span class="short">{short}</span>'
                   f'<span class="gloss">{html(column.gloss)}</span></th>')  # fmt: skip
    if page.circuits:
        out.append('<th scope="col"><span class="long">How deep</span><span class="short">How deep</span>'
                   '<span class="gloss">levels of threshold gates</span></th>')  # fmt: skip
    span = len(page.columns) + 1 + bool(page.circuits)
    out.append("</tr></thead>")
    for group, members in groupby(enumerate(page.rows), key=lambda pair: pair[1].group):
        out.append(f'<tbody><tr class="group"><th colspan="{span}" scope="rowgroup">{html(group)}</th></tr>')
        for r, row in members:
            out += _row(page, r, row)
        out.append("</tbody>")
    return [*out, "</table>"]


def _proofs(page: Page) -> list[str]:
    out = ['<section class="proofs" aria-live="polite" aria-label="Proof of the chosen cell">']
    for r, row in enumerate(page.rows):
        for c, (column, verdict) in enumerate(zip(page.columns, row.verdicts, strict=True)):
            say = html(verdict.sentence) or f"{verdict.word} {html(verdict.expression)}"
            out.append(f'<article class="proof" id="proof-{r}-{c}"><h3>{html(row.name)} × {html(column.name)}</h3>'
                       f'<p><span class="say">{say}</span> {html(verdict.source)}</p>'
                       f'<div class="links">{_links(page, row, verdict)}</div></article>')  # fmt: skip
    return [*out, "</section>"]


def _foot(page: Page) -> str:
    verdicts = [verdict for row in page.rows for verdict in row.verdicts]
    notes = [f'<span class="can">{_TICK}</span> certificate re-checked for this page'] * any(v.ticked for v in verdicts)
    notes += ["† rests on the assumption named in its proof"] * any(v.conditional for v in verdicts)
    notes += [html(page.footnote)] if page.footnote else []
    return f'<p class="foot">{" &#8195; ".join(notes)}</p>' if notes else ""


def _key() -> str:
    shown = strip_html(Verdict("unknown", "", 1, 3, False))
    marks = "".join(f"<span><span>{html(order)}</span></span>" for order in ORDERS)
    return (
        '<figure class="key"><figcaption class="cap">How to read a cell: size in bits, growing to the right'
        "</figcaption>"
        '<div class="words"><span class="cannot">impossible</span><span class="unknown">open</span>'
        f'<span class="can">constructed</span></div>{shown}<div class="marks">{marks}</div></figure>'
    )


def _chart(chart: Chart) -> list[str]:
    feet = "".join(f'<p class="foot">{html(text)}</p>' for text in chart.footnote)
    return [f'<section class="figure" id="chart-{ident(chart.slug)}"><h2>{html(chart.title)}</h2>'
            f'<p class="sub">{html(chart.subtitle)}</p>',
            f'<div class="plot wide">{chart_svg(chart, standalone=False)}</div>',
            f'<div class="plot narrow">{chart_svg(chart, standalone=False, compact=True)}</div>',
            f"{feet}</section>"]  # fmt: skip


def _witness(number: int, figure: AttentionFigure) -> list[str]:
    facts = "".join(f"<dt>{html(name)}</dt><dd>{html(value)}</dd>" for name, value in figure.facts)
    feet = "".join(f'<p class="foot">{html(text)}</p>' for text in figure.footnote)
    return [f'<section class="figure" id="witness-{number}"><h2>{html(figure.title)}</h2>'
            f'<p class="sub">{html(figure.subtitle)}</p><dl class="facts">'
            f'<dt class="can"><b>{html(figure.headline)}</b></dt><dd></dd>{facts}</dl>',
            f'<div class="scroll" tabindex="0" role="group" aria-label="{plain(figure.title)}">'
            f'{attention_svg(figure, standalone=False)}</div>{feet}</section>']  # fmt: skip


def _depth(page: Page) -> list[str]:
    if page.growth is None and not page.statements and not page.circuits:
        return []
    out = ['<section class="figure" id="depth"><h2>How deep</h2>']
    if (figure := page.growth) is not None:
        feet = "".join(f'<p class="foot">{html(text)}</p>' for text in figure.footnote)
        out += [f'<p class="sub"><b>{html(figure.title)}.</b> {html(figure.subtitle)}.</p>',
                f'<div class="plot wide">{growth_svg(figure, standalone=False)}</div>',
                f'<div class="plot narrow">{growth_svg(figure, False, compact=True)}</div>', feet]  # fmt: skip
    if page.circuits:
        out += _circuits(page)
    if page.statements:
        out.append('<table class="certs said"><thead><tr><th scope="col">Of</th><th scope="col">What is known</th>'
                   '<th scope="col">Source</th></tr></thead><tbody>')  # fmt: skip
        for one in page.statements:
            out.append(f"<tr><td>{html(one.subject)}</td><td>{html(one.text)}</td><td>{html(one.source)}</td></tr>")
        out.append("</tbody></table>")
    return [*out, "</section>"]


def _circuits(page: Page) -> list[str]:
    heads = "".join(f'<th scope="col" class="num"><i>N</i> = {n}</th>' for n in page.lengths)
    out = ['<table class="certs circuits" id="circuits"><thead><tr><th scope="col">Construction as a circuit</th>'
           f'<th scope="col">Numbers</th>{heads}</tr></thead><tbody>']  # fmt: skip
    for one in page.circuits:
        cells = "".join(f'<td class="num">{html(text)}</td>' for text in one.cells)
        if one.reason:
            cells = f'<td colspan="{len(page.lengths) + 1}" class="why">{html(one.reason)}</td>'
        else:
            cells = f"<td>{html(one.numbers)}</td>{cells}"
        out.append(f"<tr><td>{html(one.title)}</td>{cells}</tr>")
    foot = f'<p class="foot">{html(page.circuit_note)}</p>' if page.circuit_note else ""
    return [*out, "</tbody></table>", foot]


def _certificates(page: Page) -> list[str]:
    if not page.certificates:
        return []
    out = ['<section class="figure" id="certificates"><h2>Certificates</h2><details>'
           f'<summary>{len(page.certificates)} re-checked for this page</summary><table class="certs"><thead><tr>'
           '<th scope="col">Claim</th><th scope="col">Guarantee</th><th scope="col" class="num">Time to check</th>'
           '<th scope="col">File</th></tr></thead><tbody>']  # fmt: skip
    for claim, guarantee, href, seconds in page.certificates:
        name = address(href).rsplit("/", 1)[-1] or "file"
        out.append(f'<tr><td>{html(claim)}</td><td>{html(guarantee)}</td><td class="num">{html(seconds)} s</td>'
                   f'<td><a href="{address(href)}">{name}</a></td></tr>')  # fmt: skip
    return [*out, "</tbody></table></details></section>"]


def page_html(page: Page) -> str:
    """The page as one HTML document that loads nothing; charts have ids `chart-SLUG`, witnesses `witness-1` on."""
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f'<meta name="color-scheme" content="light dark"><title>{plain(page.title)}</title>',
        f"<style>\n{page_css()}\n</style></head><body><main>",
        f'<header><div><h1>{html(page.title)}</h1><p class="sub">{html(page.subtitle)}</p></div>{_key()}</header>',
        *_table(page),
        *_proofs(page),
        _foot(page),
    ]
    for chart in page.charts:
        parts += _chart(chart)
    for number, figure in enumerate(page.witnesses, 1):
        parts += _witness(number, figure)
    parts += _depth(page)
    return "\n".join([*parts, *_certificates(page), f"</main><script>{SCRIPT}</script></body></html>\n"])
