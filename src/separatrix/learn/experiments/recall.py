"""Multi-query associative recall: attention of one and two layers against recurrent models of fixed state.

Arora et al. 2024 (MQAR): N pairs of key and label, then the keys again in another order. Keys and labels are tokens of
their own here, so that one softmax layer cannot bind a label to its key; two layers can, and an LSTM must hold all. The
others have two blocks of width 64: linear attention, RetNet and DeltaNet with 4 heads of 16 x 16, Mamba with 16 states.
"""

from __future__ import annotations

from separatrix.core.config import AnyArch
from separatrix.core.recurrent import DiagonalSsm, Lstm
from separatrix.learn.comparison import grid, measure, recurrent
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.families import block
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import deep
from separatrix.tasks.multi_query_recall import MultiQueryRecall

PAIRS = {"quick": (4, 8), "paper": (4, 8, 16, 32, 64)}
KEYS, LABELS = {"quick": 16, "paper": 128}, {"quick": 4, "paper": 64}
RECIPES = {
    "quick": Recipe(2000, batch=32, distribution="permuted", validation=256, target=0.999, hold=2),
    "paper": Recipe(50000, batch=64, distribution="permuted", validation=512, check_every=250, target=0.999, hold=2),
}
RATES = {"quick": (3e-3,), "paper": (1e-2, 3e-3, 1e-3, 3e-4)}
SEEDS = {"quick": 1, "paper": 3}
FAMILIES = {"RetNet": "retnet", "linear attention": "linear-attention", "DeltaNet": "deltanet", "Mamba": "mamba"}


def runs(size: Size) -> list[Run]:
    """All models at every number of pairs."""
    task, found = MultiQueryRecall(KEYS[size], LABELS[size]), list[Run]()
    for n in PAIRS[size]:
        models: dict[str, AnyArch] = {
            "transformer, 1 layer": deep(task, n, 64, 1, heads=2, mask="causal"),
            "transformer, 2 layers": deep(task, n, 64, 2, heads=2, mask="causal"),
            "LSTM, 64 units": recurrent(task, n, 64, Lstm(64)),
            "diagonal SSM, 64 complex units": recurrent(task, n, 64, DiagonalSsm(64, 64)),
        }
        for name, family in FAMILIES.items():
            layers = block(family, 64) * 2
            models[f"{name}, 2 blocks"] = recurrent(task, n, 64, *layers, placed=family == "linear-attention")
        found += grid(task, n, models, RECIPES[size], RATES[size], SEEDS[size])
    return found


registry.register("recall")(
    Experiment(
        "recall",
        "Multi-query associative recall: one and two attention layers, an LSTM and a state-space model",
        "Arora et al. 2024 (multi-query associative recall)",
        runs,
        measure,
        ("pairs, *N*", lambda run: run.n),
        theirs="vocabulary 8192, 4 pairs in 64 tokens to 64 in 512, width 64 to 512; 2 attention layers, 4 of others",
    )
)
