"""Ensembles of positional transformers: attention once a member, not once a sample; the batch becomes columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from separatrix.core.errors import InputError
from separatrix.core.positional import Positional
from separatrix.models.nets.ensembles.parts import affine, read_out


def positional_outputs(
    arch: Positional, t: Mapping[str, Tensor], reals: Tensor | None, queries: Sequence[int] | None
) -> Tensor:
    """(members, batch, queries, outputs) from reals (members, batch, nodes - sinks, words)."""
    own = arch.nodes - arch.sinks
    if reals is None or tuple(reals.shape[2:]) != (own, arch.reals):
        raise InputError(f"this model reads {arch.reals} real words at each of {own} nodes")
    x = affine(pad(reals, (0, 0, 0, arch.sinks)), t["embed.linear"], t["embed.bias"])
    for i, layer in enumerate(arch.layers):
        got = _receive(i, layer.scale, t, x)
        x = torch.cat([got, x], dim=3) if layer.skip == "concatenate" else got + x
        for k in range(len(layer.hidden)):
            x = torch.relu(affine(x, t[f"layers.{i}.mlp.{k}.weight"], t[f"layers.{i}.mlp.{k}.bias"]))
        k = len(layer.hidden)
        x = affine(x, t[f"layers.{i}.mlp.{k}.weight"], t[f"layers.{i}.mlp.{k}.bias"])
    return read_out(x, t, range(own) if queries is None else queries)


def _receive(i: int, scale: float, t: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """(members, batch, nodes, width): what the heads deliver."""
    place = t["positions"][:, None]
    scores = (place @ t[f"layers.{i}.query"]) @ (place @ t[f"layers.{i}.key"]).transpose(2, 3)
    weights = torch.softmax(scores * scale, dim=3)  # members head node node
    out = Mixed.apply(x, weights, t[f"layers.{i}.value"], t[f"layers.{i}.output"])
    assert isinstance(out, Tensor)
    return out


class Mixed(torch.autograd.Function):
    """sum_h A_h x V_h O_h for patterns A that a batch shares, in three products each way and no copy between them.

    x (members, batch, nodes, d), A (members, heads, nodes, nodes), V (members, heads, d, v) and O (members, heads, v,
    e) make (members, batch, nodes, e); differentiable once. Values are held as columns, (heads v) x (batch nodes), so
    that each product finds its factors as they are or transposed, which costs nothing.
    """

    @staticmethod
    def forward(ctx, x: Tensor, patterns: Tensor, value: Tensor, output: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        rows, (members, heads, _, v), nodes = x.flatten(1, 2), value.shape, x.shape[2]
        columns = value.transpose(2, 3).reshape(members, heads * v, -1) @ rows.transpose(1, 2)
        mixed = columns.view(members, heads, -1, nodes) @ patterns.transpose(2, 3)
        out = mixed.view(members, heads * v, -1).transpose(1, 2) @ output.flatten(1, 2)
        ctx.save_for_backward(rows, patterns, value, output, columns, mixed)
        return out.view(*x.shape[:3], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        rows, patterns, value, output, columns, mixed = ctx.saved_tensors
        (members, heads, d, v), nodes = value.shape, patterns.shape[3]
        back = grad.flatten(1, 2)
        by_output = (mixed.view(members, heads * v, -1) @ back).view(output.shape)
        by_mixed = (output.flatten(1, 2) @ back.transpose(1, 2)).view(members, heads, -1, nodes)
        by_patterns = by_mixed.transpose(2, 3) @ columns.view(members, heads, -1, nodes)
        by_columns = (by_mixed @ patterns).view(members, heads * v, -1)
        by_value = (by_columns @ rows).view(members, heads, v, d).transpose(2, 3)
        by_x = by_columns.transpose(1, 2) @ value.transpose(2, 3).reshape(members, heads * v, d)
        return by_x.view(members, -1, nodes, d), by_patterns, by_value, by_output
