"""What the regions of a chart are called."""

from __future__ import annotations

from typing import NamedTuple

_PLURAL = {
    "transformer": "transformers",
    "one-layer transformer": "one-layer transformers",
    "recurrent": "recurrent models",
    "feed-forward": "feed-forward nets",
}
_SINGLE = {
    "transformer": "transformer",
    "one-layer transformer": "one-layer transformer",
    "recurrent": "recurrent model",
    "feed-forward": "feed-forward net",
}


class Line(NamedTuple):
    """A line of text in a label: size in px, weight, and colour class."""

    text: str
    size: float = 12
    weight: int = 400
    tone: str = "ink2"


def _both(names: list[str]) -> str:
    return "both" if len(names) == 2 else f"all {len(names)}"


def _listed(names: list[str], words: dict[str, str], default: str) -> str:
    said = [words.get(name, f"{name} {default}") for name in names]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def region_words(
    names: list[str], able: frozenset[str], unable: frozenset[str], brief: bool = False
) -> tuple[list[Line], tuple[float, float]]:
    """Lines for a region, and the place they would like (share of the plot's width and height).

    `names` are the families of the chart, `able` those with a construction here, `unable` those ruled out here.
    """
    can, cannot = [n for n in names if n in able], [n for n in names if n in unable]
    rest = [n for n in names if n not in able and n not in unable]
    aside = Line(f"open for {_listed(rest, _PLURAL, 'models')}", 12, 400 if brief else 600, "ink3") if rest else None
    if can and cannot:
        many = _listed(can, _PLURAL, "models").capitalize()
        return [Line(f"{many} can;", 14, 600, "ink"),
                Line(f"no {_listed(cannot, _SINGLE, 'model')} can", 14, 600, "ink")], (0.85, 0.5)  # fmt: skip
    if can:
        whole = "Constructed" if len(names) == 1 else f"Constructed for {_both(names)}"
        text = f"constructed for {_listed(can, _PLURAL, 'models')}" if rest else whole
        lines = [Line(text.capitalize() if rest else text, 12.5 if brief else 14, 600, "can")]
        return lines + ([aside] if aside and not brief else []), (0.0, 0.0)
    if cannot:
        every = "Impossible" if not rest and len(names) == 1 else f"Impossible for {_both(names)}"
        text = f"Impossible for every {_listed(cannot, _SINGLE, 'model')}" if rest else every
        if brief and rest:
            many = _listed(cannot, _PLURAL, "models")
            return [Line("Impossible for", 12, 600, "cannot"), Line(many, 12, 600, "cannot")], (1, 1)
        return [Line(text, 14, 600, "cannot")] + ([aside] if aside else []), (0.9, 0.95)
    return [Line("open: no witness, no bound", 12, 400, "ink3")], (0.5, 0.5)
