"""Word problems of groups: which element is the product? Depth of a transformer against one LSTM layer.

Liu, Ash, Goel, Krishnamurthy, Zhang 2023: transformers of depth O(1) simulate the automata of solvable groups, of depth
O(log N) all. S5 and A5 are complete for NC1 (Barrington 1989); Merrill, Petty, Sabharwal 2024 train transformers,
state-space models and RNNs on groups of order 60, with the product asked for after every element, as here. (Asked for
the last product alone, none of these models learns S3 within the quick budget, and the LSTM not even Z2 at N = 8.)
Linear recurrences with diagonal or positive transitions do not even tell parity at every length; one DeltaNet layer
with eigenvalues down to -1 can (Grazzi et al. 2025).
"""

from __future__ import annotations

from separatrix.core.config import AnyArch
from separatrix.core.recurrent import Lstm
from separatrix.learn.comparison import grid, measure, recurrent
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.families import block
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep
from separatrix.tasks.prefix_products import PrefixProducts

LENGTHS = {"quick": (4, 8), "paper": (4, 8, 16, 24)}
GROUPS = {"quick": ("z2", "s3"), "paper": ("z2", "s3", "a5", "s5")}
DEPTHS = {"quick": (1, 2), "paper": (1, 2, 3, 4)}
RECIPES = {
    "quick": Recipe(1500, batch=64, validation=512, target=0.999, hold=2),
    "paper": Recipe(50000, batch=128, validation=1024, check_every=250, target=0.999, hold=2),
}
RATES = {"quick": (3e-3,), "paper": (3e-3, 1e-3, 3e-4)}
SEEDS = {"quick": 1, "paper": 3}
DELTA = {"eigenvalues in (0, 1)": "deltanet", "eigenvalues in (-1, 1)": "negative-deltanet"}


def runs(size: Size) -> list[Run]:
    """Every group, length and depth, and an LSTM."""
    found = list[Run]()
    for group in GROUPS[size]:
        task = PrefixProducts(group)
        for n in LENGTHS[size]:
            models: dict[str, AnyArch] = {}
            for depth in DEPTHS[size]:
                models[f"{group.upper()}, transformer, depth {depth}"] = deep(
                    task, n, 64, depth, heads=4, mask="causal"
                )
            models[f"{group.upper()}, LSTM, 64 units"] = recurrent(task, n, 64, Lstm(64))
            for told, family in DELTA.items():
                models[f"{group.upper()}, DeltaNet, {told}"] = recurrent(task, n, 64, *block(family, 64))
            found += grid(task, n, models, RECIPES[size], RATES[size], SEEDS[size])
    return found


registry.register("word-problems")(
    Experiment(
        "word-problems",
        "The products of N group elements, one after the other: depth of a transformer, and an LSTM",
        "Liu, Ash, Goel, Krishnamurthy, Zhang 2023; Merrill, Petty, Sabharwal 2024",
        runs,
        measure,
        ("group elements, *N*", lambda run: run.n),
        theirs="Merrill et al.: Z60, A4 x Z5 and A5, the product after every element",
    )
)
