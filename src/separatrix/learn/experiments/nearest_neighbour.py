"""In-context nearest neighbour: labelled points of a hypercube, then a point; one attention layer, two, and recurrence.

Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorems 7 and 8: two layers of logarithmic width do it, a recurrent model
needs a state of order K. Their paper trains nothing on this task; points are those of a hypercube here, points and
labels tokens of their own, and of equally near points the latest counts.
"""

from __future__ import annotations

from separatrix.core.recurrent import DiagonalSsm, Lstm
from separatrix.learn.comparison import grid, measure, recurrent
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep
from separatrix.tasks.nearest_neighbour import NearestNeighbour

PAIRS = {"quick": (4, 8), "paper": (4, 8, 16, 32, 64)}
DIM = {"quick": 4, "paper": 8}
RECIPES = {
    "quick": Recipe(2000, batch=64, validation=512, target=0.999, hold=2),
    "paper": Recipe(50000, batch=64, validation=1024, check_every=250, target=0.999, hold=2),
}
RATES = {"quick": (3e-3,), "paper": (1e-2, 3e-3, 1e-3, 3e-4)}
SEEDS = {"quick": 1, "paper": 3}


def runs(size: Size) -> list[Run]:
    """All models at every number of pairs."""
    task, found = NearestNeighbour(DIM[size]), list[Run]()
    for n in PAIRS[size]:
        models = {
            "transformer, 1 layer": deep(task, n, 64, 1, heads=2, mask="causal"),
            "transformer, 2 layers": deep(task, n, 64, 2, heads=2, mask="causal"),
            "LSTM, 64 units": recurrent(task, n, 64, Lstm(64)),
            "diagonal SSM, 64 complex units": recurrent(task, n, 64, DiagonalSsm(64, 64)),
        }
        found += grid(task, n, models, RECIPES[size], RATES[size], SEEDS[size])
    return found


registry.register("nearest-neighbour")(
    Experiment(
        "nearest-neighbour",
        "The label of the nearest of K points: one and two attention layers, an LSTM and a state-space model",
        "Bhattamishra, Hahn, Blunsom, Kanade 2024, Theorems 7 and 8 (nearest neighbour); not trained there",
        runs,
        measure,
        ("pairs, *K*", lambda run: run.n),
    )
)
