"""Positional against standard attention: trained on numbers in [-2, 2], tested on numbers up to c times as large.

Back de Luca et al. 2025, section 7: N = 8 numbers, log2 N + 1 layers of width 64 with 2 heads, 30,000 fixed samples,
each from a random interval; for c > 1 tests whose interval lies in the training range are drawn again. All models have
one node of their own, the authors' block with its concatenating skip, and 64 numbers a query and key. `standard` reads
positions with its input, `rotary` also turns queries and keys by their node (in the authors' code that baseline turns
them by their head, which changes nothing), `hybrid` computes attention from stream and positions together.

The tasks are positively homogeneous, f(c x) = c f(x), and so is a positional model without biases. `biases decayed`
builds that in by weight decay of the biases alone: a prior, shown next to the plain recipe and not instead of it.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np

from separatrix.core.config import AnyArch
from separatrix.core.numeric import Numeric, NumericLayer
from separatrix.core.positional import Positional, PositionalLayer
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.learn.bounds import CLIP, learning_bound
from separatrix.learn.cohort import Member
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.scoring import cpu_threads, mean_loss
from separatrix.learn.store import Finished, Store
from separatrix.models.model import Model
from separatrix.tasks.maximum_subarray import MaximumSubarray
from separatrix.tasks.prefix_extremes import PrefixMinima
from separatrix.tasks.prefix_medians import PrefixMedians
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.tasks.sorting import Sorting

N, WIDTH, HEADS = 8, 64, 2
BASE = 10000.0  # of the rotation
RANGE = 2.0  # of training
SCALES = tuple(range(1, 11))
TESTS = 1000
TASKS: dict[str, Task] = {
    "sum": PrefixSums(low=-RANGE, high=RANGE),
    "min": PrefixMinima(RANGE),
    "median": PrefixMedians(RANGE),
    "sort": Sorting(RANGE),
    "maximum-subarray": MaximumSubarray(RANGE),
}
RECIPES = {
    "quick": Recipe(2000, batch=100, samples=30000, distribution="interval", validation=1000, check_every=500),
    "paper": Recipe(
        12000, batch=250, beta2=0.99, samples=30000, distribution="interval", validation=1000, check_every=500
    ),
}
SEEDS = {"quick": 3, "paper": 10}
RATES = {"quick": (2e-3,), "paper": (4e-3, 2e-3, 1e-3)}


def positional(n: int) -> Positional:
    """The authors' model: one-hot positions, one sink, log2 n + 1 layers."""
    nodes = n + 1
    layer = PositionalLayer(HEADS, nodes, WIDTH // HEADS, (WIDTH,), scale=1.0 / math.sqrt(nodes))
    return Positional(nodes, 1, 1, WIDTH, nodes, (layer,) * depth(n), 1)


def standard(n: int, reads: Literal["stream", "both"] = "stream", base: float = 0.0) -> Numeric:
    """The same shape with attention computed from the stream, and positions beside the input (`hybrid`: see reads)."""
    block = NumericLayer(HEADS, WIDTH, WIDTH // HEADS, (WIDTH,), reads, base, scale=1.0 / math.sqrt(WIDTH))
    return Numeric(n + 1, 1, 1, WIDTH, n + 1, reads == "stream", (block,) * depth(n), 1)


def depth(n: int) -> int:
    """log2 n + 1, rounded up.

    >>> depth(8)
    4
    """
    return (n - 1).bit_length() + 1


def runs(name: str, size: Size) -> list[Run]:
    """Every model; the first two also with decayed biases, of which `quick` leaves out the standard one."""
    plain = RECIPES[size]
    decayed = dataclasses.replace(plain, bias_decay=1.0)
    models: list[tuple[str, AnyArch, Recipe]] = [
        ("positional", positional(N), plain),
        ("positional, biases decayed", positional(N), decayed),
        ("standard", standard(N), plain),
        ("rotary", standard(N, base=BASE), plain),
        ("hybrid", standard(N, "both"), plain),
    ]
    if size == "paper":
        models.append(("standard, biases decayed", standard(N), decayed))
    return [
        Run.of(label, TASKS[name], N, arch, recipe, Member(seed, rate))
        for label, arch, recipe in models
        for rate in RATES[size]
        for seed in range(SEEDS[size])
    ]


def sample(n: int, size: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """(size, n, 1) numbers, a list uniform on an interval of its own with ends uniform in [-2 scale, 2 scale].

    For scale > 1 no interval lies within [-2, 2]; single numbers may, as in the paper.
    """
    ends = np.sort(rng.uniform(-RANGE * scale, RANGE * scale, (size, 2)), axis=1)
    while scale > 1 and (inside := (np.abs(ends) <= RANGE).all(axis=1)).any():
        ends[inside] = np.sort(rng.uniform(-RANGE * scale, RANGE * scale, (int(inside.sum()), 2)), axis=1)
    return (ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * rng.random((size, n)))[:, :, None]


def measure(run: Run, model: Model) -> dict[str, float]:
    """Mean squared errors `mse_c1` .. `mse_c10` on numbers up to c times as large as in training."""
    import torch

    from separatrix.models import nets

    task, net, found = run.make_task(), nets.load(model), {}
    with cpu_threads(1), torch.no_grad():
        for scale in SCALES:
            reals = sample(run.n, TESTS, scale, child(run.member.seed, "scale", scale))
            tokens = np.zeros(reals.shape[:2], dtype=np.int64)
            found[f"mse_c{scale}"] = mean_loss(net, task, run.n, tokens, reals).item()
    return found


def report(store: Store, finished: Sequence[Finished]) -> list[str]:
    """What the norms of the trained models bound, medians of the seeds at the learning rate that the table shows."""
    chosen: dict[str, dict[float, list[Finished]]] = {}
    for row in finished:
        if store.model_folder(row.run.key).exists():
            chosen.setdefault(row.run.label, {}).setdefault(row.run.member.learning_rate, []).append(row)
    if not chosen:
        return []
    lines = [
        "Bounds of learning from the norms of the trained weights, log10 (learn/bounds.py). Gap: risk less training",
        f"error, for a squared error clipped at {CLIP:g}; a bound above 0 is vacuous: it ranks models, no more.",
        f"{'model':40} {'Lipschitz':>10} {'of it Q, K':>10} {'gap bound':>10}   measured gap",
    ]
    for label, rates in sorted(chosen.items()):
        rows = max(rates.values(), key=lambda rows: statistics.median(row.score for row in rows))
        found = []
        for row in rows:
            bound = learning_bound(Model.load(store.model_folder(row.run.key)), row.run.recipe.samples, RANGE)
            gap = -row.score - store.curve(row.run.key)[-1, 1]
            found.append((bound.lipschitz, bound.qk_factor, bound.gap, gap))
        lipschitz, factor, gap, measured = (statistics.median(column) for column in zip(*found, strict=True))
        vacuous = "vacuous" if gap >= math.log10(CLIP) else ""
        lines.append(f"{label:40} {lipschitz:10.2f} {factor:10.2f} {gap:10.2f}   {measured:.1e} {vacuous}".rstrip())
    return lines


for _name in TASKS:
    registry.register(f"positional-{_name}")(
        Experiment(
            f"positional-{_name}",
            f"{_name.replace('-', ' ').capitalize()} of 8 numbers: learned on [-2, 2], tested on larger ones",
            "Back de Luca et al. 2025, section 7 (scale of the inputs)",
            partial(runs, _name),
            measure,
            ("scale of the test numbers, *c*", lambda run: run.n),
            y="mse_c10",
            theirs="10 runs each; sum at c = 1, 2, 10: standard 1.1e-5, 0.24, 88; positional 1.7e-5, 3.9e-4, 0.058",
            curve=tuple((float(scale), f"mse_c{scale}") for scale in SCALES),
            y_title="mean squared error",
            less=True,
            log=(True, True),
            report=report,
        )
    )
