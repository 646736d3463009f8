"""The figure of an experiment, from the run store alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically
from separatrix.draw import Line, Lines, lines_svg
from separatrix.learn.experiment import Experiment, Point
from separatrix.learn.plot import printed, require_figure


def write_figure(path: Path, experiment: Experiment, size: str, points: Sequence[Point]) -> None:
    """SVG, PNG or PDF by the file's name; InputError for other names, without matplotlib, or without points."""
    require_figure(path)
    figure = lines(experiment, size, points)
    write_atomically(path, lines_svg(figure).encode() if path.suffix == ".svg" else printed(figure, path.suffix[1:]))


def picture(experiment: Experiment, size: str, points: Sequence[Point]) -> str:
    """The figure as SVG."""
    return lines_svg(lines(experiment, size, points))


def lines(experiment: Experiment, size: str, points: Sequence[Point]) -> Lines:
    """One line a label, the median over seeds, with a band from the worst seed to the best.

    With n seeds that band holds the median of all seeds with confidence 1 - 2^(1 - n), whatever their distribution.
    """
    if not points:
        raise InputError(f"the store holds no run of {experiment.name} in size {size}; train it first")
    series = []
    for label in sorted({point.label for point in points}):
        own = [point for point in points if point.label == label]
        seeds, rates = {point.seeds for point in own}, sorted({point.learning_rate for point in own})
        detail = f"{_range(sorted(seeds))} seed{'s' * (seeds != {1})}, learning rate {_range(rates)}"
        series.append(Line(label, tuple((p.x, p.median, p.worst, p.best) for p in own), detail))
    chosen = " validation score." if experiment.curve or experiment.by_score else "."
    feet = f"Line: median of the seeds. Band: {_band({point.seeds for point in points})}. Size: {size}. "
    feet += f"Learning rate: the best by median{chosen}"
    log_x, log_y = experiment.log
    return Lines(
        experiment.title,
        experiment.source,
        tuple(series),
        experiment.x[0],
        experiment.y_title.capitalize(),
        log_x,
        log_y,
        (feet,),
    )


def _band(seeds: set[int]) -> str:
    """What the band is, in words.

    >>> _band({3})
    'worst to best seed, a 75 % confidence interval of the median'
    """
    if max(seeds) == 1:
        return "none, one seed each"
    confidence = [100 * (1 - 2.0 ** (1 - n)) for n in sorted(seeds)]
    return (
        f"worst to best seed, a {_range([float(f'{c:.3g}') for c in confidence])} % confidence interval of the median"
    )


def _range(values: Sequence[float]) -> str:
    """`3`, or `1 to 3`."""
    return f"{values[0]:g}" if values[0] == values[-1] else f"{values[0]:g} to {values[-1]:g}"
