"""Match2 and Match3: at every position, are there one or two others that complete it to 0 modulo M?

Sanford, Hsu, Telgarsky 2023: one attention head of width O(log N) computes Match2; for Match3 one layer of attention
over tokens needs heads or a width of order N, one unit of attention over pairs of tokens does not. Inputs are drawn
from few residues, so that both answers are common.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from separatrix.core.config import AnyArch
from separatrix.core.task import Task
from separatrix.learn.comparison import grid, measure
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep, one_layer
from separatrix.tasks.match2 import Match2
from separatrix.tasks.match3 import Match3

WIDTH, HEADS = 32, 2
LENGTHS = {"quick": (8, 16), "paper": (8, 16, 32, 64)}
MODULI = {"quick": 17, "paper": 64}
RECIPES = {
    "quick": Recipe(1500, batch=64, distribution="sparse", validation=256, target=0.999, hold=2),
    "paper": Recipe(50000, batch=64, distribution="sparse", validation=1024, check_every=250, target=0.999, hold=2),
}
RATES = {"quick": (3e-3,), "paper": (1e-2, 3e-3, 1e-3, 3e-4)}
SEEDS = {"quick": 1, "paper": 3}


def models(task: Task, n: int) -> dict[str, AnyArch]:
    """By label; all with a blank token to attend to where there is no match, and a ReLU net behind each attention."""
    one = partial(one_layer, task, n, WIDTH, residual=True, blank=True, mlp=4 * WIDTH)
    found: dict[str, AnyArch] = {
        "transformer, 1 layer": one(HEADS),
        "transformer, 2 layers": dataclasses.replace(deep(task, n, WIDTH, 2, HEADS), blank=True),
    }
    if isinstance(task, Match3):
        found |= {"third-order, 1 layer": one(1, pairs="third-order"), "Strassen, 1 layer": one(1, pairs="strassen")}
    return found


def runs(order: int, size: Size) -> list[Run]:
    """All models at every length."""
    task, found = (Match2 if order == 2 else Match3)(MODULI[size]), list[Run]()
    for n in LENGTHS[size]:
        found += grid(task, n, models(task, n), RECIPES[size], RATES[size], SEEDS[size])
    return found


for _order, _what in ((2, "a number that completes it"), (3, "two numbers that complete it")):
    registry.register(f"match{_order}")(
        Experiment(
            f"match{_order}",
            f"Match{_order}: has a number {_what} to 0 modulo M? Attention layers of width {WIDTH}",
            f"Sanford, Hsu, Telgarsky 2023 (Match{_order}); no experiment of theirs is repeated here",
            partial(runs, _order),
            measure,
            ("numbers, *N*", lambda run: run.n),
        )
    )
