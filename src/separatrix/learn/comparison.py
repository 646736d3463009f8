"""What experiments share that compare architectures on a task of symbols: models by label, runs, what is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from separatrix.core.arch import Arch, Attention, Readout, Table
from separatrix.core.config import AnyArch
from separatrix.core.domain import Labels
from separatrix.core.errors import InputError
from separatrix.core.recurrent import Cell, Recurrent
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.learn.certified import verdict
from separatrix.learn.cohort import Member
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.scoring import cpu_threads, share_right
from separatrix.models.model import Model

TESTS = 4096


def recurrent(task: Task, n: int, width: int, *cells: Cell, placed: bool = False) -> Recurrent:
    """Recurrent layers on a token table of this width, with learned positions if `placed`; no real answers."""
    outputs = task.outputs()
    if not isinstance(outputs, Labels):
        raise InputError(f"{task.name} has real answers; a recurrent model of symbols gives labels")
    domain = task.domain(n)
    first = Table(domain.vocabulary, domain.positions if placed else 0)
    return Recurrent(width, first, cells, Readout(outputs.k))


def grid(
    task: Task, n: int, models: Mapping[str, AnyArch], recipe: Recipe, rates: Sequence[float], seeds: int
) -> list[Run]:
    """Every model with every learning rate and seed."""
    return [
        Run.of(label, task, n, arch, recipe, Member(seed, rate))
        for label, arch in models.items()
        for rate in rates
        for seed in range(seeds)
    ]


def measure(run: Run, model: Model) -> dict[str, float]:
    """`accuracy` on fresh inputs drawn as in training; the provers' verdict on a single attention layer alone."""
    from separatrix.models import nets

    task = run.make_task()
    drawn = task.sample(run.n, TESTS, child(run.member.seed, "fresh"), run.recipe.distribution)
    with cpu_threads(1):
        found = {"accuracy": share_right(nets.load(model), task, run.n, *drawn)}
    arch = run.arch
    single = isinstance(arch, Arch) and len(arch.layers) == 1 and isinstance(arch.layers[0], Attention)
    return found | (verdict(model, task, run.n) if single else {})
