"""HOW PRECISELY: number formats bit by bit, in Python integers."""

from separatrix.numbers.fixed import FixedFormat
from separatrix.numbers.floats import FloatFormat, Number
from separatrix.numbers.named import parse_format

__all__ = ["FixedFormat", "FloatFormat", "Number", "parse_format"]
