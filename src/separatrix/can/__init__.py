"""THERE IS A MODEL: constructions of the papers as explicit weights."""

from separatrix.can import witnesses as witnesses
from separatrix.can.witness import Witness, registry

__all__ = ["Witness", "registry"]
