"""q-sparse averaging: attention against an LSTM and an MLP; and the width of attention against q log N.

Sanford, Hsu, Telgarsky 2023, appendix D and Theorems 2, 4 and 10: a unit of attention of width O(q log N) averages any
q of N vectors, a recurrent model needs a state of order N, and a net that reads its input whole a first layer of order
N. Theirs trains a unit at q = 3, whose attention becomes even on the set (their Figure 2).

Here `sparse-averaging` asks once, for the average of q signs, so that an LSTM (which reads the set last) and an MLP
(which reads signs and set as one vector) are asked the same; an answer is right when it is nearest to the right
average. `sparse-averaging-width` is the task of the paper, every token with a set of its own: one unit of attention
whose keys are m trained numbers, a query the sum of the keys pointed at. Its figure shows the share of positions within
1/(2q), which is what their lower bounds ask for.
"""

from __future__ import annotations

import math

from separatrix.core.positional import Positional, PositionalLayer
from separatrix.core.recurrent import Lstm
from separatrix.core.seeds import child
from separatrix.learn.comparison import TESTS, grid, measure, recurrent
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.scoring import cpu_threads, share_right
from separatrix.learn.standard import deep, one_layer
from separatrix.models.model import Model
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.tasks.sparse_sign_averaging import FlatSignAveraging, SparseSignAveraging

Q = {"quick": 2, "paper": 3}
LENGTHS = {"quick": (6, 10, 16), "paper": (10, 20, 40)}
RECIPES = {
    "quick": Recipe(1500, batch=128, validation=512),
    "paper": Recipe(40000, batch=128, validation=1024, check_every=250),
}
RATES = {"quick": (3e-3,), "paper": (1e-2, 3e-3, 1e-3)}
SEEDS = {"quick": 1, "paper": 3}
WIDTH_QN = {"quick": ((2, 8), (2, 32)), "paper": ((2, 20), (2, 50), (2, 100), (3, 20), (3, 50), (5, 20), (5, 50))}
KEYS = {"quick": (2, 4, 8, 16), "paper": (2, 4, 6, 8, 12, 16, 24, 32, 48)}


def mlp(n: int, width: int) -> Positional:
    """A ReLU net of two hidden layers of this width on the 2n numbers of a single node (whose attention is idle)."""
    layer = PositionalLayer(1, 1, width, (width,), skip="residual")
    return Positional(1, 0, 2 * n, width, 1, (layer,) * 2, 1)


def runs(size: Size) -> list[Run]:
    """All models at every N."""
    q, found = Q[size], list[Run]()
    for n in LENGTHS[size]:
        task = SparseSignAveraging(q)
        models = {
            "attention, 1 layer of width 64": deep(task, n, 64, 1, heads=2),
            "LSTM, 64 units": recurrent(task, n, 64, Lstm(64)),
        }
        found += grid(task, n, models, RECIPES[size], RATES[size], SEEDS[size])
        nets = {f"MLP, width {width}": mlp(n, width) for width in (64, 256)}
        found += grid(FlatSignAveraging(q), n, nets, RECIPES[size], RATES[size], SEEDS[size])
    return found


def width_runs(size: Size) -> list[Run]:
    """One unit of attention for every q, N and number of key dimensions."""
    found = list[Run]()
    for q, n in WIDTH_QN[size]:
        task = SparseAveraging(q, eps=0.5 / q)
        for keys in KEYS[size]:
            arch = one_layer(task, n, 2 * keys + task.dim, key_width=keys, value_width=task.dim)
            label = f"q = {q}, N = {n} (q ln N = {q * math.log(n):.1f})"
            found += grid(task, n, {label: arch}, RECIPES[size], RATES[size], SEEDS[size])
    return found


def measure_width(run: Run, model: Model) -> dict[str, float]:
    """Share of positions within 1/(2q) on fresh inputs."""
    from separatrix.models import nets

    task = run.make_task()
    drawn = task.sample(run.n, TESTS // 8, child(run.member.seed, "fresh"), run.recipe.distribution)
    with cpu_threads(1):
        return {"accuracy": share_right(nets.load(model), task, run.n, *drawn)}


def _keys(run: Run) -> float:
    """Dimensions of a key."""
    return (run.arch.width - 1) // 2


registry.register("sparse-averaging")(
    Experiment(
        "sparse-averaging",
        "The average of q of N signs: attention, an LSTM and an MLP",
        "Sanford, Hsu, Telgarsky 2023, appendix D (q-sparse averaging)",
        runs,
        measure,
        ("signs, *N*", lambda run: run.n),
        theirs="q = 3: the attention of a trained unit becomes even on the set; no numbers are compared",
    )
)

registry.register("sparse-averaging-width")(
    Experiment(
        "sparse-averaging-width",
        "q-sparse averaging by one unit of attention: the dimensions of a key against q log N",
        "Sanford, Hsu, Telgarsky 2023, Theorems 2 and 4 (q-sparse averaging)",
        width_runs,
        measure_width,
        ("dimensions of a key, *m*", _keys),
        y_title="share of positions within 1/(2q)",
    )
)
