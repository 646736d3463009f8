"""The experiments of the papers, one file each; importing this package registers them."""

from separatrix.learn.experiment import registry
from separatrix.learn.experiments import index_lookup as index_lookup
from separatrix.learn.experiments import positional_scale as positional_scale

__all__ = ["registry"]
