"""In which arithmetic a model is evaluated: exact reals, floating point of a stated kind in any order, or integers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import InputError


@dataclass(frozen=True, slots=True)
class FloatSpec:
    """fl(op) = op (1 + d) + u with |d| <= 2^-bits, |u| <= 2^(least_exponent - bits); no TF32, no fused operations.

    A result that the format holds exactly is exact (d = u = 0), as in every IEEE rounding; softmax subtracts the
    greatest score of its row, as computed, and keeps subnormal numbers.

    Attributes:
        bits: significand bits with the hidden one (fp32 has 24).
        least_exponent: exponent of the least normal number; None means an unbounded exponent (no underflow).
        greatest_exponent: every finite number is below 2^(greatest_exponent + 1); None means unbounded.
        exp_error: relative error of one `exp`, in units of 2^-bits.
        tree: sums are taken by balanced trees; otherwise in any order.
    """

    bits: int
    least_exponent: int | None = None
    greatest_exponent: int | None = None
    exp_error: float = 4.0
    tree: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 53:
            raise InputError(f"float:{self.bits}: significand bits must lie between 2 and 53")

    @property
    def unit(self) -> float:
        """The unit round-off 2^-bits."""
        return 2.0**-self.bits

    @property
    def least(self) -> float:
        """Greatest absolute error of an operation that underflows; 0 when the exponent is unbounded."""
        return 0.0 if self.least_exponent is None else max(2.0 ** (self.least_exponent - self.bits), 5e-324)  # fp64

    @property
    def greatest(self) -> float:
        """Overflow begins above this number."""
        if self.greatest_exponent is None:
            return math.inf
        return (2.0 - 2.0 ** (1 - self.bits)) * 2.0**self.greatest_exponent

    def is_tiny(self, values: np.ndarray | float) -> np.ndarray:
        """1.0 where a number at rest may underflow (nonzero and below the least normal number), 0.0 elsewhere."""
        size = np.abs(np.asarray(values, dtype=np.float64))
        least = 0.0 if self.least_exponent is None else 2.0**self.least_exponent
        return ((size > 0) & (size < least)).astype(np.float64)

    def depth(self, terms: int) -> int:
        """Roundings that one term of a sum of `terms` numbers can meet."""
        if terms <= 1:
            return 0
        return math.ceil(math.log2(terms)) if self.tree else terms - 1


NAMED = {
    "fp64": FloatSpec(53, -1022, 1023),
    "fp32": FloatSpec(24, -126, 127),
    "bf16": FloatSpec(8, -126, 127),
    "fp16": FloatSpec(11, -14, 15),
}


@dataclass(frozen=True, slots=True)
class BitsSpec:
    """The quantised model: fixed point, one rounding where `numbers.integers` says so, every output bit defined.

    Attributes:
        bits, fraction: the numbers of the stream are m / 2^fraction, m a signed integer of so many bits, saturating.
        weights: fraction bits of every weight.
        score_bits, score_fraction: scores are rounded to codes c / 2^score_fraction of so many bits, saturating.
        exp_bits: the greatest entry of the exponential's table is 2^exp_bits, the least 1.
    """

    bits: int
    fraction: int
    weights: int
    score_bits: int
    score_fraction: int
    exp_bits: int

    def __post_init__(self) -> None:
        limits = {"bits": (2, 12), "fraction": (0, 24), "weights": (0, 24), "score_bits": (1, 12),
                  "score_fraction": (0, 12), "exp_bits": (0, 30)}  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"semantics bits: {name} = {getattr(self, name)}; take {low} to {high}")

    @classmethod
    def parse(cls, text: str) -> BitsSpec:
        """Reads `bits:B.F` with `,weights:G`, `,scores:S.C`, `,exp:T` in this order; they default to F, 6.1 and 10."""
        match = re.fullmatch(r"bits:(\d+)\.(\d+)(?:,weights:(\d+))?(?:,scores:(\d+)\.(\d+))?(?:,exp:(\d+))?", text)
        if match is None or any(len(part or "") > 3 for part in match.groups()):
            raise InputError(f"semantics {text!r}: say bits:B.F, and if need be ,weights:G ,scores:S.C ,exp:T after it")
        bits, fraction, weights, score_bits, score_fraction, exp_bits = match.groups()
        return cls(
            int(bits), int(fraction), int(weights or fraction), int(score_bits or 6), int(score_fraction or 1),
            int(exp_bits or 10),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Semantics:
    """`real` (stored weights exact, softmax exact), one floating-point spec, or the integers of a quantised model.

    >>> Semantics.parse("float:24,tree").spec.tree
    True
    """

    text: str
    spec: FloatSpec | None
    bits: BitsSpec | None = None

    @classmethod
    def parse(cls, text: str) -> Semantics:
        """Reads `real`, `fp32`, `bf16`, `fp16`, `fp64`, `float:20`, each float also with `,tree`; `bits:8.4`.

        Raises InputError for anything else.

        float:B has B significand bits and the exponent range of fp32, so that float:24 is fp32 and float:8 is bf16.
        """
        if text == "real":
            return cls(text, None)
        if text.startswith("bits:"):
            return cls(text, None, BitsSpec.parse(text))
        name, comma, order = text.partition(",")
        if comma and order != "tree":
            raise InputError(f"semantics {text!r}: after the comma only `tree` is known")
        if name in NAMED:
            base = NAMED[name]
        elif match := re.fullmatch(r"float:([0-9]{1,3})", name):
            base = FloatSpec(int(match[1]), NAMED["fp32"].least_exponent, NAMED["fp32"].greatest_exponent)
        else:
            raise InputError(f"semantics {text!r} is none of real, {', '.join(NAMED)}, float:BITS, bits:B.F")
        spec = FloatSpec(base.bits, base.least_exponent, base.greatest_exponent, base.exp_error, order == "tree")
        return cls(text, spec)

    def __str__(self) -> str:
        return self.text


REAL = Semantics("real", None)
