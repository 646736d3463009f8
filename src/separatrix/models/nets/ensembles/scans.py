"""Linear recurrences with backward passes of their own: on a CPU the sequential scan beats doubling."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import hardshrink

SWEEP = 8  # steps between two looks for numbers that are lost


def _swept(x: Tensor, j: int) -> Tensor:
    """x with what is far too small to count as zero, now and then: a CPU is slow on numbers below its normal range."""
    if j % SWEEP or x.is_complex():
        return x
    return hardshrink(x, torch.finfo(x.dtype).tiny ** 0.8)


class LinearScan(torch.autograd.Function):
    """s_j = a s_{j-1} + x_j from s_0 (members, batch, u), real or complex; a (members, 1, u), x (members, batch, N, u).

    Backward runs the same recurrence from the end, with conj(a).
    """

    @staticmethod
    def forward(ctx, a: Tensor, x: Tensor, s: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, state = torch.empty_like(x), s
        for j in range(x.shape[2]):
            state = torch.addcmul(x[:, :, j], a, state, out=states[:, :, j])
        ctx.save_for_backward(a, s, states)
        return states

    @staticmethod
    def backward(ctx, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        a, s, states = ctx.saved_tensors
        back, total = a.conj(), torch.zeros_like(s)
        through = torch.empty_like(grad)
        for j in reversed(range(grad.shape[2])):
            total = _swept(grad[:, :, j] + back * total, j)
            through[:, :, j] = total
        before = torch.cat([s[:, :, None], states[:, :, :-1]], dim=2)
        by_turn = (through * before.conj()).sum(dim=(1, 2))[:, None]
        return by_turn, through, back * total


class SelectiveScan(torch.autograd.Function):
    """s_j = exp(d_j rate) s_{j-1} + x_j w_j from s = 0, the outer product of channels and states; gives r_j . s_j.

    d, x (members, batch, positions, u), rate (members, states, u), w and r (members, batch, positions, states) make
    (members, batch, positions, u). States are kept for the backward pass, which makes the factors again.
    """

    @staticmethod
    def forward(ctx, d: Tensor, x: Tensor, rate: Tensor, w: Tensor, r: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        members, batch, length, u = d.shape
        states = d.new_empty(length, members, batch, rate.shape[1], u)
        state, by_state = torch.zeros_like(states[0]), rate[:, None]
        factor = torch.empty_like(state)
        for j in range(length):
            torch.mul(d[:, :, j, None], by_state, out=factor).exp_()
            state = torch.addcmul(factor.mul_(state), w[:, :, j, :, None], x[:, :, j, None], out=states[j])
        ctx.save_for_backward(d, x, rate, w, r, states)
        out = r.movedim(2, 0)[..., None, :] @ states
        return out.squeeze(3).movedim(0, 2).contiguous()

    @staticmethod
    def backward(ctx, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        d, x, rate, w, r, states = ctx.saved_tensors
        by_d, by_x, by_w = torch.empty_like(d), torch.empty_like(x), torch.empty_like(w)
        by_rate, by_state = torch.zeros_like(rate), rate[:, None]
        by_r = (states @ grad.movedim(2, 0)[..., None]).squeeze(4).movedim(0, 2)
        through, factor, slope, part = (torch.zeros_like(states[0]) for _ in range(4))  # used again: caches stay warm
        for j in reversed(range(d.shape[2])):
            through = torch.addcmul(through, r[:, :, j, :, None], grad[:, :, j, None], out=through)
            by_x[:, :, j] = (w[:, :, j, None] @ through).squeeze(2)
            by_w[:, :, j] = torch.mul(through, x[:, :, j, None], out=part).sum(dim=3)
            torch.mul(d[:, :, j, None], by_state, out=factor).exp_()
            through = _swept(through.mul_(factor), j)
            if j:
                torch.mul(through, states[j - 1], out=slope)
                by_d[:, :, j] = torch.mul(slope, by_state, out=part).sum(dim=2)
                by_rate += torch.mul(slope, d[:, :, j, None], out=part).sum(dim=1)
        by_d[:, :, 0] = 0.0  # before the first step there is nothing to shrink
        return by_d, by_x, by_rate, by_w, by_r
