"""Evaluations to the first failing input of three trained recurrent models, by refuter, beside random testing.

Usage: python -m benchmarks.refuters [-o DIR] [--seeds 11] [--page docs/results/refuters.md]

Models and counts are kept in DIR, so that a run that was stopped goes on where it was; the first part trains for about
two minutes. Every row is a model that is wrong on less than one in a thousand inputs of its natural distribution. One
evaluation is a forward pass at length N, parts of a pass count in proportion, a gradient counts three. `certificate`
samples the distribution of the lower bound where the task has one of its own; the kernel checks all failing inputs.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from separatrix.core.arch import Readout, Table
from separatrix.core.domain import Labels
from separatrix.core.errors import InputError
from separatrix.core.files import write_atomically
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
MARKS = "<!-- table: python -m benchmarks.refuters -->", "<!-- end of table -->"
Counts = list[float | None]  # evaluations to the first failing input, a seed each; none where none was found


@dataclass(frozen=True, slots=True)
class Setting:
    """A task, a model and a training run. certificate: the distribution of the lower bound; empty: the natural one."""

    name: str
    title: str
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
    Setting(
        "equality", "equality, GRU of 32 units", make_task("equality"), 16, Gru(32), 8, True, "uniform", "one", 5000, 4
    ),
    Setting("dyck", "Dyck-(2,2), LSTM of 12 units", make_task("dyck"), 32, Lstm(12), 8, False, "balanced", "", 3000, 4),
    Setting(
        "lookup",
        "lookup of 2 symbols, GRU of 32 units",
        make_task("index-lookup", {"symbols": 2}),
        12,
        Gru(32),
        16,
        False,
        "uniform",
        "",
        4000,
        1,
    ),
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


def searched(setting: Setting, model: Model, method: str, seeds: int) -> Counts:
    """What a refuter spends; every failing input that it finds is confirmed by the kernel."""
    found = [
        refute(model, setting.task, setting.n, method, SEARCHED, seed, setting.distribution) for seed in range(seeds)
    ]
    assert all(f.certificate is not None for f in found if f.verdict == "refuted")
    return [f.evaluations if f.verdict == "refuted" else None for f in found]


def sampled(setting: Setting, model: Model, distribution: str, seeds: int) -> Counts:
    """What random testing spends."""
    runs = [
        random_testing(model, setting.task, setting.n, BUDGET, seed, distribution) for seed in range(max(seeds, 31))
    ]
    return [spent if failed else None for spent, failed in runs]


def middle(counts: Counts) -> float:
    """The median; runs that found nothing count as longer than all others."""
    return statistics.median([math.inf if c is None else c for c in counts])


def shown(counts: Counts, budget: int) -> str:
    """The median in words."""
    missed = sum(c is None for c in counts)
    if missed == len(counts):
        return f"none in {budget:,}"
    if middle(counts) == math.inf:
        return f"{missed} of {len(counts)} found nothing in {budget:,}"
    return f"{middle(counts):,.0f}" + (f" ({missed} found nothing)" if missed else "")


def counts_of(
    setting: Setting, model: Model, seeds: int, kept: Callable[[str, Callable[[], Counts]], Counts]
) -> dict[str, Counts]:
    """Every column's counts of one row. kept(column, make): from an earlier run, or made now."""
    columns = {m: kept(m, lambda m=m: searched(setting, model, m, seeds)) for m in METHODS}
    if setting.certificate:
        columns["certificate"] = kept("certificate", lambda: sampled(setting, model, setting.certificate, seeds))
    columns["random"] = kept("random", lambda: sampled(setting, model, setting.distribution, seeds))
    return columns


def table(rows: list[tuple[Setting, float, dict[str, Counts]]], births: list[tuple[int, int]]) -> str:
    """Markdown: a row a model, then what it comes to."""
    names = ("state collisions", "descent with kept states", "gradient", "coordinate", "certificate's distribution")
    head = ("model", "N", "error on random inputs", *names, "random testing", "best / random")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    cheaper: dict[str, list[str]] = {method: [] for method in METHODS}
    for setting, share, columns in rows:
        medians, random = {m: middle(columns[m]) for m in METHODS}, middle(columns["random"])
        best = min(medians, key=lambda m: medians[m])
        cells = [setting.title, str(setting.n), f"{share:.1e}"]
        for method in METHODS:
            text = shown(columns[method], SEARCHED)
            cells.append(f"**{text}**" if method == best else text)
            cheaper[method].append("less than 1" if random < medians[method] else f"{random / medians[method]:.0f}")
        given = columns.get("certificate")
        cells += [shown(given, BUDGET) if given else "the natural one", shown(columns["random"], BUDGET)]
        lines.append("| " + " | ".join([*cells, f"{random / medians[best]:.0f}"]) + " |")
    told = (f"{method} {', '.join(cheaper[method])}" for method in METHODS)
    first, bits = [count for count, _ in births], births[0][1]
    notes = (
        f"Random testing's evaluations over each method's own, row by row: {'; '.join(told)}.",
        f"Exact collisions of states of {bits} bits: the first two different prefixes with one state come after a "
        f"median of {statistics.median(first):,.0f} prefixes ({max(first):,} at most).",
    )
    for note in notes:
        lines += ["", *textwrap.wrap(note, 120)]
    return "\n".join(lines)


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
    """Prints the table, and writes it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=11)
    parser.add_argument("-o", type=Path, dest="folder", default=Path("separatrix-out/refuters"))
    parser.add_argument("--page", type=Path, help="write the table there, between its marks")
    options = parser.parse_args()
    rows = []
    for setting in SETTINGS:
        folder = options.folder / setting.name
        model = Model.load(folder) if (folder / "config.json").exists() else trained(setting)
        model.save(folder)

        def kept(column: str, make: Callable[[], Counts], folder: Path = folder) -> Counts:
            path = folder / "counts" / f"{column}-{options.seeds}.json"
            if not path.exists():
                write_atomically(path, json.dumps(make()).encode())
                print(f"{folder.name} {column}: {path.read_text()}", flush=True)
            return json.loads(path.read_text())

        [share] = kept("error", lambda setting=setting, model=model: [error(setting, model)])
        rows.append((setting, share or 0.0, counts_of(setting, model, options.seeds, kept)))
    text = table(rows, [birthday(seed) for seed in range(options.seeds)])
    print(text)
    if options.page:
        start, end = MARKS
        old = options.page.read_text()
        if old.count(start) != 1 or old.count(end) != 1:
            raise InputError(f"{options.page}: the table goes between two lines {start} and {end}, which are not there")
        new = f"{old.split(start)[0]}{start}\n\n{text}\n\n{end}{old.split(end)[1]}"
        write_atomically(options.page, new.encode())


if __name__ == "__main__":
    main()
