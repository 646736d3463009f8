"""Formats by name: what follows `bits:` in a semantics, and the formats of hardware as instances."""

from __future__ import annotations

import re

from separatrix.core.errors import InputError
from separatrix.numbers.fixed import FixedFormat
from separatrix.numbers.floats import FloatFormat

NAMED = {  # saturating, without infinity and NaN
    "bf16": FloatFormat(8, -133, 120, gradual=True),
    "fp16": FloatFormat(11, -24, 5, gradual=True),
    "fp8-e4m3": FloatFormat(4, -9, 5, gradual=True, top=14),
    "fp8-e5m2": FloatFormat(3, -16, 13, gradual=True),
}


def parse_format(text: str) -> FloatFormat | FixedFormat:
    """`F4` (floats of the papers), `fixed:4`, `fixed:6.2` (two fraction bits), `ufixed:4`, or a name; InputError.

    >>> parse_format("F3").high, parse_format("fixed:6.2").fraction
    (7, 2)
    """
    if text in NAMED:
        return NAMED[text]
    if match := re.fullmatch(r"F([0-9]{1,2})", text):
        return FloatFormat.paper(int(match[1]))
    if match := re.fullmatch(r"(u?)fixed:([0-9]{1,2})(?:\.([0-9]{1,2}))?", text):
        return FixedFormat(int(match[2]), int(match[3] or 0), not match[1])
    raise InputError(f"number format {text!r} is none of F4, fixed:4, fixed:6.2, ufixed:4, {', '.join(NAMED)}")
