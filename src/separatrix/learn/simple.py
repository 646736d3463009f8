"""One model, one training run: Adam on inputs drawn as it goes. Deterministic in its seed, and silent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from separatrix.core.arch import Arch
from separatrix.core.domain import RealAnswer
from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.learn.standard import initialise, require_fit
from separatrix.models.model import Model

if TYPE_CHECKING:
    from torch import Tensor

    from separatrix.models.nets import Transformer

CHECK_INPUTS = 2048  # inputs of one look at the accuracy
WARM_UP = 0.05  # share of the steps in which the learning rate rises
CLIP = 1.0  # greatest norm of the gradient


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
    arch: Arch,
    *,
    seed: int,
    steps: int,
    learning_rate: float,
    batch: int = 256,
    device: str = "cpu",
    distribution: str = "uniform",
    patience: int = 0,
    check_every: int = 25,
    progress: Callable[[int, float, float], None] | None = None,
) -> Trained:
    """Trains all weights of `arch`: cross-entropy for labels, mean squared error for reals, over all queries.

    Adam, linear warm-up and cosine decay to zero, clipped gradients. Equal arguments give equal losses on one
    machine; the inputs, the first weights and the validation inputs are equal on every machine.

    Args:
        patience: ends the run after this many checks in a row without a wrong answer; 0 takes every step.
        check_every: steps between two checks.
        progress: called with (step, loss, validation accuracy) at every check.

    Raises:
        InputError: arguments that cannot be used, or a loss that is no longer finite.
    """
    import torch

    from separatrix.models import nets

    start = time.perf_counter()
    if min(steps, batch, check_every) < 1 or patience < 0 or not 0.0 < learning_rate < math.inf:
        raise InputError(
            f"steps = {steps}, batch = {batch}, check_every = {check_every}, patience = {patience}, "
            f"learning rate = {learning_rate}; take positive numbers (patience may be 0)"
        )
    require_fit(task, n, arch)
    net = nets.load(initialise(arch, child(seed, "weights")), device=device)
    optimiser = torch.optim.Adam(net.parameters(), lr=learning_rate)
    data = child(seed, "data", distribution)
    held_out = task.sample(n, CHECK_INPUTS, child(seed, "validation", distribution), distribution)
    losses: list[float] = []
    good = 0
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * schedule(step, steps)
        inputs = task.sample(n, batch, data, distribution)
        optimiser.zero_grad()
        loss = _loss(net, task, n, *inputs)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimiser.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise InputError(f"the loss is {losses[-1]} at step {step}: learning rate {learning_rate} is too large")
        if step % check_every == 0 or step == steps:
            right = share_right(net, task, n, *held_out)
            if progress is not None:
                progress(step, losses[-1], right)
            good = good + 1 if right == 1.0 else 0
            if patience and good >= patience:
                break
    model = nets.to_model(net)
    fresh = task.sample(n, CHECK_INPUTS, child(seed, "test", distribution), distribution)
    right = share_right(net, task, n, *fresh)
    return Trained(model, np.array(losses), right, len(losses), time.perf_counter() - start)


def accuracy(model: Model, task: Task, n: int, size: int, rng: np.random.Generator) -> float:
    """Share of right answers of `model`, as torch evaluates it in the stored dtype, over `size` uniform inputs."""
    from separatrix.models import nets

    net, right, left = nets.load(model), 0.0, size
    while left:
        count = min(left, CHECK_INPUTS)
        right += count * share_right(net, task, n, *task.sample(n, count, rng))
        left -= count
    return right / size


def schedule(step: int, steps: int) -> float:
    """Factor of the learning rate: up from 0 over the warm-up, then half a cosine down to 0; steps count from 1.

    >>> [round(schedule(step, 100), 3) for step in (1, 5, 50, 100)]
    [0.2, 1.0, 0.541, 0.0]
    """
    warm = max(1, round(WARM_UP * steps))
    if step <= warm:
        return step / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def share_right(net: Transformer, task: Task, n: int, tokens: np.ndarray, reals: np.ndarray | None) -> float:
    """Share of right answers over inputs and queries."""
    import torch

    with torch.no_grad():
        found = _outputs(net, task, n, tokens, reals).cpu().numpy()
    outputs, target = task.outputs(), task.answer(tokens, reals)
    if isinstance(outputs, RealAnswer):
        return float((np.linalg.norm(found - target, axis=2) <= outputs.eps).mean())
    return float((found.argmax(axis=2) == target).mean())


def _outputs(net: Transformer, task: Task, n: int, tokens: np.ndarray, reals: np.ndarray | None) -> Tensor:
    import torch

    parts = None if reals is None else torch.from_numpy(reals).to(net.device)
    return net(torch.from_numpy(tokens).to(net.device), parts, task.queries(n))


def _loss(net: Transformer, task: Task, n: int, tokens: np.ndarray, reals: np.ndarray | None) -> Tensor:
    import torch
    from torch.nn.functional import cross_entropy, mse_loss

    found = _outputs(net, task, n, tokens, reals)
    target = torch.from_numpy(task.answer(tokens, reals)).to(net.device)
    if isinstance(task.outputs(), RealAnswer):
        return mse_loss(found, target.to(found.dtype))
    return cross_entropy(found.flatten(end_dim=1), target.flatten())
