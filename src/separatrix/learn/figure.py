"""The figure of an experiment, from the run store alone."""

from __future__ import annotations

from collections.abc import Sequence

from separatrix.core.errors import InputError
from separatrix.draw import Line, Lines, lines_svg
from separatrix.learn.experiment import Experiment, Point


def picture(experiment: Experiment, size: str, points: Sequence[Point]) -> str:
    """SVG: one line a label, the median over seeds, with a band from the worst seed to the best."""
    if not points:
        raise InputError(f"the store holds no run of {experiment.name} in size {size}; train it first")
    series = []
    for label in sorted({point.label for point in points}):
        own = [point for point in points if point.label == label]
        seeds, rates = {point.seeds for point in own}, sorted({point.learning_rate for point in own})
        detail = f"{_range(sorted(seeds))} seed{'s' * (seeds != {1})}, learning rate {_range(rates)}"
        series.append(Line(label, tuple((p.x, p.median, p.worst, p.best) for p in own), detail))
    feet = f"Line: median of the seeds. Band: worst to best seed. Size: {size}. Learning rate: the best by median"
    feet += " validation score." if experiment.curve or experiment.by_score else "."
    log_x, log_y = experiment.log
    return lines_svg(
        Lines(
            experiment.title,
            experiment.source,
            tuple(series),
            experiment.x[0],
            experiment.y_title.capitalize(),
            log_x,
            log_y,
            (feet,),
        )
    )


def _range(values: Sequence[float]) -> str:
    """`3`, or `1 to 3`."""
    return f"{values[0]:g}" if values[0] == values[-1] else f"{values[0]:g} to {values[-1]:g}"
