"""How far a claim can be trusted; printed with every claim and never promoted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from separatrix.core.errors import InputError


class Level(Enum):
    """From strongest to weakest."""

    PROVED = "proved"
    STATISTICAL = "statistical"
    CHECKED = "checked"
    CONJECTURED = "conjectured"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A level, with its failure probability `delta` when the level is statistical.

    >>> str(Guarantee.parse("statistical(1e-09)"))
    'statistical(1e-09)'
    """

    level: Level
    delta: float | None = None

    def __post_init__(self) -> None:
        if (self.level is Level.STATISTICAL) != (self.delta is not None):
            raise InputError("exactly the statistical guarantee carries a delta")
        if self.delta is not None and not 0.0 < self.delta < 1.0:
            raise InputError(f"delta {self.delta} is not a probability between 0 and 1")

    @property
    def rules_out(self) -> bool:
        """Whether a bound with this guarantee may carry the verdict `cannot`."""
        return self.level in (Level.PROVED, Level.STATISTICAL)

    def __str__(self) -> str:
        return self.level.value if self.delta is None else f"statistical({self.delta:g})"

    @classmethod
    def parse(cls, text: str) -> Guarantee:
        """Inverse of `str`; raises InputError."""
        if text.startswith("statistical(") and text.endswith(")"):
            try:
                return cls(Level.STATISTICAL, float(text[len("statistical(") : -1]))
            except ValueError as error:
                raise InputError(f"guarantee {text!r}: delta is not a number") from error
        try:
            return cls(Level(text))
        except ValueError as error:
            raise InputError(
                f"guarantee {text!r} is none of proved, statistical(delta), checked, conjectured"
            ) from error


PROVED = Guarantee(Level.PROVED)
CHECKED = Guarantee(Level.CHECKED)
CONJECTURED = Guarantee(Level.CONJECTURED)


def statistical(delta: float = 1e-9) -> Guarantee:
    """A claim that fails with probability at most `delta` over the checker's own fresh sample."""
    return Guarantee(Level.STATISTICAL, delta)
