"""Positional against standard attention on lists of one to eight numbers, tested on numbers up to c times as large.

Back de Luca et al. 2025, section 7 (variable length): lengths 1 to 8 in one training, 500,000 samples. Here a list has
eight nodes, each with a mark that says whether it holds a number, and errors are measured where one does. (Their test
losses of this figure are sums over eight batches, eight times the mean; their validation losses are not.)
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np

from separatrix.core.seeds import child
from separatrix.learn.cohort import Member
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.experiments.positional_scale import (
    RANGE,
    RATES,
    RECIPES,
    SCALES,
    SEEDS,
    TASKS,
    TESTS,
    N,
    positional,
    sample,
    standard,
)
from separatrix.learn.run import Run
from separatrix.learn.scoring import cpu_threads
from separatrix.models.model import Model
from separatrix.tasks.variable_length import VariableLength, marked, present

SAMPLES = {"quick": 30000, "paper": 500000}


def runs(name: str, size: Size) -> list[Run]:
    """Both models."""
    recipe = dataclasses.replace(RECIPES[size], samples=SAMPLES[size])
    models = {
        "positional": dataclasses.replace(positional(N), reals=2),
        "standard": dataclasses.replace(standard(N), reals=2),
    }
    return [
        Run.of(label, VariableLength(name, RANGE), N, arch, recipe, Member(seed, rate))
        for label, arch in models.items()
        for rate in RATES[size]
        for seed in range(SEEDS[size])
    ]


def measure(run: Run, model: Model) -> dict[str, float]:
    """Mean squared errors `mse_c1` .. `mse_c10` at nodes that hold a number, c times as large as in training."""
    import torch

    from separatrix.models import nets

    task, net, found = run.make_task(), nets.load(model), {}
    with cpu_threads(1), torch.no_grad():
        for scale in SCALES:
            rng = child(run.member.seed, "scale", scale)
            reals = marked(sample(run.n, TESTS, scale, rng)[:, :, 0], rng.integers(1, run.n + 1, TESTS))
            tokens = np.zeros(reals.shape[:2], dtype=np.int64)
            got = net(torch.from_numpy(tokens), torch.from_numpy(reals), task.queries(run.n)).double().numpy()
            found[f"mse_c{scale}"] = float(((got - task.answer(tokens, reals))[present(reals)] ** 2).mean())
    return found


for _name in TASKS:
    registry.register(f"positional-{_name}-mixed-lengths")(
        Experiment(
            f"positional-{_name}-mixed-lengths",
            f"{_name.replace('-', ' ').capitalize()} of 1 to 8 numbers: learned on [-2, 2], tested on larger ones",
            "Back de Luca et al. 2025, section 7 (variable length)",
            partial(runs, _name),
            measure,
            ("scale of the test numbers, *c*", lambda run: run.n),
            y="mse_c10",
            theirs="sum at c = 10, their test losses divided by 8: standard 41, positional 0.012",
            curve=tuple((float(scale), f"mse_c{scale}") for scale in SCALES),
            y_title="mean squared error",
            less=True,
            log=(True, True),
        )
    )
