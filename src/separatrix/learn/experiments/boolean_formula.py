"""The value of a Boolean formula, by depth: formulas in brackets are complete for NC1 (Buss 1987)."""

from __future__ import annotations

from separatrix.core.recurrent import Lstm
from separatrix.learn.comparison import grid, measure, recurrent
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep
from separatrix.tasks.formula_value import BooleanFormula

LENGTHS = {"quick": (9, 17), "paper": (9, 17, 33, 65)}
DEPTHS = {"quick": (1, 2, 3), "paper": (1, 2, 3, 4, 6)}
RECIPES = {
    "quick": Recipe(1500, batch=64, validation=512, target=0.999, hold=2),
    "paper": Recipe(50000, batch=128, validation=1024, check_every=250, target=0.999, hold=2),
}
RATES = {"quick": (3e-3,), "paper": (3e-3, 1e-3, 3e-4)}
SEEDS = {"quick": 1, "paper": 3}


def runs(size: Size) -> list[Run]:
    """Transformers of every depth and an LSTM, at every length."""
    task, found = BooleanFormula(), list[Run]()
    for n in LENGTHS[size]:
        models = {
            f"transformer, depth {depth}": deep(task, n, 64, depth, heads=4) for depth in DEPTHS[size]
        } | {"LSTM, 64 units": recurrent(task, n, 64, Lstm(64))}  # fmt: skip
        found += grid(task, n, models, RECIPES[size], RATES[size], SEEDS[size])
    return found


registry.register("boolean-formula")(
    Experiment(
        "boolean-formula",
        "The value of a Boolean formula of N tokens: depth of a transformer, and an LSTM",
        "Buss 1987 (Boolean formula value); no paper's experiment is repeated here",
        runs,
        measure,
        ("tokens of the formula, *N*", lambda run: run.n),
    )
)
