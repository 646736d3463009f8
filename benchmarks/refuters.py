"""Evaluations to the first failing input of three trained recurrent models, by refuter, beside random testing.

Usage: python -m benchmarks.refuters [--seeds 11] [--save DIR] [--load DIR]    (trains first: about two minutes)

Every row is a model that is wrong on less than one in a thousand inputs of its natural distribution. One evaluation is
a forward pass at length N, parts of a pass count in proportion, a gradient counts three. `certificate` samples the
distribution of the lower bound where the task has one of its own; all failing inputs are checked by the kernel.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from separatrix.core.arch import Readout, Table
from separatrix.core.domain import Labels
from separatrix.core.recurrent import Cell, DiagonalSsm, FixedPoint, Gru, Lstm, Recurrent
from separatrix.core.seeds import child
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.learn import train
from separatrix.models import Model, evaluate
from separatrix.models.recurrent import Runner
from separatrix.tasks import make_task
from separatrix.verify.refuters import random_testing, refute

BUDGET = 100_000
SEARCHED = 5_000
ERROR_SAMPLE = 200_000
METHODS = ("collisions", "descent", "gradient", "coordinate")


@dataclass(frozen=True, slots=True)
class Setting:
    """A task, a model and a training run. certificate: the distribution of the lower bound; empty: the natural one."""

    name: str
    task: Task
    n: int
    cell: Cell
    width: int
    positions: bool
    distribution: str
    certificate: str
    steps: int
    patience: int


SETTINGS = [
    Setting("equality", make_task("equality"), 16, Gru(32), 8, True, "uniform", "one", 5000, 4),
    Setting("bounded Dyck", make_task("dyck"), 32, Lstm(12), 8, False, "balanced", "", 3000, 4),
    Setting("lookup", make_task("index-lookup", {"symbols": 2}), 12, Gru(32), 16, False, "uniform", "", 4000, 1),
]


def trained(setting: Setting) -> Model:
    """Deterministic in its seed on one machine."""
    domain, outputs = setting.task.domain(setting.n), setting.task.outputs()
    assert isinstance(outputs, Labels)
    table = Table(domain.vocabulary, domain.positions if setting.positions else 0)
    arch = Recurrent(setting.width, table, (setting.cell,), Readout(outputs.k))
    run = train(
        setting.task,
        setting.n,
        arch,
        seed=0,
        steps=setting.steps,
        learning_rate=0.01,
        batch=128,
        distribution=setting.distribution,
        patience=setting.patience,
        check_every=50,
    )
    return run.model


def error(setting: Setting, model: Model) -> float:
    """Share of wrong answers over fresh inputs of the natural distribution."""
    rng, wrong, step = child(1, "error", setting.name), 0, 5000
    for _ in range(ERROR_SAMPLE // step):
        tokens, _ = setting.task.sample(setting.n, step, rng, setting.distribution)
        logits = evaluate(model, tokens, queries=setting.task.queries(setting.n))
        wrong += int((logits.argmax(axis=2) != setting.task.answer(tokens)).sum())
    return wrong / ERROR_SAMPLE


def row(setting: Setting, model: Model, seeds: int) -> str:
    """Medians over seeds, with how many of them found nothing."""
    columns = []
    for method in METHODS:
        found = [
            refute(model, setting.task, setting.n, method, SEARCHED, seed, setting.distribution)
            for seed in range(seeds)
        ]
        assert all(f.certificate is not None for f in found if f.verdict == "refuted")
        columns.append(shown([f.evaluations if f.verdict == "refuted" else None for f in found]))
    for distribution in (setting.certificate, setting.distribution):
        if not distribution:
            columns.append("natural")
            continue
        runs = [
            random_testing(model, setting.task, setting.n, BUDGET, seed, distribution) for seed in range(max(seeds, 31))
        ]
        columns.append(shown([spent if failed else None for spent, failed in runs]))
    return " ".join(f"{column:>12}" for column in columns)


def shown(counts: list[float | None]) -> str:
    """The median, runs that found nothing counted as longer than all others."""
    middle = statistics.median([float("inf") if c is None else c for c in counts])
    missed = sum(c is None for c in counts)
    return f"{middle:,.0f}" + (f" ({missed} none)" if missed else "")


def birthday(seed: int, bits: int = 4, units: int = 4) -> tuple[int, int]:
    """(prefixes up to the first two that are different and end in the same state, bits of the state)."""
    arch = Recurrent(4, Table(4), (DiagonalSsm(units, 6),), Readout(2), FixedPoint(bits, 1))
    rng = child(seed, "birthday")
    tensors = {name: rng.normal(0, 0.5, shape) for name, shape in tensor_shapes(arch).items()}
    turn = np.pi * rng.random(units)
    tensors |= {
        "layers.0.diagonal": 0.99 * np.stack([np.cos(turn), np.sin(turn)]),
        "layers.0.bias": np.zeros(2 * units),
    }
    tensors["layers.0.in"] = tensors["layers.0.in"] * 2
    runner, seen, words = Runner(Model(arch, tensors)), {}, rng.integers(0, 4, (2**17, 64))
    states = runner.run(runner.start(len(words)), words)
    for count, (state, word) in enumerate(zip(states, words, strict=True), 1):
        other = seen.setdefault(state.tobytes(), word)
        if not np.array_equal(other, word):
            return count, arch.state_bits or 0
    return len(words) + 1, arch.state_bits or 0


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=11)
    parser.add_argument("--save", type=Path, help="write the trained models there")
    parser.add_argument("--load", type=Path, help="read them from there instead of training")
    options = parser.parse_args()
    header = (*METHODS, "certificate", "random")
    print(f"{'model':<14} {'N':>3} {'error':>8} " + " ".join(f"{name:>12}" for name in header))
    for setting in SETTINGS:
        folder = setting.name.replace(" ", "-").lower()
        start = time.perf_counter()
        model = Model.load(options.load / folder) if options.load else trained(setting)
        if options.save:
            model.save(options.save / folder)
        line = f"{setting.name:<14} {setting.n:>3} {error(setting, model):8.1e} {row(setting, model, options.seeds)}"
        print(f"{line}   {time.perf_counter() - start:.0f} s", flush=True)
    counts = [birthday(seed) for seed in range(options.seeds)]
    print(
        f"states of {counts[0][1]} bits: first equal states of different prefixes after a median of "
        f"{statistics.median(count for count, _ in counts):,.0f} prefixes (most {max(count for count, _ in counts):,})"
    )


if __name__ == "__main__":
    main()
