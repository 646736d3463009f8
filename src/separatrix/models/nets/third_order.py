"""Third-order attention in torch without its N^3 weights: an online softmax over blocks, and a backward of its own.

Query i weighs the pairs (j, k) by the softmax of scale * sum_l q_i[l] a_j[l] b_k[l] and takes the mean of u_j * w_k,
entry by entry (Sanford, Hsu, Telgarsky 2023, Definition 4). Forward and backward hold the scores of a few j at a time,
or of several short inputs: memory O(N^2) a block, time O(N^3 width) in matrix products.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 2**22  # scores that are held at once, in every one of three buffers


def third_order_attention(q: Tensor, a: Tensor, b: Tensor, u: Tensor, w: Tensor, scale: float = 1.0) -> Tensor:
    """(..., queries, v) from q (..., queries, m), keys a, b (..., N, m) and values u, w (..., N, v).

    Leading axes (members, batch, heads) are equal everywhere; differentiable once in every argument.
    """
    lead = q.shape[:-2]
    flat = [x.reshape(-1, *x.shape[-2:]) for x in (q * scale, a, b, u, w)]
    out = _Streamed.apply(*flat)
    assert isinstance(out, Tensor)
    return out.view(*lead, *out.shape[1:])


def _blocks(q: Tensor, b: Tensor, w: Tensor) -> tuple[int, int]:
    """How many rows of the batch, and how many j of each, are worked on together."""
    each = max(1, q.shape[1] * max(b.shape[1], b.shape[2], w.shape[2]))  # scores or entries of one j of one row
    step = max(1, min(b.shape[1], BLOCK // each))
    return max(1, BLOCK // (each * step)), step


class _Streamed(torch.autograd.Function):
    """Some rows of the batch after the others, blocks of j inside."""

    @staticmethod
    def forward(ctx, q: Tensor, a: Tensor, b: Tensor, u: Tensor, w: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        out, logs, (rows, step) = q.new_empty(*q.shape[:2], w.shape[2]), q.new_empty(q.shape[:2]), _blocks(q, b, w)
        for first in range(0, len(q), rows):
            r = slice(first, first + rows)
            top = torch.full_like(logs[r], -torch.inf)
            total, mean = torch.zeros_like(top), torch.zeros_like(out[r])
            for j in range(0, a.shape[1], step):
                at = slice(j, j + step)
                scores = _pairs(q[r], a[r, at], b[r])
                high = torch.maximum(top, scores.amax(dim=(2, 3)))
                shrink = torch.exp(top - high)
                weights = scores.sub_(high[..., None, None]).exp_()
                total = total * shrink + weights.sum(dim=(2, 3))
                mean = mean * shrink[..., None] + (_times(weights, w[r]) * u[r, None, at]).sum(dim=2)
                top = high
            out[r], logs[r] = mean / total[..., None], top + torch.log(total)
        ctx.save_for_backward(q, a, b, u, w, out, logs)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        q, a, b, u, w, out, logs = ctx.saved_tensors
        by_q, by_a, by_b, by_u, by_w = (torch.zeros_like(x) for x in (q, a, b, u, w))
        rows, step = _blocks(q, b, w)
        drop = (grad * out).sum(dim=2)  # what the normalisation takes back
        for first in range(0, len(q), rows):
            r = slice(first, first + rows)
            for j in range(0, a.shape[1], step):
                at = slice(j, j + step)
                asked, wanted = q[r, :, None] * a[r, None, at], grad[r, :, None] * u[r, None, at]  # row query j width
                weights = _pairs(q[r], a[r, at], b[r]).sub_(logs[r, :, None, None]).exp_()
                by_u[r, at] = (grad[r, :, None] * _times(weights, w[r])).sum(dim=1)
                by_w[r] += weights.flatten(1, 2).transpose(1, 2) @ wanted.flatten(1, 2)
                slopes = _pairs(grad[r], u[r, at], w[r]).sub_(drop[r, :, None, None]).mul_(weights)
                through = _times(slopes, b[r])
                by_q[r] += (through * a[r, None, at]).sum(dim=2)
                by_a[r, at] = (through * q[r, :, None]).sum(dim=1)
                by_b[r] += slopes.flatten(1, 2).transpose(1, 2) @ asked.flatten(1, 2)
        return by_q, by_a, by_b, by_u, by_w


def _pairs(q: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """(rows, queries, block, N) sum_l q_i[l] a_j[l] b_k[l]."""
    asked = (q[:, :, None] * a[:, None]).flatten(1, 2)
    return (asked @ b.transpose(1, 2)).unflatten(1, (q.shape[1], -1))


def _times(weights: Tensor, w: Tensor) -> Tensor:
    """(rows, queries, block, width) the weights (rows, queries, block, N) applied to w (rows, N, width)."""
    return (weights.flatten(1, 2) @ w).unflatten(1, weights.shape[1:3])
