"""One row of the accuracy-against-proof table: trained, tested on random inputs, decided cell by cell."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.proof_grid import Row
from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.kernel import judge
from separatrix.learn import accuracy, one_layer, train
from separatrix.models import Model
from separatrix.verify.provers import examine


def model_of(row: Row, folder: Path, progress: Callable[[str], None]) -> Model:
    """The row's model, trained unless it lies in the folder."""
    if (folder / "config.json").exists():
        return Model.load(folder)
    task = row.problem
    more: dict[str, Any] = {"mlp": row.mlp} if row.mlp else {}
    arch = one_layer(task, row.n, row.width, row.heads, **more)
    model = train(
        task, row.n, arch, seed=row.seed, steps=row.steps, learning_rate=row.learning_rate,
        progress=lambda step, loss, right: progress(f"training, step {step} of {row.steps}"),
    ).model  # fmt: skip
    model.save(folder)
    return model


def tested(row: Row, model: Model, samples: int) -> dict[str, Any]:
    """Share of right answers on random inputs that training did not see."""
    rng = child(row.seed, "random inputs", row.name)
    return {"accuracy": accuracy(model, row.problem, row.n, samples, rng), "samples": samples}


def decided(row: Row, model: Model, limit: float, progress: Callable[[str], None]) -> dict[str, Any]:
    """Every cell by verdict and the verdict on the model, with seconds of the prover, and of the kernel alone.

    The prover's time has in it what the kernel takes to judge the cells; the kernel's is for the finished certificate.
    """
    task, start = row.problem, time.process_time()
    made = examine(model, task, row.n, seconds=limit, progress=progress)
    outcome, tally = made.outcome, made.survey
    if tally is None:
        raise InputError(f"{row.name}: its cells were not decided ({outcome.sentence}); take a --limit of some seconds")
    told: dict[str, Any] = {
        "seconds": time.process_time() - start,
        "proved": tally.proved,
        "refuted": tally.refuted,
        "open": tally.undecided,
        "verdict": outcome.verdict,
    }
    if outcome.certificate is not None:
        start = time.process_time()
        judge(outcome.certificate, model.arch, model.tensors)
        told["kernel"] = time.process_time() - start
    if outcome.counterexample is not None:
        told["counterexample"] = task.show(outcome.counterexample[0])
    return told
