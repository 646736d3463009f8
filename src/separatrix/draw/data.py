"""What can be drawn, as plain frozen data: the only input of this room.

Text fields may hold a small markup, everything else in them is printed as it stands (`markup.py`): `*N*` is a
variable, `**all**` is bold, `_{..}` and `^{..}` are subscript and superscript.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["can", "cannot"]
Word = Literal["can", "needs", "cannot", "unknown"]
ORDERS = ("1", "log *N*", "*N*^{*c*}", "*N*", "*N*^{2}")
"""The five marks around the four segments of a cell's strip: orders of growth of a size in bits."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A size in bits against input length N: a witness family (`can`) or a lower bound (`cannot`).

    `points` are exact (N, bits) at increasing N. Between two points of a `can` curve the dearer one is drawn, which
    is exact where the size steps up just after a point, and never flatters a size that grows; so give points close
    together (a few hundred over the range), at least at every N where a formula such as ceil(log2 N) steps.
    `certified` lists the N at which a certificate was re-checked.
    """

    name: str
    family: str
    role: Role
    points: tuple[tuple[int, float], ...]
    formula: str = ""
    source: str = ""
    guarantee: str = "proved"
    certified: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Dot:
    """A trained model of `bits` bits at length `n`; filled when it `learned`. Dots of one `name` share a label."""

    n: int
    bits: float
    family: str
    learned: bool
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Bracket:
    """The one dimension line of a chart: from `low` to `high` bits at length `n`, with its words."""

    n: int
    low: float
    high: float
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """A remark about one point of a chart, such as where two curves cross."""

    n: float
    bits: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A separatrix chart: N across, bits up, both logarithmic. The title states the finding."""

    slug: str
    title: str
    subtitle: str
    curves: tuple[Curve, ...]
    dots: tuple[Dot, ...] = ()
    bracket: Bracket | None = None
    x_title: str = "Input length *N*"
    y_title: str = "Bits that cross the cut"
    footnote: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """One cell of the atlas: what is known about one task for one architecture.

    `lower` and `upper` are marks 0..4 of `ORDERS`: impossible up to `lower`, constructed from `upper`, open between.
    `ticked`: a certificate was re-checked for this page. `conditional`: rests on an unproved assumption. `short` is
    the expression for a phone (default: `expression`); `sentence` is the proof in a sentence, `source` author, year and
    theorem, which follow it; `links` are (text, address), a link to the row's chart is added.
    """

    word: Word
    expression: str
    lower: int
    upper: int
    ticked: bool
    conditional: bool = False
    sentence: str = ""
    source: str = ""
    short: str = ""
    links: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.lower <= self.upper <= 4:
            raise ValueError(f"A strip runs over marks 0 <= lower <= upper <= 4, not {self.lower}, {self.upper}.")


@dataclass(frozen=True, slots=True)
class Column:
    """An architecture. `short` heads the column on a phone (default: `name`)."""

    name: str
    gloss: str = ""
    short: str = ""


@dataclass(frozen=True, slots=True)
class Deep:
    """A construction's line in the list of circuits: its numbers, and one text a length.

    `reason` stands in place of both where there is no circuit.
    """

    title: str
    numbers: str
    cells: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A task, with one verdict a column. `chart` is the slug of its chart on the same page.

    `levels` are the words and the gloss of its cell in the column on depth, where the page has one.
    """

    group: str
    name: str
    gloss: str
    verdicts: tuple[Verdict, ...]
    chart: str | None = None
    levels: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class AttentionFigure:
    """One attention row of a witness, number by number.

    `tokens` are the columns; `weights` is the row that is read, one number a token, or one more when the query token
    is a column too (it is then headed by `query_label`). `rows` are lines of printed numbers under it, one text a
    column. `highlighted` is the index of the winning column. `matrix` holds the read row for every query (rows) if it
    is to be shown. Up to 14 columns fit a page; with more the figure grows wider.
    """

    title: str
    subtitle: str
    tokens: tuple[str, ...]
    query_label: str
    weights: tuple[float, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    headline: str
    facts: tuple[tuple[str, str], ...]
    answer: str
    highlighted: int
    matrix: tuple[tuple[float, ...], ...] | None = None
    matrix_note: str = "The row that is read, for every query."
    footnote: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """A size at lengths: points (n, size), and the words at its end."""

    name: str
    points: tuple[tuple[int, int], ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Growth:
    """Sizes on logarithmic axes to the left, `depth` on a plain axis to the right. The title states the finding."""

    title: str
    subtitle: str
    sizes: tuple[Series, ...]
    depth: Series
    x_title: str = "Input length *n*"
    footnote: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A line of a list of results: what is said of whom, and by whom."""

    subject: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Page:
    """The atlas page. `certificates` are (claim sentence, guarantee, file address, seconds).

    `growth`, `circuits` and `statements` are the part on depth: a measured family, every construction's circuit at
    `lengths`, and what is known of classes. With `circuits` the table has one more column, on depth.
    """

    title: str
    subtitle: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    charts: tuple[Chart, ...] = ()
    witnesses: tuple[AttentionFigure, ...] = ()
    footnote: str = ""
    certificates: tuple[tuple[str, str, str, str], ...] = ()
    growth: Growth | None = None
    statements: tuple[Statement, ...] = ()
    lengths: tuple[int, ...] = ()
    circuits: tuple[Deep, ...] = ()
    circuit_note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.verdicts) != len(self.columns):
                raise ValueError(f"Row {row.name!r} has {len(row.verdicts)} verdicts for {len(self.columns)} columns.")
