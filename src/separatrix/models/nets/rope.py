"""The RoPE transformer as a torch module: queries and keys are rotated; `models.rope` is the reference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from separatrix.models.rope import Affine, LayerNorm, RopeAttention, RopeTransformer


class RopeNet(nn.Module):
    """The model's arrays as parameters, one group a block; differentiable, softmax attention only where trained."""

    def __init__(self, model: RopeTransformer, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("theta", torch.tensor(model.theta, dtype=dtype))
        groups = []
        for block in model.blocks:
            names = {
                RopeAttention: ("query", "key", "value"),
                Affine: ("weight", "bias", "out", "out_bias"),
                LayerNorm: ("gain", "bias"),
            }[type(block)]
            arrays = {name: getattr(block, name) for name in names}
            groups.append(
                nn.ParameterDict(
                    {k: nn.Parameter(torch.tensor(v, dtype=dtype)) for k, v in arrays.items() if v is not None}
                )
            )
        self.groups = nn.ModuleList(groups)

    def rotate(self, x: Tensor) -> Tensor:
        """(batch, heads, n, d) with row i turned by i theta: then <q_i R_i^T, k_j R_j^T> = q_i R_(j-i) k_j."""
        theta = self.get_buffer("theta")
        angle = torch.arange(x.shape[2], dtype=theta.dtype, device=theta.device)[:, None] * theta
        even, odd = x[..., 0::2], x[..., 1::2]
        c, s = torch.cos(angle), torch.sin(angle)
        return torch.stack([even * c - odd * s, even * s + odd * c], dim=-1).flatten(-2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, d) -> (batch, n, d)."""
        for block, group in zip(self.model.blocks, self.groups, strict=True):
            if isinstance(block, RopeAttention):
                out = self._attend(block, group, x)
                x = out + x if block.residual else out
            elif isinstance(block, LayerNorm):
                centred = x - x.mean(dim=2, keepdim=True)
                scale = torch.sqrt((centred**2).mean(dim=2, keepdim=True) + block.eps)
                x = centred / scale * group["gain"] + group["bias"]  # pyright: ignore[reportIndexIssue]
            else:
                x = self._map(block, group, x)
        return x

    def _attend(self, block: RopeAttention, group: nn.Module, x: Tensor) -> Tensor:
        q, k, v = (torch.einsum("bid,hde->bhie", x, group[name]) for name in ("query", "key", "value"))  # pyright: ignore[reportIndexIssue]
        scores = self.rotate(q) @ self.rotate(k).transpose(2, 3)
        if self.model.mask == "causal":
            n = x.shape[1]
            later = torch.triu(torch.ones(n, n, dtype=torch.bool, device=x.device), 1)
            scores = scores.masked_fill(later, -torch.inf)
        if block.weights == "softmax":
            weights = torch.softmax(scores, dim=3)
        else:
            top = scores == scores.amax(dim=3, keepdim=True)
            if block.weights == "unique-hard":
                top = top & (top.cumsum(dim=3) == 1)
            weights = top.to(x.dtype) / top.sum(dim=3, keepdim=True)
        return (weights @ v).sum(dim=1)

    def _map(self, block: Affine, group: nn.Module, x: Tensor) -> Tensor:
        out = x @ group["weight"] + group["bias"]  # pyright: ignore[reportIndexIssue]
        if block.out is not None:
            out = torch.relu(out) @ group["out"]  # pyright: ignore[reportIndexIssue]
            out = out + group["out_bias"] if block.out_bias is not None else out  # pyright: ignore[reportIndexIssue]
        return out + x if block.residual else out
