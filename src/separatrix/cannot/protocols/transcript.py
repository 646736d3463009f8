"""What two parties say to each other, counted, and the split of a model's positions between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from separatrix.core.errors import InputError
from separatrix.core.recurrent import Recurrent
from separatrix.core.size import Precision
from separatrix.models.model import Model

Party = Literal["Alice", "Bob"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `numbers` integers of `width` bits each, and their values."""

    sender: Party
    what: str
    numbers: int
    width: int
    values: tuple[int | float, ...]

    @property
    def bits(self) -> int:
        """Length in bits."""
        return self.numbers * self.width


@dataclass(frozen=True, slots=True)
class Transcript:
    """A finished run.

    Attributes:
        split: positions that Alice holds. query: the position that is answered.
        formula, formula_bits: what the lower bounds count for such a model, and its value.
        output: (outputs,) what the party who answers computed.
        whole: (outputs,) the same by one party with all tokens, in the arithmetic of the protocol.
        real: (outputs,) by the model itself, in float64 with exact softmax.
        stated: largest difference to `real` that the rounding can make on this input; None where none is known.
    """

    split: tuple[int, ...]
    query: int
    precision: str
    messages: tuple[Message, ...]
    formula: str
    formula_bits: int
    output: np.ndarray
    whole: np.ndarray
    real: np.ndarray
    stated: float | None

    @property
    def bits(self) -> int:
        """All messages together."""
        return sum(message.bits for message in self.messages)

    @property
    def error(self) -> float:
        """Largest difference to the model itself."""
        return float(np.abs(self.output - self.real).max())

    def to_json(self) -> dict[str, Any]:
        """Everything; values of messages included."""
        return {
            "split": list(self.split),
            "query": self.query,
            "precision": self.precision,
            "messages": [
                {"sender": m.sender, "what": m.what, "numbers": m.numbers, "width": m.width, "bits": m.bits}
                | {"values": list(m.values)}
                for m in self.messages
            ],
            "bits": self.bits,
            "formula": self.formula,
            "formula_bits": self.formula_bits,
            "output": self.output.tolist(),
            "equal_to_whole": bool(np.array_equal(self.output, self.whole)),
            "error": self.error,
            "stated_error": self.stated,
            "same_answer": bool(self.output.argmax() == self.real.argmax()),
        }


def run(model: Model, tokens: np.ndarray, query: int, split: str = "half", precision: str = "") -> Transcript:
    """Runs the protocol that fits the model on one input (positions,).

    Args:
        split: see `read_split`.
        precision: recurrent models: that of the state at the cut (default: the model's own grid, or fp64); attention:
            fixed:P, P bits for every number (default fixed:16).
    """
    from separatrix.cannot.protocols.attention import run_attention
    from separatrix.cannot.protocols.recurrent import run_recurrent

    held = read_split(split, len(tokens))
    if not 0 <= query < len(tokens):
        raise InputError(f"query position {query}: the input has {len(tokens)} positions")
    if isinstance(model.arch, Recurrent):
        return run_recurrent(model, tokens, query, held, Precision.parse(precision) if precision else None)
    return run_attention(model, tokens, query, held, Precision.parse(precision or "fixed:16"))


def read_split(text: str, positions: int) -> tuple[int, ...]:
    """Alice's positions: `half`, `odd` (the 1st, 3rd, ..), a number K (the first K), or a list as in 0,3,5-7."""
    if text == "half":
        return tuple(range(positions // 2))
    if text == "odd":
        return tuple(range(0, positions, 2))
    if re.fullmatch("[0-9]{1,7}", text):
        if not 0 <= int(text) <= positions:
            raise InputError(f"split {text}: the input has {positions} positions")
        return tuple(range(int(text)))
    held: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch("([0-9]{1,7})(?:-([0-9]{1,7}))?", part)
        if not match:
            raise InputError(f"split {text[:40]!r} is none of half, odd, a number, or a list as in 0,3,5-7")
        held.update(range(int(match[1]), min(int(match[2] or match[1]), positions) + 1))
    if max(held) >= positions:
        raise InputError(f"split {text[:40]!r}: the input has positions 0 to {positions - 1}")
    return tuple(sorted(held))
