"""First maps: from tokens (and real parts) to the residual stream."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from separatrix.core.arch import Arch, Linear, PointerSet, Table
from separatrix.core.errors import InputError


def embed(
    arch: Arch, tensors: Mapping[str, np.ndarray], tokens: np.ndarray, reals: np.ndarray | None = None
) -> np.ndarray:
    """(batch, positions [+ 1 for the blank], width) float64; exact rationals (object) for moment-curve keys."""
    first = arch.first
    positions = np.shape(tokens)[1]
    if isinstance(first, Table):
        x = tensors["embed.token"].astype(np.float64)[tokens]
        if first.positions:
            x = x + _positions(tensors["embed.position"], positions)
    elif isinstance(first, Linear):
        if reals is None:
            raise InputError("this model reads real parts, and none were given")
        x = reals @ tensors["embed.linear"].astype(np.float64) + _positions(tensors["embed.position"], positions)
    else:
        if reals is None:
            raise InputError("this model reads real parts, and none were given")
        keys, temperature = pointer_keys(first, tensors), float(tensors["embed.temperature"])
        sets, which = np.unique(np.reshape(tokens, (-1, first.pointers)), axis=0, return_inverse=True)
        asked = np.stack([pointer_query(first, keys, tensors, row) for row in sets])  # many tokens point alike
        queries = asked[which.reshape(-1)].reshape(len(tokens), positions, -1)
        if keys.dtype != object:
            queries = queries * temperature
        parts = [reals, np.broadcast_to(keys[:positions], (len(tokens), positions, keys.shape[1])), queries]
        if keys.dtype.kind == "O":
            parts[0] = rationals(reals)
        x = np.concatenate([part.astype(keys.dtype) for part in parts], axis=2)
    if arch.blank:
        blank = np.broadcast_to(tensors["embed.blank"].astype(x.dtype), (len(x), 1, arch.width))
        x = np.concatenate([x, blank], axis=1)
    return x


def rationals(values: np.ndarray) -> np.ndarray:
    """The same numbers as Python integers and fractions, so that no sum with a long integer is rounded."""
    exact = [int(v) if v.is_integer() else Fraction(v) for v in np.asarray(values, dtype=np.float64).ravel().tolist()]
    return np.array([*exact, None], dtype=object)[:-1].reshape(np.shape(values))


def pointer_keys(first: PointerSet, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """(positions, key_width): the stored keys, or exact powers t, t^2, .. of the stored nodes as Python integers."""
    if first.keys == "moment":
        nodes = [int(t) for t in tensors["embed.nodes"]]
        return np.array([[t**k for k in range(1, first.key_width + 1)] for t in nodes], dtype=object)
    return tensors["embed.keys"].astype(np.float64)


def pointer_query(
    first: PointerSet, keys: np.ndarray, tensors: Mapping[str, np.ndarray], pointers: np.ndarray
) -> np.ndarray:
    """The query of one pointer set, before the temperature.

    least-norm, sum: (key_width,); slots: (q * key_width,); trigonometric, moment: minus the coefficients of the
    polynomial that vanishes to second order on the set (Sanford et al. 2023, Theorem 3), without its constant.
    """
    rows = keys[list(pointers)]
    match first.query:
        case "least-norm":
            return np.linalg.lstsq(rows, np.ones(len(rows)), rcond=None)[0]
        case "sum":
            return rows.sum(axis=0)
        case "slots":
            return rows.reshape(-1)
        case "trigonometric":
            return trigonometric_query(2 * np.pi * np.asarray(pointers) / first.positions)
        case "moment":
            nodes = [int(tensors["embed.nodes"][j]) for j in pointers]
            square = np.array([1], dtype=object)
            for t in nodes:  # coefficients of prod (x - t)^2, lowest first
                square = np.convolve(square, np.array([t * t, -2 * t, 1], dtype=object))
            return -square[1:]


def trigonometric_query(angles: np.ndarray) -> np.ndarray:
    """-(a_1, b_1, .., a_q, b_q) with prod_j (1 - cos(t - angle_j)) / 2 = a_0 + sum_k a_k cos kt + b_k sin kt."""
    polynomial = np.array([1.0 + 0j])
    for angle in angles:
        turn = np.exp(1j * angle)
        polynomial = np.convolve(polynomial, np.array([-turn / 4, 0.5, -1 / turn / 4]))
    q = len(angles)
    upper = np.asarray(polynomial[q + 1 :], dtype=np.complex128)  # coefficients of e^{ikt}, k = 1..q
    return -np.stack([2 * upper.real, -2 * upper.imag], axis=1).reshape(-1)


def _positions(table: np.ndarray, positions: int) -> np.ndarray:
    if positions > len(table):
        raise InputError(f"the input has {positions} positions; the model has {len(table)}")
    return table.astype(np.float64)[:positions]
