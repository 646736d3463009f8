"""HOW DEEP: threshold circuits, their parts, their compiler and their evaluation (`circuit.py` states the format)."""

from separatrix.depth.builder import FALSE, TRUE, Builder
from separatrix.depth.circuit import Circuit
from separatrix.depth.forms import Forms

__all__ = ["FALSE", "TRUE", "Builder", "Circuit", "Forms"]
