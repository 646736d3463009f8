"""One model, one training run: Adam on inputs drawn as it goes. Deterministic in its seed, and silent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from separatrix.core.config import AnyArch
from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.learn.scoring import BLOCK, cpu_threads, mean_loss, share_right
from separatrix.learn.standard import initialise, require_fit
from separatrix.models.model import Model

WARM_UP = 0.05  # share of the steps in which the learning rate rises
CLIP = 1.0  # greatest norm of the gradient

Progress = Callable[[int, float, float], None]


@dataclass(frozen=True)
class Trained:
    """What a run leaves.

    Attributes:
        model: the weights at the last step, float32.
        losses: (steps,) training loss of every step.
        accuracy: share of right answers over fresh inputs; within the task's eps, for real answers.
        steps: steps taken; fewer than asked for when validation ended the run.
        seconds: all of it.
    """

    model: Model
    losses: np.ndarray
    accuracy: float
    steps: int
    seconds: float


def train(
    task: Task,
    n: int,
    arch: AnyArch,
    *,
    seed: int,
    steps: int,
    learning_rate: float,
    batch: int = 256,
    device: str = "cpu",
    distribution: str = "uniform",
    patience: int = 0,
    check_every: int = 25,
    threads: int = 1,
    progress: Progress | None = None,
) -> Trained:
    """Trains all weights of `arch`: cross-entropy for labels, mean squared error for reals, over all queries.

    Adam, linear warm-up and cosine decay to zero, clipped gradients. Inputs, first weights and validation inputs
    depend on the seed alone; on the CPU of one machine so do the losses, bit for bit.

    Args:
        patience: ends the run after this many checks in a row without a wrong answer; 0 takes every step.
        check_every: steps between two checks.
        threads: CPU threads of torch; models below a width of some hundreds gain nothing from a second one.
        progress: called with (step, loss, validation accuracy) at every check.

    Raises:
        InputError: arguments that cannot be used, or a loss or gradient that is no longer finite.
    """
    if min(steps, batch, check_every, threads) < 1 or patience < 0 or not 0.0 < learning_rate < math.inf:
        raise InputError(
            f"steps = {steps}, batch = {batch}, check_every = {check_every}, threads = {threads}, "
            f"patience = {patience}, learning rate = {learning_rate}; take positive numbers (patience may be 0)"
        )
    require_fit(task, n, arch)
    import torch

    from separatrix.models import nets

    start = time.perf_counter()
    net = nets.load(initialise(arch, child(seed, "weights")), device=device)
    optimiser = torch.optim.Adam(net.parameters(), lr=learning_rate)
    data = child(seed, "data", distribution)
    held_out = task.sample(n, BLOCK, child(seed, "validation", distribution), distribution)
    losses: list[float] = []
    flawless = 0  # checks in a row
    with cpu_threads(threads):
        for step in range(1, steps + 1):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * schedule(step, steps)
            optimiser.zero_grad()
            loss = mean_loss(net, task, n, *task.sample(n, batch, data, distribution))
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP).item()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]) or not math.isfinite(norm):
                raise InputError(
                    f"loss {losses[-1]}, gradient {norm} at step {step}: learning rate {learning_rate} is too large"
                )
            optimiser.step()
            if step % check_every and step < steps:
                continue
            right = share_right(net, task, n, *held_out)
            if progress is not None:
                progress(step, losses[-1], right)
            flawless = flawless + 1 if right == 1.0 else 0
            if patience and flawless >= patience:
                break
        fresh = task.sample(n, BLOCK, child(seed, "test", distribution), distribution)
        right = share_right(net, task, n, *fresh)
    return Trained(nets.to_model(net), np.array(losses), right, len(losses), time.perf_counter() - start)


def schedule(step: int, steps: int) -> float:
    """Factor of the learning rate: up from 0 over the warm-up, then half a cosine down to 0; steps count from 1.

    >>> [round(schedule(step, 100), 3) for step in (1, 5, 50, 100)]
    [0.2, 1.0, 0.541, 0.0]
    """
    warm = max(1, round(WARM_UP * steps))
    if step <= warm:
        return step / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
