"""Witnesses: constructions that show that an architecture of some size computes a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from separatrix.core.errors import InputError
from separatrix.core.families import family
from separatrix.core.registry import Registry
from separatrix.core.size import Size
from separatrix.core.task import Task
from separatrix.models.model import Model


@dataclass(frozen=True, slots=True)
class Witness:
    """A construction, one a file.

    Attributes:
        name: `<task>-<construction>`. task: the task's name. arch: the family.
        source: paper and theorem. formula: its size as a formula in N, for people.
        build: (task, n) -> Model; raises InputError where the construction does not reach n.
        size: (task, n) -> Size without building; equal to the built model's.
        method: the prover that proves it on every input.
        growth: `log` or `linear` where the bits grow so although `size` does not show it, or not up to 2^16.
    """

    name: str
    task: str
    arch: str
    source: str
    formula: str
    build: Callable[[Task, int], Model]
    size: Callable[[Task, int], Size]
    method: str = "separable"
    growth: str = ""

    def serves(self, arch: str) -> bool:
        """Whether its models are of family `arch`: its own, or a more general one (an `ssm` is an `rnn`)."""
        return arch in (self.arch, family(self.arch).bounds_of)


registry: Registry[Witness] = Registry("witness")


def witness(
    name: str,
    *,
    task: str,
    source: str,
    formula: str,
    size: Callable[..., Size],
    method: str = "separable",
    growth: str = "",
    arch: str = "transformer",
):
    """Decorator of a builder (task, n) -> Model that registers it as a witness."""

    def enter(build: Callable[..., Model]) -> Callable[..., Model]:
        registry.register(name)(Witness(name, task, arch, source, formula, build, size, method, growth))
        return build

    return enter


def require(condition: bool, message: str) -> None:
    """Raises InputError with `message` unless the condition holds."""
    if not condition:
        raise InputError(message)
