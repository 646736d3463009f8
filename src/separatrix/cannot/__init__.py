"""THERE IS NO MODEL of this size: lower bounds with constants, each with evidence for the kernel."""

from separatrix.cannot import ledger as ledger
from separatrix.cannot.bound import Bound, bounds_for, registry

__all__ = ["Bound", "bounds_for", "registry"]
