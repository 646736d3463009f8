"""Third-order attention in torch without its N^3 weights: an online softmax over blocks, and a backward of its own.

Query i weighs the pairs (j, k) by the softmax of scale * sum_l q_i[l] a_j[l] b_k[l] and takes the mean of u_j * w_k,
entry by entry (Sanford, Hsu, Telgarsky 2023, Definition 4). Forward and backward hold the scores of a few j at a time:
memory O(N^2) a block, time O(N^3 width) in matrix products.
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


def _step(q: Tensor, b: Tensor) -> int:
    """How many j fit a block."""
    return max(1, BLOCK // (q.shape[1] * b.shape[1]))


class _Streamed(torch.autograd.Function):
    """One row of the batch after the other, blocks of j inside."""

    @staticmethod
    def forward(ctx, q: Tensor, a: Tensor, b: Tensor, u: Tensor, w: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        out, logs, step = q.new_empty(*q.shape[:2], w.shape[2]), q.new_empty(q.shape[:2]), _step(q, b)
        for r in range(len(q)):
            top = q.new_full((q.shape[1],), -torch.inf)
            total, mean = torch.zeros_like(top), torch.zeros_like(out[r])
            for j in range(0, a.shape[1], step):
                scores = (q[r][:, None] * a[r, j : j + step]) @ b[r].T  # queries block N
                high = torch.maximum(top, scores.amax(dim=(1, 2)))
                shrink = torch.exp(top - high)
                weights = scores.sub_(high[:, None, None]).exp_()
                total = total * shrink + weights.sum(dim=(1, 2))
                mean = mean * shrink[:, None] + ((weights @ w[r]) * u[r, j : j + step]).sum(dim=1)
                top = high
            out[r], logs[r] = mean / total[:, None], top + torch.log(total)
        ctx.save_for_backward(q, a, b, u, w, out, logs)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        q, a, b, u, w, out, logs = ctx.saved_tensors
        by_q, by_a, by_b, by_u, by_w = (torch.zeros_like(x) for x in (q, a, b, u, w))
        step = _step(q, b)
        for r in range(len(q)):
            drop = (grad[r] * out[r]).sum(dim=1)  # what the normalisation takes back
            for j in range(0, a.shape[1], step):
                rows = slice(j, j + step)
                asked, wanted = q[r][:, None] * a[r, rows], grad[r][:, None] * u[r, rows]  # queries block width
                weights = (asked @ b[r].T).sub_(logs[r][:, None, None]).exp_()
                by_u[r, rows] = (grad[r][:, None] * (weights @ w[r])).sum(dim=0)
                by_w[r] += weights.flatten(end_dim=1).T @ wanted.flatten(end_dim=1)
                slopes = (wanted @ w[r].T).sub_(drop[:, None, None]).mul_(weights)
                through = slopes @ b[r]
                by_q[r] += (through * a[r, rows]).sum(dim=1)
                by_a[r, rows] = (through * q[r][:, None]).sum(dim=0)
                by_b[r] += slopes.flatten(end_dim=1).T @ asked.flatten(end_dim=1)
        return by_q, by_a, by_b, by_u, by_w
