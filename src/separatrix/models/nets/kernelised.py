"""Sums over positions with Toeplitz weights, sum_j c[i - j] (q_i . k_j) v_j: by Fourier transforms, or over all pairs.

By transforms they are convolutions of c with the outer products k_j v_j^T (Luo et al. 2021, section 3): O(N log N m v)
for widths m and v, against O(N^2 (m + v)) over pairs, in matrix products. A transform's error is that of the largest
sum: what is smaller by more than the precision is lost in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from separatrix.core.kernelised import Kernelised
from separatrix.models.kernelised import EPS, require_length

WORTH = 4  # transforms are faster from so many queries a number of k_j v_j^T on; measured on a CPU


def kernelised_attention(layer: Kernelised, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, at: Sequence[int]) -> Tensor:
    """(members, batch, heads, queries, v) what the heads read at the positions `at`.

    q (members, batch, heads, queries, m) before the features, k and v (members, batch, heads, tokens, ..), bias
    (members, heads, gaps). Raises InputError for more tokens than the layer has positions.
    """
    require_length(layer, k.shape[3])
    q, k = features(q), features(k)
    v = torch.cat([v, torch.ones_like(v[..., :1])], dim=4)  # the last column adds up the weights
    c, causal = torch.exp(bias)[:, None], layer.mask == "causal"
    if len(at) > WORTH * k.shape[4] * v.shape[4]:
        both = by_transforms(q, k, v, c, causal, at)
    else:
        both = by_pairs(q, k, v, c, causal, at)
    return both[..., :-1] / (both[..., -1:] + EPS)


def by_pairs(q: Tensor, k: Tensor, v: Tensor, c: Tensor, causal: bool, at: Sequence[int]) -> Tensor:
    """(.., queries, v) over all pairs; c (.., gaps) for gaps 0, 1, .. (causal) or all, 0 in the middle."""
    rows, positions = torch.tensor(list(at), device=q.device), c.shape[-1] if causal else (c.shape[-1] + 1) // 2
    gap = rows[:, None] - torch.arange(k.shape[-2], device=q.device)
    if causal:
        weights = torch.where(gap >= 0, c[..., gap.clamp(min=0)], 0.0)
    else:
        weights = c[..., gap + positions - 1]
    return (q @ k.transpose(-1, -2) * weights) @ v


def by_transforms(q: Tensor, k: Tensor, v: Tensor, c: Tensor, causal: bool, at: Sequence[int]) -> Tensor:
    """The same by convolution."""
    length = k.shape[-2]
    size = fast_length(2 * length - 1)
    if causal:
        around = torch.nn.functional.pad(c[..., :length], (0, size - length))
    else:
        middle = c.shape[-1] // 2
        later, before = c[..., middle : middle + length], c[..., middle - length + 1 : middle]
        gap = torch.zeros(*c.shape[:-1], size - 2 * length + 1, dtype=c.dtype, device=c.device)
        around = torch.cat([later, gap, before], dim=-1)
    outer = (k[..., :, None] * v[..., None, :]).flatten(start_dim=-2)  # .. positions (m v)
    turned = torch.fft.rfft(outer, n=size, dim=-2) * torch.fft.rfft(around, dim=-1)[..., None]
    sums = torch.fft.irfft(turned, n=size, dim=-2)[..., list(at), :]
    return (q[..., None, :] @ sums.unflatten(-1, (k.shape[-1], v.shape[-1]))).squeeze(-2)


def fast_length(least: int) -> int:
    """The smallest 2^a 3^b 5^c from `least` on, which transforms are fast at.

    >>> fast_length(199), fast_length(1023)
    (200, 1024)
    """
    while True:
        rest = least
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return least
        least += 1


def features(x: Tensor) -> Tensor:
    """elu + 1, without its cancellation."""
    return torch.exp(x.clamp(max=0.0)) + torch.relu(x)
