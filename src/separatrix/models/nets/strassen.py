"""Strassen attention in torch: a ratio of diagonals of matrix products, N^2 numbers a head and channel, never N^3.

Kozachinskiy et al. 2025, Section 4. With X_ij = e^<q_i, g_j>, Y_jk = e^<g_j, h_k>, Z_ki = e^<h_k, q_i> a channel of row
i is (X Y' Z)_ii / (X Y Z)_ii, Y'_jk = v_j v'_k Y_jk. Each matrix is scaled by a maximum of its own, so where the
heaviest pair is far below all three maxima the products underflow; then the pairs are summed as they are defined, a few
queries at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 2**24  # scores that are held at once where the products underflow


def sides(first: Tensor, across: Tensor, second: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """(batch, queries, channels) what one head returns.

    Args:
        first, second: (batch, queries, tokens) scores <q, g_j> and <q, h_k>.
        across: (batch, tokens, tokens) scores <g_j, h_k>.
        v, w: (batch, tokens, channels) values of the first and second token of a pair.
    """
    x = torch.exp(first - first.amax(dim=2, keepdim=True))
    y = torch.exp(across - across.amax(dim=(1, 2), keepdim=True))
    z = torch.exp(second - second.amax(dim=2, keepdim=True))
    below = ((x @ y) * z).sum(dim=2)
    lost = (below < torch.finfo(below.dtype).tiny ** 0.6).any(dim=1)
    if bool(lost.any()):  # an input alone, so that no other's result depends on it
        kept, gone = (~lost).nonzero()[:, 0], lost.nonzero()[:, 0]
        exact = by_definition(*(part[gone] for part in (first, across, second, v, w)))
        out = exact.new_zeros(len(first), *exact.shape[1:]).index_copy(0, gone, exact)
        return out.index_copy(0, kept, _ratio(*(part[kept] for part in (x, y, z, below, v, w))))
    return _ratio(x, y, z, below, v, w)


def _ratio(x: Tensor, y: Tensor, z: Tensor, below: Tensor, v: Tensor, w: Tensor) -> Tensor:
    # (batch, channels, queries, tokens) @ (batch, channels, tokens, tokens)
    left = x[:, None] * v.transpose(1, 2)[:, :, None]
    above = ((left @ y[:, None]) * (z[:, None] * w.transpose(1, 2)[:, :, None])).sum(dim=3)
    return (above / below[:, None]).transpose(1, 2)


def by_definition(first: Tensor, across: Tensor, second: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """The same as a softmax over all pairs of tokens, spelled out."""
    tokens, rows = across.shape[1], []
    step = max(1, MOST // (tokens * tokens * len(first)))
    for at in range(0, first.shape[1], step):
        score = first[:, at : at + step, :, None] + across[:, None] + second[:, at : at + step, None]
        weight = torch.softmax(score.flatten(2), dim=2).unflatten(2, (tokens, tokens))
        rows.append(torch.einsum("bqjk,bjc,bkc->bqc", weight, v, w))
    return torch.cat(rows, dim=1)
