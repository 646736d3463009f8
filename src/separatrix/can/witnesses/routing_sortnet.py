"""Routing by data, by sorting: destination and payload in one word, sorted by Batcher's network, unpacked at the end.

With D at least the range of the payload, D p_j + x_j sorted is D i + x_j at node i = p_j. The destinations are sorted
beside it, so that node i holds i as well, and the read-out takes D i off: attention knows positions, but the nodes' net
and read-out are one and the same for all, and hold no constant of a position. The bound D is the price of destinations
that are data; where the program knows them, routing is right at every scale (`sorting-benes`).
"""

from __future__ import annotations

from separatrix.can.programs.direct import compile_direct, program_size
from separatrix.can.programs.sortnet import packed_route
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.models.model import Model
from separatrix.tasks.routing import Routing

NAME, MOST = "routing-sortnet", 2**7
SHARP = 256.0  # the score gap: D N, each layer and the read-out may magnify what leaked before


def size(task: Routing, n: int) -> Size:
    """As `compile_direct`: the first map is of the same shape."""
    task.domain(n)
    require(n <= MOST, f"{NAME}: N = {n}; take N up to {MOST}")
    return program_size(packed_route(n, task.scale)[0])


@witness(
    NAME,
    task="routing",
    source="Batcher 1968 (sorting network); Back de Luca, Giapitzakis, Yang, Veličković, Fountoulakis 2025, "
    "Theorem 5.1 (simulation of PCOC)",
    formula="L(L + 1)/2 layers of 4 heads, L = ⌈log₂ N⌉; 2 words: D · destination + payload, and destination, "
    "D a power of two from 2 scale on",
    size=size,
    method="positional",
    arch="positional",
)
def build(task: Routing, n: int) -> Model:
    size(task, n)
    program, first = packed_route(n, task.scale)
    return compile_direct(program, SHARP, first)
