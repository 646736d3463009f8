"""Index lookup through a code: one head, keys are code vectors of the positions, queries eta times the same vectors."""

from __future__ import annotations

import math

import numpy as np

from separatrix.can import codes
from separatrix.can.parts import lookup_arch, lookup_tensors, symbol_bits
from separatrix.core.arch import Residual
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

EPS = 0.25  # the target's weight is 1 - EPS at least: every retrieved bit is 1/4 away from the threshold


def code_temperature(n: int, norm: float, coherence: float) -> float:
    """eta at which codes of squared norm >= `norm` and inner products <= `coherence` give the target weight 1 - EPS.

    The target scores eta norm, every other position at most eta coherence, and the query token itself, whose key is 0,
    exactly 0: hence max(coherence, 0). N rivals weigh N e^(-eta gap) <= EPS / (1 - EPS) iff
    eta >= ln(N (1 - EPS) / EPS) / gap. eta need not be a power of two, unlike for integer keys: a bit is lost only
    when the odds 3 : 1 of the target fall to 1 : 1, so every score may be wrong by ln(3)/2, and scores here are below
    100 and wrong by some 2^-10 in 24 bits.
    """
    return math.log(n * (1 - EPS) / EPS) / (norm - max(coherence, 0.0))


def code_lookup(task: IndexLookup, vectors: np.ndarray, coherence: float | None = None) -> Model:
    """The lookup model with keys `vectors` (n, k) and queries eta times the same; float32 tables."""
    n, k = vectors.shape
    if coherence is None:
        norm, coherence = codes.least_norm(vectors), codes.coherence(vectors)
    else:
        norm = 1 - codes.slack(k)
    eta = np.float32(code_temperature(n, norm, coherence) * (1 + 2.0**-16))  # the queries are rounded to float32
    residual = Residual.of(symbol=symbol_bits(task), query=k, position=k)
    arch = lookup_arch(task, n, residual, key_width=k)
    return Model(arch, lookup_tensors(task, residual, eta * vectors, vectors, dtype=np.float32))


def code_lookup_size(task: IndexLookup, n: int, k: int) -> Size:
    """The size of `code_lookup` with codes of width k, at 24 significand bits."""
    bits = symbol_bits(task)
    width = bits + 2 * k
    tables = (task.symbols + n) * width + (n + 1) * width
    weights = 2 * width * k + 2 * width * bits + (width + 1) * task.symbols
    return Size(1, 1, width, k, bits, n + 1, None, tables + weights, Precision(24, "float"))
