"""Quotients by direct comparison: the code of N / Z is a thermometer of gates on N and Z, with no reciprocal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from separatrix.depth.builder import Builder
from separatrix.depth.forms import Forms


def quotient_steps(
    b: Builder, numerator: Forms, denominator: Forms, codes: np.ndarray, op: str = "quotient", place: Sequence = ()
) -> np.ndarray:
    """(..., K) wires [round(numerator / denominator) >= codes[k]], the denominator positive on every input.

    Round half to even: a tie at k - 1/2 goes to the even one of k - 1 and k, so 2 N - (2k - 1) Z is compared with 0
    for even k and with 1 for odd k. N and Z stay parts of the forms: they are added up once.
    """
    shape = (*np.broadcast_shapes(numerator.shape, denominator.shape), len(codes))
    top, under = numerator[..., None].broadcast(shape), denominator[..., None].broadcast(shape)
    gaps = b.add([(2, top), (-(2 * np.asarray(codes) - 1), under)])
    fields = [np.broadcast_to(np.asarray(p)[..., None], shape) for p in place] + [np.asarray(-1)] * (5 - len(place))
    return b.gate(gaps, np.asarray(codes) % 2, op, (*fields, np.asarray(codes)))
