"""Refuters, registered by name: each looks for an input on which a model errs, and counts what it evaluates."""

from separatrix.verify.refuters import baselines as baselines
from separatrix.verify.refuters import collisions as collisions
from separatrix.verify.refuters import descent as descent
from separatrix.verify.refuters import gradient as gradient
from separatrix.verify.refuters import pointer_codes as pointer_codes
from separatrix.verify.refuters import reachable as reachable
from separatrix.verify.refuters import separable as separable
from separatrix.verify.refuters.search import Refutation, Search, random_testing, refute, registry

__all__ = ["Refutation", "Search", "random_testing", "refute", "registry"]
