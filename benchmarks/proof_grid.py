"""Which models the accuracy-against-proof table is about. Imports no prover and no torch: peers read it too."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from separatrix.core.task import Task
from separatrix.tasks import make_task

HIDDEN = 64  # units of the ReLU layer, where there is one


@dataclass(frozen=True, slots=True)
class Row:
    """One trained model: one attention layer of `heads` heads and, unless `mlp` is 0, a ReLU layer of `mlp` units."""

    task: str
    parameters: tuple[tuple[str, Any], ...]
    n: int
    heads: int
    mlp: int
    seed: int
    steps: int
    width: int = 64
    learning_rate: float = 3e-3

    @property
    def name(self) -> str:
        """Of the row's folder."""
        given = "".join(f"-{key}{value}" for key, value in self.parameters if value is not True)
        return f"{self.task}{given}-n{self.n}-h{self.heads}-mlp{self.mlp}-seed{self.seed}"

    @property
    def problem(self) -> Task:
        """The task."""
        return make_task(self.task, dict(self.parameters))

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self) | {"parameters": dict(self.parameters)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Row:
        """Inverse of `to_json`."""
        return cls(**(told | {"parameters": tuple(told["parameters"].items())}))


def rows(seed: int, mlp: int) -> list[Row]:
    """One seed of the grid."""
    lookups = [
        Row("index-lookup", (("symbols", symbols),), n, heads, mlp, seed, steps)
        for n, steps in ((16, 400), (32, 500), (64, 600))
        for symbols in (4, 8)
        for heads in (1, 2, 4, 8)
    ]
    pairs = (("keys", 16), ("labels", 2), ("joined", True))
    recalls = [Row("associative-recall", pairs, 8, heads, mlp, seed, 600, 32, 1e-2) for heads in (1, 2, 4)]
    votes = [Row("majority", (), n, heads, mlp, seed, 300, 16, 1e-2) for n in (15, 31, 63) for heads in (1, 2, 4)]
    return lookups + recalls + votes


def grid(seeds: int) -> list[Row]:
    """All rows, first those without a ReLU layer, seed by seed."""
    return [row for mlp in (0, HIDDEN) for seed in range(seeds) for row in rows(seed, mlp)]


def quick() -> list[Row]:
    """The smallest of each kind, one seed."""
    return [
        row
        for row in grid(1)
        if row.n in (8, 15) or (row.n == 16 and ("symbols", 4) in row.parameters and row.heads in (1, 4))
    ]
