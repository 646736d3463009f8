"""Lower bounds as data: a registry of theorems, each an inequality on a Size with its constants and its hypotheses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from separatrix.cannot.messages import audited, one_way
from separatrix.cannot.reduction import Reduction
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.registry import Registry
from separatrix.core.size import Size
from separatrix.core.task import Task

STATE = (
    "all bits carried from one position to the next: state numbers x stored bits of each (exponent and sign included), "
    "summed over layers; any transition, one pass over the tokens"
)
MESSAGE = (
    "H (m + d_v + 1) p: query, self-score and self-value of each head, p all bits of one of these computed numbers (of "
    "fixed point, an accumulator or a known float format; bits of weights at rest do not bound them); one attention "
    "layer without a residual path; with one, each head's output counts too: H (m + 2 d_v + 1) p, which `violated` uses"
)
EMBEDDING = (
    "width x p bits: the first map's vector of the token, a deterministic p-bit function of it and all that the model "
    "sees of it; any number of layers and heads"
)
WIDTH = "units of the first layer, which is linear in the real parts; exact arithmetic"
MOST_POSITIONS = 2**20  # of one input that the kernel opens
MOST_ENTRIES = 2**26  # of one array of evidence
T = TypeVar("T", bound=Task)


@dataclass(frozen=True, slots=True)
class Bound:
    """A theorem: every model of family `arch` that computes `task` at length n has `measure` >= bits(task, n).

    Attributes:
        name: registry name. task, arch: names. source: paper and theorem.
        expression: the bound as a formula in N, for people.
        measure: `state`, `message`, `exchange`, `one-way`, `embedding` or `width` (a number of units, not bits).
        merge: what is counted, at which precision, under which hypotheses.
        bits: (task, n) -> the amount; a formula, usable at any n; 0 where it says nothing.
        certificate: (task, n) -> a certificate for the kernel; UnknownError where none can be made.
        violated: (size, amount) -> whether a model of that size is ruled out; open components rule nothing out.
        vacuous: (task, n) -> a sentence where the bound says nothing, else None.
        status: whether the inequality is proved in the source, derived here, or conjectured.
        reduction: from a communication problem, as code, where there is one.
    """

    name: str
    task: str
    arch: str
    source: str
    expression: str
    measure: str
    merge: str
    bits: Callable[[Task, int], float]
    certificate: Callable[[Task, int], Certificate]
    violated: Callable[[Size, float], bool]
    vacuous: Callable[[Task, int], str | None]
    status: Literal["proved in the source", "derived here", "conjectured"] = "proved in the source"
    reduction: Reduction | None = None


registry: Registry[Bound] = Registry("bound")


def bounds_for(task_name: str, arch: str) -> list[Bound]:
    """The bounds on a task by a family, in order of registration."""
    return [bound for _, bound in registry.items() if (bound.task, bound.arch) == (task_name, arch)]


def state_violated(size: Size, bits: float) -> bool:
    """Whether the state is too small."""
    if size.state_numbers is None or size.precision is None:
        return False
    return size.state_numbers * size.precision.stored < bits


def message_violated(size: Size, bits: float) -> bool:
    """Whether a one-layer model is too small, with or without a residual path: H (m + 2 d_v + 1) p < bits."""
    if size.layers != 1 or size.precision is None or size.precision.kind == "stored":
        return False
    if size.heads is None or size.key_width is None or size.value_width is None:
        return False
    return size.heads * (size.key_width + 2 * size.value_width + 1) * size.precision.stored < bits


def exchange_violated(size: Size, bits: float) -> bool:
    """Whether one softmax layer exchanges too little, with one bit for the answer; audited two-way count.

    Only for fixed point and accumulators of known size: float sums depend on their order, so parties cannot split them.
    """
    if size.layers != 1 or size.precision is None or size.precision.kind not in ("fixed", "accumulator"):
        return False
    if size.heads is None or size.value_width is None or size.width is None:
        return False
    tokens = size.tokens or 2 * MOST_POSITIONS
    return audited(size.heads, size.value_width, size.width, size.precision.stored, tokens).bits + 1 < bits


def one_way_violated(size: Size, bits: float) -> bool:
    """Whether one softmax layer with mergeable sums says too little; only for accumulators of known size."""
    if size.layers != 1 or size.precision is None or size.precision.kind != "accumulator":
        return False
    if size.heads is None or size.value_width is None:
        return False
    return one_way(size.heads, size.value_width, size.precision.bits).bits < bits


def embedding_violated(size: Size, bits: float) -> bool:
    """Whether the vector of a token is too short to tell the tokens apart, at any depth."""
    if size.precision is None or size.precision.kind == "stored" or size.width is None:
        return False
    return size.width * size.precision.stored < bits


def width_violated(size: Size, units: float) -> bool:
    """Whether the first layer is too narrow."""
    return size.width is not None and size.width < units


def below(value: float) -> float:
    """A float below a real number that floats computed to 40 bits."""
    return value * (1.0 - 2.0**-40)


def log2_sum(sizes: dict[int, int]) -> float:
    """sum of count * log2(size), from below; exact when every size is a power of two."""
    exact = all(size & (size - 1) == 0 for size in sizes)
    total = math.fsum(count * math.log2(size) for size, count in sizes.items())
    return total if exact else below(total)


def certificate(
    task: Task, n: int, kind: str, arch: str, measure: str, bound: float, evidence: dict[str, Any], **arrays: np.ndarray
) -> Certificate:
    """A certificate that every model of family `arch` needs `bound` of `measure`."""
    claim = Claim(task.name, task.parameters(), n, "needs", arch=arch, measure=measure, bound=float(bound).hex())
    return Certificate(kind, claim, PROVED, task.source_sha256(), evidence, arrays)


def need(condition: bool, message: str) -> None:
    """UnknownError with `message` unless the condition holds: the theorem stands, evidence of that size is not made."""
    if not condition:
        raise UnknownError(message)


def of_kind(kind: type[T], task: Task) -> T:
    """`task`, if it is of class `kind`; InputError otherwise."""
    if not isinstance(task, kind):
        raise InputError(f"this bound is about {kind.name}, not {task.name}")
    return task
