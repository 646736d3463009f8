"""The experiments of the papers, one file each; importing this package registers them."""

from separatrix.learn.experiment import registry
from separatrix.learn.experiments import boolean_formula as boolean_formula
from separatrix.learn.experiments import bounded_dyck as bounded_dyck
from separatrix.learn.experiments import equality as equality
from separatrix.learn.experiments import index_lookup as index_lookup
from separatrix.learn.experiments import k_hop as k_hop
from separatrix.learn.experiments import match as match
from separatrix.learn.experiments import nearest_neighbour as nearest_neighbour
from separatrix.learn.experiments import positional_mixed_lengths as positional_mixed_lengths
from separatrix.learn.experiments import positional_prompts as positional_prompts
from separatrix.learn.experiments import positional_scale as positional_scale
from separatrix.learn.experiments import positional_sizes as positional_sizes
from separatrix.learn.experiments import recall as recall
from separatrix.learn.experiments import sparse_averaging as sparse_averaging
from separatrix.learn.experiments import word_problems as word_problems

__all__ = ["registry"]
