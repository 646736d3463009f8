"""The experiments of the papers, one file each; importing this package registers them."""

from separatrix.learn.experiment import registry
from separatrix.learn.experiments import index_lookup as index_lookup

__all__ = ["registry"]
