"""How big a model is: its components, and the bits that bounds and charts compare."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from separatrix.core.errors import InputError

Measure = Literal["cut", "state", "representation"]

MERGE = (
    "two-way exchange, row maximum first: d p + H (2 d_v p + 4 p + 2 ceil(log2 T)) bits for one softmax layer "
    "(audited count of Bhattamishra et al. 2024, Theorem 4); p is the bits of a number that is accumulated"
)


@dataclass(frozen=True, slots=True)
class Precision:
    """Bits of one number and what they mean.

    kind: `stored` bits at rest, `float` significand bits of every operation, `fixed` point, `accumulator` bits.
    A float that is not fp64 or fp16 has the exponent of fp32.
    """

    bits: int
    kind: Literal["stored", "float", "fixed", "accumulator"] = "float"

    @classmethod
    def parse(cls, text: str) -> Precision:
        """Reads `fp32`, `float:24`, `fixed:16`, `stored:8`, `accumulator:32`; raises InputError."""
        named = {"fp64": 53, "fp32": 24, "fp16": 11, "bf16": 8}
        if text in named:
            return cls(named[text], "float")
        kind, _, bits = text.partition(":")
        if kind in ("stored", "float", "fixed", "accumulator") and re.fullmatch("[1-9][0-9]{0,5}", bits):
            return cls(int(bits), kind)  # pyright: ignore[reportArgumentType]
        raise InputError(
            f"precision {text!r} is none of fp64, fp32, fp16, bf16, float:B, fixed:B, stored:B, accumulator:B"
        )

    @property
    def stored(self) -> int:
        """Bits at rest of one number: floats have a sign and 8 exponent bits besides (fp64: 11, fp16: 5)."""
        if self.kind != "float":
            return self.bits
        return {53: 64, 11: 16}.get(self.bits, self.bits + 8)

    def __str__(self) -> str:
        return f"{self.kind}:{self.bits}"


@dataclass(frozen=True, slots=True)
class Size:
    """Components of a model's size; None where a family has no such component or the caller leaves it open.

    Attributes:
        width: of the residual stream (feed-forward nets: first hidden layer).
        key_width, value_width: per head.
        tokens: positions that the model holds at run time (its own blank included); None for attention over tuples of
            tokens, whose `cut` is not defined, and for kernelised attention, whose `cut` is not known.
        state_numbers: numbers carried from one position to the next.
        parameters: all stored numbers; what is computed from stored numbers is not counted again.
    """

    layers: int | None = None
    heads: int | None = None
    width: int | None = None
    key_width: int | None = None
    value_width: int | None = None
    tokens: int | None = None
    state_numbers: int | None = None
    parameters: int | None = None
    precision: Precision | None = None

    def fits(self, limit: Size) -> bool:
        """Whether every component that `limit` gives is met; a component unknown here does not fit a given limit.

        Precisions compare in bits only where they are of one kind; a state with a precision compares in bits.
        """
        names = ["layers", "heads", "width", "key_width", "value_width", "parameters"]
        state = limit.state_numbers is not None and limit.precision is not None
        if state:
            own, bound = self.bits("state"), limit.bits("state")
            if own is None or bound is None or own > bound:
                return False
        else:
            names.append("state_numbers")
        for name in names:
            bound, own = getattr(limit, name), getattr(self, name)
            if bound is not None and (own is None or own > bound):
                return False
        if limit.precision is None or state:
            return True
        own = self.precision
        return own is not None and own.kind == limit.precision.kind and own.bits <= limit.precision.bits

    def bits(self, measure: Measure) -> int | None:
        """Bits in one measure (`MERGE` names the semantics of `cut`); None where the measure has no meaning.

        >>> Size(state_numbers=128, precision=Precision(64, "stored")).bits("cut")
        8192
        """
        if self.precision is None:
            return None
        p = self.precision.stored
        if measure == "representation":
            return None if self.parameters is None else self.parameters * p
        if self.state_numbers is not None:
            return self.state_numbers * p
        attention = (self.layers, self.heads, self.value_width, self.width, self.tokens)
        if measure == "state" or None in attention or self.layers != 1:
            return None
        assert self.heads and self.value_width and self.width and self.tokens
        return self.width * p + self.heads * (2 * self.value_width * p + 4 * p + 2 * math.ceil(math.log2(self.tokens)))

    def to_json(self) -> dict[str, int | str]:
        """The components that are given."""
        fields = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}
        return {name: value if isinstance(value, int) else str(value) for name, value in fields.items()}
