"""Queries computed from pointer sets, batched; the torch counterpart of `models.embed.pointer_query`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from separatrix.core.arch import PointerSet
from separatrix.core.errors import InputError


def pointer_queries(first: PointerSet, keys: Tensor, pointers: Tensor) -> Tensor:
    """The query of every pointer set, before the temperature.

    Args:
        keys: (positions, key_width) stored keys. pointers: (batch, positions, q) integers.

    Returns:
        (batch, positions, key_width); (batch, positions, q * key_width) for `slots`.
    """
    rows = keys[pointers]  # batch position q key_width
    match first.query:
        case "least-norm":  # the pseudo-inverse has the cut-off of the reference's least squares
            return torch.linalg.pinv(rows).sum(dim=3)
        case "sum":
            return rows.sum(dim=2)
        case "slots":
            return rows.flatten(start_dim=2)
        case "trigonometric":
            return trigonometric_queries(2 * torch.pi * pointers.double() / first.positions).to(keys.dtype)
        case "moment":
            raise InputError("moment-curve queries are exact integers; evaluate with separatrix.models.evaluate")


def trigonometric_queries(angles: Tensor) -> Tensor:
    """-(a_1, b_1, .., a_q, b_q) with prod_j (1 - cos(t - angle_j)) / 2 = a_0 + sum_k a_k cos kt + b_k sin kt.

    angles: (..., q) float64. Returns (..., 2 q) float64.
    """
    polynomial = torch.ones((*angles.shape[:-1], 1), dtype=torch.complex128, device=angles.device)
    for j in range(angles.shape[-1]):
        turn = torch.polar(torch.ones_like(angles[..., j]), angles[..., j])[..., None]
        # times (-turn/4, 1/2, -1/(4 turn)), lowest power first
        polynomial = (
            pad(polynomial, (0, 2)) * (-turn / 4) + pad(polynomial, (1, 1)) / 2 - pad(polynomial, (2, 0)) / turn / 4
        )
    upper = polynomial[..., angles.shape[-1] + 1 :]  # coefficients of e^{ikt}, k = 1..q
    return -torch.stack([2 * upper.real, -2 * upper.imag], dim=-1).flatten(start_dim=-2)
