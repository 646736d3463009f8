"""A part of an experiment's runs: some models, some lengths, some learning rates, the first seeds.

A part's runs are the experiment's own, with the same keys: parts trained on different days make up the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from separatrix.core.errors import InputError
from separatrix.learn.experiment import Experiment
from separatrix.learn.run import Run


@dataclass(frozen=True, slots=True)
class Part:
    """What is wanted; an empty field takes everything.

    Attributes:
        models: labels, or patterns with * and ?. across: values on the figure's axis. rates: learning rates.
        seeds: so many of the first seeds; 0 for all.
    """

    models: tuple[str, ...] = ()
    across: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    seeds: int = 0

    def of(self, experiment: Experiment, runs: Sequence[Run]) -> list[Run]:
        """The runs that are meant; InputError for a wish that no run meets."""
        axis = experiment.x[0].replace("*", "")
        for pattern in self.models:
            if not any(fnmatchcase(run.label, pattern) for run in runs):
                raise InputError(f"no model {pattern!r}; there are {_words(runs, lambda run: repr(run.label))}")
        if experiment.curve and self.across:
            raise InputError(f"{experiment.name} has all of its values ({axis}) in every run; leave --across out")
        for value in self.across:
            if not any(experiment.x[1](run) == value for run in runs):
                told = _words(runs, lambda run: f"{experiment.x[1](run):g}")
                raise InputError(f"no run at {value:g} ({axis}); there are {told}")
        for rate in self.rates:
            if not any(run.member.learning_rate == rate for run in runs):
                told = _words(runs, lambda run: f"{run.member.learning_rate:g}")
                raise InputError(f"no run with learning rate {rate:g}; there are {told}")
        if self.seeds < 0:
            raise InputError(f"seeds = {self.seeds}; take a positive number, or 0 for all of them")
        return [run for run in runs if self._wants(experiment, run)]

    def _wants(self, experiment: Experiment, run: Run) -> bool:
        return (
            (not self.models or any(fnmatchcase(run.label, pattern) for pattern in self.models))
            and (not self.across or experiment.x[1](run) in self.across)
            and (not self.rates or run.member.learning_rate in self.rates)
            and (not self.seeds or run.member.seed < self.seeds)
        )


def _words(runs: Sequence[Run], name: Callable[[Run], str]) -> str:
    return ", ".join(dict.fromkeys(map(name, runs)))
