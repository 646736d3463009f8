"""From results to the page: one verdict a task and architecture, one chart a task."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from separatrix import can, cannot
from separatrix.atlas.evidence import ONE_LAYER
from separatrix.atlas.run import Result
from separatrix.atlas.trained import chart_dots
from separatrix.atlas.words import COLUMNS, GROWTH, SHORT, TASKS, brief, layers_of, order, row_of, sentence, task_of
from separatrix.can import Witness
from separatrix.cannot import Bound
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.depth.classes import CONSTANT_DEPTH, placement
from separatrix.draw import Bracket, Chart, Curve, Page, Row, Verdict, number
from separatrix.learn.dots import TrainedDot
from separatrix.tasks import make_task

LINEAR = 3  # in the list of growths
ONE = "one-layer transformer"  # the family on charts: deeper models have no cut measure
KNOWN = 1024  # the N at which bounds of equal growth are compared
MEASURE = (
    "Bits that cross the cut: state bits for a recurrent model; for one attention layer the audited two-way count "
    "*d* *p* + *H*(2 *d*_{v} *p* + 4 *p* + 2 ⌈log_{2} *T*⌉), row maximum exchanged first. "
    "A transformer also keeps its *N* tokens at run time; that is not counted.",
    "Curves are exact formulae; marks: a certificate at that *N* was re-checked by the kernel for this page.",
)

DOTS = (
    "Dots: trained models of float32 numbers; how each was trained stands at the dot. Filled where more than half of "
    "the seeds reached their target within the budget: evidence about training, not about what the model could do."
)


def page(results: Sequence[Result], folder: Path, figures: tuple = (), trained: Sequence[TrainedDot] = ()) -> Page:
    """The atlas page; links are relative to `folder`."""
    rows, charts = [], []
    words = {"can": 0, "needs": 0, "cannot": 0, "unknown": 0}
    for name, about in TASKS.items():
        task = task_of(name)
        mine = [result for result in results if result.job.task == name]
        verdicts = tuple(_verdict(task, arch, layers, mine, folder) for arch, layers, _ in COLUMNS)
        for verdict in verdicts:
            words[verdict.word] += 1
        chart = _chart(task, mine, trained)
        drawn = {curve.role for curve in chart.curves} == {"can", "cannot"}
        if drawn:
            charts.append(chart)
        rows.append(Row(about.group, about.title, about.gloss, verdicts, name if drawn else None))
    accepted = [result for result in results if result.guarantee]
    subtitle = (
        f"The size each architecture needs, as the input length *N* grows. Of {sum(words.values())} pairs "
        f"**{words['can']} have a construction, {words['needs']} have a lower bound instead**, "
        f"{words['cannot']} are ruled out under an assumption, {words['unknown']} are open here. "
        f"{len(accepted)} certificates were re-checked by the kernel."
    )
    return Page(
        title="What can be computed, and by what",
        subtitle=subtitle,
        columns=tuple(column for _, _, column in COLUMNS),
        rows=tuple(rows),
        charts=tuple(charts),
        witnesses=figures,
        footnote=_footnote(results),
        certificates=tuple(
            (sentence(r.sentence), r.guarantee, _link(r.certificate, folder), f"{r.check_seconds:.2f}")
            for r in accepted
        ),
    )


def _footnote(results: Sequence[Result]) -> str:
    """What unknown means, and the tasks of which no lower bound was certified."""
    bounded = {result.job.task for result in results if result.job.kind == "bound" and result.guarantee}
    without = [about.title for name, about in TASKS.items() if name not in bounded]
    text = "Unknown says that this program knows neither a construction nor a bound, nothing more."
    return text + (
        f" No lower bound, for any architecture, is known here for: {'; '.join(without)}." if without else ""
    )


def _verdict(task: Task, arch: str, layers: int | None, results: Sequence[Result], folder: Path) -> Verdict:
    """The cell: the slowest-growing certified witness and the fastest-growing certified bound."""
    witnesses = [w for _, w in can.registry.items() if w.task == task.name and w.serves(arch)]
    bounds = [b for _, b in cannot.registry.items() if b.task == task.name and b.arch == arch]
    bounds = [b for b in bounds if b.measure not in ONE_LAYER or layers == 1]
    proved = {r.job.name: r for r in results if r.guarantee}  # the largest N comes last
    fitting = [w for w in witnesses if w.name in proved and _fits(w, task, proved[w.name].job.n, layers)]
    made = [(o, w) for w in fitting if (o := _growth(w, task)) is not None]
    floor = [(o, b) for b in bounds if b.name in proved and (o := order(_grown(b, task))) is not None]
    upper, witness = min(made, key=lambda pair: pair[0], default=(4, None))
    lower, bound = max(floor, key=lambda pair: (pair[0], pair[1].bits(task, KNOWN)), default=(0, None))
    meets = bound is not None and lower >= upper >= LINEAR  # it can, at a price that must be paid
    if witness is not None and not meets:
        return _made(witness, task, lower, upper, proved[witness.name], folder, _gap(witness, bound, task))
    if bound is not None:
        result = proved[bound.name]
        met = "" if witness is None else f" Met by {witness.name}: {witness.formula}.{_gap(witness, bound, task)}"
        if about := TASKS[row_of(task)].grows:
            met += f" The bound grows so with {about}."
        amount = _amount(bound, task, lower)
        unit = " units" if bound.measure == "width" else " bits" if amount != "1" else " bit"
        return Verdict(
            "needs",
            amount + unit,
            lower,
            4 if witness is None else upper,
            True,
            sentence=f"{sentence(result.sentence)}; re-checked in {result.check_seconds:.2f} s.{met}",
            source=bound.source,
            short=SHORT[lower] if lower else amount,
            links=(("Certificate", _link(result.certificate, folder)),),
        )
    if arch in ("third-order", "strassen"):
        return _contains(_verdict(task, "transformer", 1, results, folder))
    place = placement(task)
    if place is not None and place.unless and arch in CONSTANT_DEPTH:
        return Verdict(
            "cannot",
            "",
            0,
            4,
            False,
            conditional=True,
            sentence=f"Unless {place.unless}, no model of constant depth, polynomial width and poly(*n*)-bit numbers "
            f"does it for every *N*: they are in TC0 ({CONSTANT_DEPTH[arch]}), the task is {place.upper}-complete.",
            source=place.source,
        )
    return Verdict("unknown", "", 0, 4, False, sentence="Neither a witness nor a bound is known here.", short="?")


def _gap(witness: Witness, bound: Bound | None, task: Task) -> str:
    """How far a construction is above the bound of its family, in bits that cross the cut, or that none is known."""
    if bound is None:
        return " No lower bound of this family is known here."
    for n in (KNOWN, KNOWN + 1, 64, 16, 8, 4):
        try:
            needed, used = bound.bits(task, n), witness.size(task, n).bits("cut")
        except InputError:
            continue
        if needed > 0 and used is not None and bound.measure not in ("width", "embedding"):
            return f" At *N* = {n} it takes {number(used)} bits where {number(math.ceil(needed))} are needed."
    return ""


def _made(witness: Witness, task: Task, lower: int, upper: int, result: Result, folder: Path, gap: str) -> Verdict:
    """The cell of a construction: bits, or for models whose depth grows, layers."""
    deep = _layers(witness, task)
    text, short = deep or (GROWTH[upper], SHORT[upper])
    if upper == 0 and not deep:
        text = short = f"{number(witness.size(task, KNOWN).bits('cut') or 0)} bits"
        short = short.removesuffix(" bits")
    return Verdict(
        "can",
        text,
        min(lower, upper),
        upper,
        True,
        sentence=f"{witness.formula}. Certified: {result.sentence}; re-checked in {result.check_seconds:.2f} s.{gap}",
        source=witness.source,
        short=short,
        links=(("Certificate", _link(result.certificate, folder)),),
    )


def _contains(inner: Verdict) -> Verdict:
    """What attention over pairs can because one ordinary layer can; its lower bounds do not carry over."""
    if inner.word != "can":
        return Verdict("unknown", "", 0, 4, False, sentence="Neither a witness nor a bound is known here.", short="?")
    text = (
        "An ordinary layer is one: with one more coordinate that is always 1, scores and values ignore the second key."
    )
    return replace(inner, lower=0, ticked=False, sentence=text, source=f"From one layer: {inner.source}", links=())


def _grown(bound: Bound, task: Task) -> Callable[[int], float]:
    """The bound in bits at N, on the task whose parameters grow with N where fixed ones would stop it."""
    grown = TASKS[row_of(task)].grown
    return lambda n: bound.bits(task if grown is None else make_task(task.name, grown(n)), n)


def _amount(bound: Bound, task: Task, lower: int) -> str:
    """The formula where it is short and in N alone; else what it comes to, ≈ where that is not exact."""
    text, bits = brief(bound.expression), _grown(bound, task)
    if lower == 0:
        return number(math.ceil(bits(KNOWN)))
    if len(text) <= 14 and re.fullmatch(r"[-−+/ ()0-9]*(log₂ )?\*N\*( log₂\|Σ\|)?[-−+/ ()0-9]*", text):
        return text
    if lower != LINEAR:
        return SHORT[lower] if lower != 1 else "≈ log_{2} *N*"
    slope = round(bits(2**16) / 2**16, 2)
    about = "" if all(bits(n) == slope * n for n in (2**10, 2**16)) else "≈ "
    return about + {1.0: "*N*", 0.5: "*N*/2"}.get(slope, f"{slope:g} *N*")


def _fits(witness: Witness, task: Task, n: int, layers: int | None) -> bool:
    return layers is None or (witness.size(task, n).layers or 0) <= layers


def _layers(witness: Witness, task: Task) -> tuple[str, str] | None:
    """How the depth grows, where it does."""
    return layers_of(lambda n: witness.size(task, n).layers) if witness.arch == "positional" else None


def _growth(witness: Witness, task: Task) -> int | None:
    if _layers(witness, task) is not None:
        return 1  # words that pass a node: a polylogarithmic number of layers of constant width
    return {"log": 1, "linear": LINEAR}.get(witness.growth) or order(_cut(witness, task))


def _cut(witness: Witness, task: Task) -> Callable[[int], int | None]:
    return lambda n: witness.size(task, n).bits("cut")


def _chart(task: Task, results: Sequence[Result], trained: Sequence[TrainedDot]) -> Chart:
    """Witnesses and bounds of all families with a certificate in this run, in the bits that cross the cut."""
    curves = []
    for name, witness in can.registry.items():
        marks = _marks(results, name)
        if witness.task == task.name and marks and (points := _points(_cut(witness, task))):
            who = "1-layer transformer" if witness.arch == "transformer" else witness.arch
            title = f"{who}, " + name.removeprefix(task.name + "-").replace("-", " ")
            kind = "recurrent" if witness.serves("rnn") else ONE if witness.arch == "transformer" else witness.arch
            curves.append(Curve(title, kind, "can", points, "", witness.source, "proved at the marks", marks))
    for name, bound in cannot.registry.items():
        marks = _marks(results, name)
        if bound.task == task.name and bound.measure not in ("width", "embedding") and marks:
            points = _points(lambda n, b=bound: None if b.vacuous(task, n) else b.bits(task, n))
            who = "any recurrent model" if bound.arch == "rnn" else "one attention layer"
            family = "recurrent" if bound.arch == "rnn" else ONE
            text = (brief(bound.expression), bound.source, "proved at the marks")
            curves.append(Curve(f"{who} needs", family, "cannot", points, *text, marks))
    about = TASKS[row_of(task)]
    title, bracket = _finding(task, curves, results), _bracket(task, curves)
    deep = _deeper(task, results)
    aside = (f"Not drawn, for want of a cut measure: {deep.name}, {deep.formula}; certified.",) if deep else ()
    if about.grows:
        aside += (f"Parameters are fixed here, which stops the bound; it goes on growing with {about.grows}.",)
    gloss = about.gloss if about.gloss.endswith("?") else f"{about.gloss}."
    dots = chart_dots(task, trained)
    feet = aside + MEASURE + ((DOTS,) if dots else ())
    return Chart(row_of(task), title, gloss, tuple(curves), dots, bracket, footnote=feet)


def _deeper(task: Task, results: Sequence[Result]) -> Witness | None:
    """The shallowest certified transformer of several layers, where none of one layer is known."""
    own = [w for _, w in can.registry.items() if (w.task, w.arch) == (task.name, "transformer")]
    found = [
        (witness.size(task, max(marks)).layers or 0, witness)
        for witness in own
        if (marks := _marks(results, witness.name))
    ]
    layers, witness = min(found, key=lambda pair: pair[0], default=(0, None))
    return witness if layers > 1 else None


def _marks(results: Sequence[Result], name: str) -> tuple[int, ...]:
    """The N at which a certificate of this witness or bound was accepted."""
    return tuple(sorted({r.job.n for r in results if r.job.name == name and r.guarantee}))


def _points(bits: Callable[[int], float | None]) -> tuple[tuple[int, float], ...]:
    """(N, bits) on a grid dense enough to show every step, as far as the formula reaches."""
    grid = sorted({round(10 ** (k / 40)) for k in range(26, 320)} | {2**k + d for k in range(3, 27) for d in (0, 1)})
    points = []
    for n in grid:
        try:
            value = bits(n)
        except InputError:
            continue
        if value:
            points.append((n, float(value)))
    return tuple(points)


def _best(curves: Sequence[Curve], role: str, family: str, n: int) -> float | None:
    values = [dict(c.points).get(n) for c in curves if c.role == role and c.family == family]
    found = [value for value in values if value is not None]
    return (min if role == "can" else max)(found, default=None)


def _bracket(task: Task, curves: Sequence[Curve]) -> Bracket | None:
    """The separation at one N that people know."""
    for n in (2**17, 2**16, 2**10):
        low, high = _best(curves, "can", ONE, n), _best(curves, "cannot", "recurrent", n)
        if low and high and high > 100 * low:
            return Bracket(
                n,
                low,
                high,
                f"The separation: {number(round(high / low))}×",
                (
                    f"at *N* = {number(n, 9)}: {number(round(low), 9)} bits against {number(round(high), 9)}.",
                    "A transformer can; no recurrent model can.",
                ),
            )
    return None


def _finding(task: Task, curves: Sequence[Curve], results: Sequence[Result]) -> str:
    """The chart's title: what it shows, from what was certified."""
    made = [w for _, w in can.registry.items() if w.task == task.name and _marks(results, w.name)]
    deep = _deeper(task, results)
    parts = []
    if drawn := [o for w in made if w.arch == "transformer" and w is not deep and (o := _growth(w, task)) is not None]:
        parts.append(f"{GROWTH[min(drawn)]} bits for one attention layer")
    if deep is not None:
        parts = [f"{deep.size(task, 16).layers} attention layers can"]
    for arch, who in (("transformer", "one layer needs"), ("rnn", "any recurrent model needs")):
        own = [
            b for _, b in cannot.registry.items() if (b.task, b.arch) == (task.name, arch) and _marks(results, b.name)
        ]
        floors = [(o, b.bits(task, KNOWN), b) for b in own if (o := order(_grown(b, task))) is not None and o >= 2]
        if floors and (arch == "rnn" or deep is not None):
            top = max(floors, key=lambda f: f[:2])
            parts.append(f"{who} {_amount(top[2], task, top[0])} bits")
    if small := [w for w in made if w.serves("rnn") and _growth(w, task) == 0]:
        bits = min(w.size(task, KNOWN).bits("cut") or 0 for w in small)
        parts.append(f"{bits} bits are enough for a recurrent model")
    return f"{TASKS[row_of(task)].title}: {', '.join(parts)}" if len(parts) > 1 else TASKS[row_of(task)].title


def _link(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder)
