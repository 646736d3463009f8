"""From a network to a threshold circuit, bit for bit."""

from separatrix.depth.compiler.network import compile_network, estimate

__all__ = ["compile_network", "estimate"]
