"""What `build`, `certify` and `check` will cost: the model of docs/scaling.md, printed by --dry-run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from separatrix.can import Witness
from separatrix.core.size import Size
from separatrix.core.task import Task

# seconds on the reference machine (docs/scaling.md): per group of cells, per exponential of a row, per product of a
# score, per number stored
GROUP, EXP, PRODUCT, STORED = 6e-4, 2.1e-8, 8e-12, 1.5e-8


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
    block = 128 * (size.tokens or n) * 24  # a block of rows of scores, with radii
    return Estimate(witness.name, n, seconds, 100 + (14 * stored + block) / 2**20, size)


def certify_seconds(size: Size, task: Task, n: int) -> float:
    """Time of the separable check: one row of scores and exponentials a group of cells, cells of one group for little.

    Groups are one a symbol (twice) for tasks whose model ignores positions, one a position otherwise; pointer-set
    checks are below this.
    """
    groups = 2 * getattr(task, "modulus", 0) or n
    row = (size.tokens or n) * (EXP + PRODUCT * (size.key_width or 1))
    return groups * (GROUP + row)
