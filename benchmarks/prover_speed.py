"""How long a proof takes: CPU seconds of the prover and of the kernel's check of its certificate, beside the aims.

Usage: OMP_NUM_THREADS=1 python -m benchmarks.prover_speed [--large]    (--large adds N = 65,536: some minutes each)

Medians of three, of one thread, warm; the prover's time has its own call of the kernel in it. The first model is
trained (half a minute), the others are built. `additive`: the chirp codes of index lookup, with keys that also read the
symbol a little, so that no two rows of scores are alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.can import registry
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.learn import one_layer, train
from separatrix.models import Model
from separatrix.tasks import make_task
from separatrix.verify.provers import certify

HEADER = (
    "| what | aim, s | prover, s | kernel, s | kernel / prover |",
    "|---|--:|--:|--:|--:|",
)
SPREAD = 0.002  # of what symbols add to keys in the additive model


@dataclass(frozen=True, slots=True)
class Speed:
    """One line: what is proved, within which time, by which model."""

    what: str
    aim: float
    task: str
    parameters: dict[str, Any]
    n: int
    build: Callable[[Task, int], Model]
    large: bool = False


def built(witness: str) -> Callable[[Task, int], Model]:
    """The witness of that name."""
    return lambda task, n: registry.get(witness).build(task, n)


def trained(task: Task, n: int) -> Model:
    """One head, without a feed-forward part."""
    return train(task, n, one_layer(task, n, 64), seed=0, steps=600, learning_rate=3e-3).model


def additive(task: Task, n: int) -> Model:
    """Scores p_ij + t_i(symbol), values without position."""
    model = registry.get("index-lookup-chirp").build(task, n)
    key, symbols = model.tensors["layers.0.key"].copy(), model.tensors["embed.token"][: task.outputs().k]  # pyright: ignore
    rows = np.flatnonzero(np.abs(symbols).sum(axis=0))
    noise = child(0, "additive").standard_normal((len(rows), key.shape[2]))
    key[0, rows] += (SPREAD * noise).astype(key.dtype)
    return Model(model.arch, {**model.tensors, "layers.0.key": key})


LOOKUP = "index-lookup"
SPEEDS = (
    Speed("trained, N = 64, 4 symbols, one head", 0.05, LOOKUP, {"symbols": 4}, 64, trained),
    Speed("quadratic keys, N = 1,024, 64 symbols", 1, LOOKUP, {"symbols": 64}, 1024, built(f"{LOOKUP}-quadratic")),
    Speed("chirp codes, N = 1,024, 64 symbols", 1, LOOKUP, {"symbols": 64}, 1024, built(f"{LOOKUP}-chirp")),
    Speed("additive, N = 1,024, 64 symbols", 1, LOOKUP, {"symbols": 64}, 1024, additive),
    Speed("equality in two layers, N = 512", 0.2, "equality", {}, 512, built("equality-two-layer")),
    Speed("Dyck-(2,2) in two layers, N = 512", 5, "dyck", {}, 512, built("dyck-two-layer")),
    Speed("quadratic keys, N = 65,536", 240, LOOKUP, {"symbols": 64}, 65536, built(f"{LOOKUP}-quadratic"), True),
    Speed("chirp codes, N = 65,536", 240, LOOKUP, {"symbols": 64}, 65536, built(f"{LOOKUP}-chirp"), True),
)


def median(function: Callable[[], object], times: int) -> float:
    """Of CPU seconds."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        function()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def line(speed: Speed) -> str:
    """A line of the table; RuntimeError where the model is not proved."""
    task = make_task(speed.task, speed.parameters)
    model, times = speed.build(task, speed.n), 1 if speed.large else 3
    outcomes = [certify(model, task, speed.n)]
    certificate = outcomes[0].certificate
    if outcomes[0].verdict != "proved" or certificate is None:
        raise RuntimeError(f"{speed.what}: {outcomes[0].verdict} ({outcomes[0].sentence})")
    prover = median(lambda: certify(model, task, speed.n), times)
    kernel = median(lambda: judge(certificate, model.arch, model.tensors), times)
    return f"| {speed.what} | {speed.aim:g} | {prover:.3g} | {kernel:.3g} | {kernel / prover:.2g} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="add N = 65,536")
    large = parser.parse_args().large
    print(*HEADER, sep="\n", flush=True)
    for speed in SPEEDS:
        if large or not speed.large:
            print(line(speed), flush=True)


if __name__ == "__main__":
    main()
