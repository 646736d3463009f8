"""Positional against standard attention by sample size and by length, tested on numbers three times as large.

Back de Luca et al. 2025, section 7 and appendix: 5,000 to 50,000 fixed samples of N = 8 numbers, and N = 2 to 32
numbers with log2 N + 1 layers and 30,000 samples, both tested on [-6, 6]. Models and draws are those of the scale
experiment, and so are some of the runs, which the store keeps once. In the paper more samples help the positional model
outside of the training range (sum, 5,000 to 50,000: 0.088 to 8.4e-4), and hardly the standard one (3.4 to 1.8).
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Literal

from separatrix.learn.cohort import Member
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.experiments.positional_scale import RATES, RECIPES, TASKS, N, measure, positional, standard
from separatrix.learn.run import Run

SAMPLES = {"quick": (1000, 5000, 25000), "paper": tuple(range(5000, 50001, 5000))}
LENGTHS = {"quick": (2, 4, 8), "paper": (2, 4, 8, 16, 32)}
SEEDS = {"quick": 1, "paper": 10}


def runs(name: str, across: Literal["samples", "lengths"], size: Size) -> list[Run]:
    """Both models, at every number of samples or every length."""
    plain, found = RECIPES[size], list[Run]()
    for value in SAMPLES[size] if across == "samples" else LENGTHS[size]:
        n = N if across == "samples" else value
        recipe = dataclasses.replace(plain, samples=value) if across == "samples" else plain
        found += [
            Run.of(label, TASKS[name], n, arch, recipe, Member(seed, rate))
            for label, arch in (("positional", positional(n)), ("standard", standard(n)))
            for rate in RATES[size]
            for seed in range(SEEDS[size])
        ]
    return found


for _name in TASKS:
    _title = _name.replace("-", " ").capitalize()
    registry.register(f"positional-{_name}-samples")(
        Experiment(
            f"positional-{_name}-samples",
            f"{_title} of 8 numbers by the number of samples: learned on [-2, 2], tested on [-6, 6]",
            "Back de Luca et al. 2025, section 7 (sample size)",
            partial(runs, _name, "samples"),
            measure,
            ("training samples, *m*", lambda run: run.recipe.samples),
            y="mse_c3",
            theirs="m = 5,000 to 50,000, 10 runs each; sum: positional 0.088 to 8.4e-4, standard 3.4 to 1.8",
            by_score=True,
            y_title="mean squared error",
            less=True,
            log=(True, True),
        )
    )
    registry.register(f"positional-{_name}-lengths")(
        Experiment(
            f"positional-{_name}-lengths",
            f"{_title} of N numbers: learned on [-2, 2], tested on [-6, 6]",
            "Back de Luca et al. 2025, section 7 (input length)",
            partial(runs, _name, "lengths"),
            measure,
            ("numbers, *N*", lambda run: run.n),
            y="mse_c3",
            theirs="N = 2 to 32, 10 runs each; at N = 32 positional / standard: sum 0.036 / 112, sort 0.010 / 3.7",
            by_score=True,
            y_title="mean squared error",
            less=True,
            log=(True, True),
        )
    )
