"""k-hop induction heads: how many layers does it take to jump k times?

Sanford, Hsu, Telgarsky 2024, section 5: the depth that training needs grows as log2 k, with N = 100 and 4 symbols. One
model of theirs learns every k to 16, which the first token names; here every k has models of its own.
"""

from __future__ import annotations

from separatrix.learn.comparison import grid, measure
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep
from separatrix.tasks.k_hop import KHop

N = {"quick": 24, "middle": 50, "paper": 100}
HOPS = {"quick": (1, 2), "middle": (1, 2, 3, 4), "paper": (1, 2, 3, 4, 8, 16)}
DEPTHS = {"quick": (1, 2, 3), "middle": (1, 2, 3, 4), "paper": (1, 2, 3, 4, 5, 6)}
WIDTH, HEADS = {"quick": 32, "middle": 64, "paper": 128}, 4
RECIPES = {
    "quick": Recipe(2000, batch=32, validation=256, target=0.999, hold=2),
    "middle": Recipe(20000, batch=32, validation=512, check_every=250, target=0.999, hold=2),
    "paper": Recipe(100000, batch=32, validation=1024, check_every=500, target=0.999, hold=2),
}
RATES = {"quick": (3e-3,), "middle": (1e-3,), "paper": (1e-3, 3e-4, 1e-4)}
SEEDS = {"quick": 1, "middle": 3, "paper": 3}


def runs(size: Size) -> list[Run]:
    """Causal transformers of every depth, for every k."""
    found, n = list[Run](), N[size]
    for k in HOPS[size]:
        task = KHop(k, 4)
        models = {
            f"{depth} layer{'s' * (depth > 1)}": deep(task, n, WIDTH[size], depth, HEADS, mask="causal")
            for depth in DEPTHS[size]
        }
        found += grid(task, n, models, RECIPES[size], RATES[size], SEEDS[size])
    return found


registry.register("k-hop")(
    Experiment(
        "k-hop",
        "k-hop induction heads: depth against k",
        "Sanford, Hsu, Telgarsky 2024, section 5",
        runs,
        measure,
        ("hops, *k*", lambda run: dict(run.parameters)["k"]),
        theirs="N = 100, 4 symbols, k to 16, depth to 6, width 128 with 4 heads, 100,000 steps of 32",
        sizes=("quick", "middle", "paper"),
    )
)
