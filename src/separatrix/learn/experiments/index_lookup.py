"""Index lookup: a one-layer transformer of width 64 against recurrent models of growing state.

Bhattamishra, Hahn, Blunsom, Kanade 2024, section 6: x_1 .. x_N and an index at the end; the transformer learns it at
every N, LSTMs and state-space models need a state that grows with N. By Fano's inequality a model whose answers are
wrong with probability e carries at least N (log2 |Sigma| - h(e) - e log2(|Sigma| - 1)) bits in its state: `fano_bits`
is that number for the measured error, a lower bound on what the trained state really holds.
"""

from __future__ import annotations

import math

from separatrix.core.arch import Arch, FeedForward, Readout, Table
from separatrix.core.config import AnyArch
from separatrix.core.kernelised import Kernelised
from separatrix.core.recurrent import Cell, DiagonalSsm, Gru, Lstm, Recurrent
from separatrix.core.seeds import child
from separatrix.learn.certified import verdict
from separatrix.learn.cohort import Member
from separatrix.learn.comparison import recurrent
from separatrix.learn.experiment import Experiment, Size, registry
from separatrix.learn.families import block
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.scoring import accuracy
from separatrix.learn.standard import one_layer
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

SYMBOLS, WIDTH = 64, 64
TESTS = 4096
LENGTHS = {"quick": (20, 50, 100, 200), "paper": (20, 50, 100, 200)}
STEPS = {"quick": 1500, "paper": 20000}
SEEDS = {"quick": 1, "paper": 3}
RATES = {"quick": (3e-3,), "paper": (1e-2, 3e-3, 1e-3)}
FAMILIES = {"RetNet": "retnet", "linear attention with positions": "linear-attention", "Mamba": "mamba"}
PLACED = ("linear-attention",)  # which sees no order; the others tell positions by their state


def archs(task: IndexLookup, n: int, size: Size) -> dict[str, AnyArch]:
    """The models by label."""
    domain = task.domain(n)
    found: dict[str, AnyArch] = {f"transformer, width {WIDTH}": one_layer(task, n, WIDTH)}
    cells: dict[str, Cell] = {
        f"LSTM, {WIDTH} units": Lstm(WIDTH),
        f"diagonal SSM, {WIDTH} complex units": DiagonalSsm(WIDTH, WIDTH),
    }
    for name, family in FAMILIES.items():
        found[f"{name}, width {WIDTH}"] = recurrent(task, n, WIDTH, *block(family, WIDTH), placed=family in PLACED)
    if size == "paper":
        found[f"kernelised attention, relative positions, width {WIDTH}"] = kernelised(task, n)
        cells |= {"LSTM, 256 units": Lstm(256), f"GRU, {WIDTH} units": Gru(WIDTH)}
    for label, cell in cells.items():
        found[label] = Recurrent(WIDTH, Table(domain.vocabulary), (cell,), Readout(SYMBOLS))
    return found


def kernelised(task: IndexLookup, n: int) -> Arch:
    """Linear attention of 4 heads weighed by relative positions, and a ReLU layer, on learned absolute positions."""
    domain = task.domain(n)
    layers = (
        Kernelised(4, WIDTH // 4, WIDTH // 4, domain.positions, residual=True),
        FeedForward(2 * WIDTH, residual=True),
    )
    return Arch(WIDTH, Table(domain.vocabulary, domain.positions), layers, Readout(task.symbols))


def runs(size: Size) -> list[Run]:
    """Every model at every N, learning rate and seed."""
    task = IndexLookup(SYMBOLS)
    recipe = Recipe(STEPS[size], batch=64, check_every=50, target=0.999, hold=2, validation=512)
    return [
        Run.of(label, task, n, arch, recipe, Member(seed, rate))
        for n in LENGTHS[size]
        for label, arch in archs(task, n, size).items()
        for rate in RATES[size]
        for seed in range(SEEDS[size])
    ]


def measure(run: Run, model: Model) -> dict[str, float]:
    """Accuracy on fresh inputs, the bits that its state must carry, and the provers' verdict on one-layer models."""
    task = run.make_task()
    assert isinstance(task, IndexLookup)
    right = accuracy(model, task, run.n, TESTS, child(run.member.seed, "test"))
    found = {"accuracy": right, "fano_bits": run.n * bits_a_symbol(1.0 - right, task.symbols)}
    return found | (verdict(model, task, run.n) if isinstance(run.arch, Arch) else {})


def bits_a_symbol(error: float, symbols: int) -> float:
    """log2 s - h(e) - e log2(s - 1), and 0 from e = 1 - 1/s on: what each symbol leaves behind.

    >>> bits_a_symbol(0.0, 64), bits_a_symbol(63 / 64, 64)
    (6.0, 0.0)
    """
    if error >= 1.0 - 1.0 / symbols:
        return 0.0
    entropy = 0.0 if error <= 0.0 else -error * math.log2(error) - (1 - error) * math.log2(1 - error)
    return math.log2(symbols) - entropy - error * math.log2(symbols - 1)


registry.register("index-lookup")(
    Experiment(
        "index-lookup",
        "One attention layer of width 64 against recurrent models",
        "Bhattamishra, Hahn, Blunsom, Kanade 2024, section 6 (index lookup)",
        runs,
        measure,
        ("N", lambda run: run.n),
        theirs="64 symbols, N = 20 to 400; Transformer-(1, 64) against LSTM, Mamba, DSS, RetNet of width 64 to 1024",
    )
)
