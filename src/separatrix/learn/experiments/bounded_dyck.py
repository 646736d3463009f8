"""Bounded Dyck words: one attention layer against two and against an LSTM.

Bhattamishra, Hahn, Blunsom, Kanade 2024, section 6: Dyck-(2,2), half of the words right and half slightly wrong. One
layer of width 256 learns it up to length 100 and slowly, two layers of width 64 and an LSTM of 64 units up to 400.
"""

from __future__ import annotations

from separatrix.core.recurrent import Lstm
from separatrix.learn.comparison import grid, measure, recurrent
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep
from separatrix.tasks.dyck import Dyck

LENGTHS = {"quick": (8, 16), "paper": (20, 50, 100, 200, 400)}
RECIPES = {
    "quick": Recipe(1500, batch=64, distribution="balanced", validation=512, target=0.999, hold=2),
    "paper": Recipe(20000, batch=64, distribution="balanced", validation=1024, target=0.999, hold=2),
}
RATES = {"quick": (3e-3,), "paper": (1e-2, 3e-3, 1e-3, 3e-4)}
SEEDS = {"quick": 1, "paper": 3}


def runs(size: Size) -> list[Run]:
    """One layer (wider in the paper), two layers and an LSTM, at every length."""
    task, found = Dyck(2, 2), list[Run]()
    for n in LENGTHS[size]:
        models = {
            "transformer, 1 layer": deep(task, n, 256 if size == "paper" else 64, 1, heads=4),
            "transformer, 2 layers": deep(task, n, 64, 2, heads=4),
            "LSTM, 64 units": recurrent(task, n, 64, Lstm(64)),
        }
        found += grid(task, n, models, RECIPES[size], RATES[size], SEEDS[size])
    return found


registry.register("bounded-dyck")(
    Experiment(
        "bounded-dyck",
        "Dyck words of depth 2: one attention layer, two, and an LSTM",
        "Bhattamishra, Hahn, Blunsom, Kanade 2024, section 6 (bounded Dyck)",
        runs,
        measure,
        ("brackets, *N*", lambda run: run.n),
        theirs="Dyck-(2,2), lengths 20 to 400; 1 layer of width 256, 2 layers of width 64, LSTM and Mamba of state 64",
    )
)
