"""What `build`, `certify` and `check` will cost: the model of docs/scaling.md, printed by --dry-run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from separatrix.can import Witness
from separatrix.core.domain import Labels
from separatrix.core.size import Size
from separatrix.core.task import Task

# seconds on one core of the reference machine (docs/scaling.md): per group of cells, per exponential, per product of
# a score, per margin of a label against a rival at one symbol, per number stored
GROUP, EXP, PRODUCT, MARGIN, STORED = 1.3e-3, 3e-8, 4e-11, 4e-9, 2e-8


@dataclass(frozen=True, slots=True)
class Estimate:
    """Predicted cost of one witness at one size."""

    witness: str
    n: int
    seconds: float
    megabytes: float
    size: Size

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "witness": self.witness,
            "n": self.n,
            "seconds": self.seconds,
            "megabytes": self.megabytes,
            "size": self.size.to_json(),
        }

    def __str__(self) -> str:
        return f"{self.witness} at N = {self.n}: about {self.seconds:.2g} s and {self.megabytes:,.0f} MB"


def estimate(witness: Witness, task: Task, n: int) -> Estimate:
    """Cost of building and certifying a witness."""
    size = witness.size(task, n)
    stored = size.parameters or 0
    seconds = stored * STORED + certify_seconds(size, task, n)
    return Estimate(witness.name, n, seconds, 150 + 3 * stored * 8 / 2**20, size)


def certify_seconds(size: Size, task: Task, n: int) -> float:
    """Time of the separable check: one row of scores and exponentials a group of cells."""
    outputs = task.outputs()
    labels = outputs.k if isinstance(outputs, Labels) else 1
    tokens = size.tokens or n
    groups = n
    row = tokens * (EXP + PRODUCT * (size.key_width or 1) * 4)
    return groups * (GROUP + row) + min(groups, 1024) * labels**2 * min(labels, 64) * MARGIN
