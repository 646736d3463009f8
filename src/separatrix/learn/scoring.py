"""How wrong a net is: the loss it is trained on, and the share of right answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from separatrix.core.domain import RealAnswer
from separatrix.core.task import Task
from separatrix.models.model import Model

if TYPE_CHECKING:
    from torch import Tensor

    from separatrix.models.nets import Net

BLOCK = 2048  # inputs evaluated at a time


def accuracy(model: Model, task: Task, n: int, size: int, rng: np.random.Generator) -> float:
    """Share of right answers of `model`, as torch evaluates it in the stored dtype, over `size` uniform inputs."""
    from separatrix.models import nets

    net, right = nets.load(model), 0.0
    with cpu_threads(1):
        for start in range(0, size, BLOCK):
            count = min(BLOCK, size - start)
            right += count * share_right(net, task, n, *task.sample(n, count, rng))
    return right / size


def share_right(net: Net, task: Task, n: int, tokens: np.ndarray, reals: np.ndarray | None) -> float:
    """Share of right answers over inputs and queries; real answers are right within the task's eps."""
    import torch

    with torch.no_grad():
        found = _outputs(net, task, n, tokens, reals).cpu().numpy()
    outputs, target = task.outputs(), task.answer(tokens, reals)
    if isinstance(outputs, RealAnswer):
        return float((np.linalg.norm(found - target, axis=2) <= outputs.eps).mean())
    return float((found.argmax(axis=2) == target).mean())


def mean_loss(net: Net, task: Task, n: int, tokens: np.ndarray, reals: np.ndarray | None) -> Tensor:
    """Cross-entropy for labels, squared error for reals; a scalar, the mean over inputs and queries."""
    import torch
    from torch.nn.functional import cross_entropy, mse_loss

    found = _outputs(net, task, n, tokens, reals)
    target = torch.from_numpy(task.answer(tokens, reals)).to(net.device)
    if isinstance(task.outputs(), RealAnswer):
        return mse_loss(found, target.to(found.dtype))
    return cross_entropy(found.flatten(end_dim=1), target.flatten())


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """torch computes with so many CPU threads inside, and with as many as before outside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _outputs(net: Net, task: Task, n: int, tokens: np.ndarray, reals: np.ndarray | None) -> Tensor:
    """(batch, queries, outputs) at the task's queries."""
    import torch

    parts = None if reals is None else torch.from_numpy(reals).to(net.device)
    return net(torch.from_numpy(tokens).to(net.device), parts, task.queries(n))
