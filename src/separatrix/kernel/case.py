"""What a checker is given: the task rebuilt from the claim, the evidence, and the model if there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.core.arch import Arch
from separatrix.core.certificate import Claim
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.recurrent import AnyArch, Recurrent
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task

Progress = Callable[[str], None]  # told what was done so far, in a few words


def silent(_: str) -> None:
    """The progress of whoever does not want to be told."""


@dataclass(frozen=True, slots=True)
class Case:
    """One certificate, opened. `arch` and `tensors` are checked against each other; None and empty for bounds."""

    task: Task
    n: int
    claim: Claim
    semantics: Semantics
    evidence: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    arch: AnyArch | None
    tensors: Mapping[str, np.ndarray]
    progress: Progress = silent

    @property
    def where(self) -> str:
        """The task and its size, for sentences."""
        parameters = "".join(f", {name} = {getattr(self.task, name)}" for name in self.task.parameters())
        return f"{self.task.name} (N = {self.n}{parameters})"

    def model(self) -> Arch:
        """The transformer; InputError where there is no model, UnknownError where it is of another kind."""
        if self.arch is None:
            raise InputError("this certificate needs its model")
        if not isinstance(self.arch, Arch):
            raise UnknownError("this kind of certificate is about transformers; the model is recurrent")
        return self.arch

    def recurrent(self) -> Recurrent | None:
        """The architecture, where it is recurrent."""
        return self.arch if isinstance(self.arch, Recurrent) else None

    def fields(self, **types: type) -> list[Any]:
        """The evidence's values, which must be exactly these fields of exactly these types."""
        if set(self.evidence) != set(types):
            raise InputError(f"the evidence must have the fields {', '.join(types) or 'none'} and no other")
        for name, kind in types.items():
            if type(self.evidence[name]) is not kind:
                raise InputError(f"evidence {name} is not of type {kind.__name__}")
        return [self.evidence[name] for name in types]

    def no_arrays(self) -> None:
        """InputError where arrays were attached to a kind that reads none."""
        if self.arrays:
            raise InputError("this kind of certificate has no arrays")
