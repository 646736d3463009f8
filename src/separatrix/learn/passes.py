"""The forward pass of a cohort and its gradient: in the precision of the weights or mixed, compiled or as it stands.

Mixed precision (`bf16`) rounds what goes into matrix products, and attention scores and weights, to 8 significant bits.
Sums inside of products and softmax, the residual stream, recurrences, losses, gradients, weights and moments stay
float32, and models are scored in float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from separatrix.core.config import AnyArch
from separatrix.core.domain import RealAnswer
from separatrix.core.errors import InputError
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.core.task import Task
from separatrix.learn.recipe import Precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Losses = Callable[..., "Tensor"]
BACKEND = "inductor"  # of torch.compile, on CUDA


def require_precision(task: Task, arch: AnyArch, precision: Precision) -> None:
    """Raises InputError for bf16 where answers are real numbers."""
    if precision == "bf16" and (isinstance(task.outputs(), RealAnswer) or isinstance(arch, Positional | Numeric)):
        raise InputError(
            f"precision bf16 is for labels; {task.name} has real answers, which it rounds to 2 or 3 digits"
        )


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager:
    """In which the forward pass runs."""
    import torch

    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


class Graded:
    """Losses of all members and the gradient of their sum; where compilation fails, without it, after one warning.

    Attributes:
        backend: of torch.compile, a name or a function; empty where nothing is compiled, or nothing any more.
    """

    def __init__(self, backend: str | Callable[..., Callable] = "") -> None:
        """Nothing is compiled before the first call."""
        self.backend = backend
        self.compiled: Losses | None = None

    def __call__(self, losses: Losses, weights: Tensor, *given: Tensor | None) -> tuple[Tensor, Tensor]:
        """(members,) losses and (members, numbers) gradient; losses: (weights, ...) -> (members,), ever the same."""
        if self.backend:
            import torch

            try:
                if self.compiled is None:
                    torch.compiler.reset()  # torch compiles a function a few times in all, and cohorts share theirs
                    self.compiled = torch.compile(losses, backend=self.backend)
                return _graded(self.compiled, weights, given)
            except InputError:
                raise
            except Exception as error:  # whatever compilers raise; one of the losses themselves comes again below
                told = f"torch.compile failed, going on without it: {_line(error)}"
                warnings.warn(told, RuntimeWarning, stacklevel=2)
                self.backend, self.compiled = "", None
        return _graded(losses, weights, given)


def _graded(losses: Losses, weights: Tensor, given: tuple[Tensor | None, ...]) -> tuple[Tensor, Tensor]:
    import torch

    found = losses(weights, *given)
    (gradient,) = torch.autograd.grad(found.sum(), weights)
    return found, gradient


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
