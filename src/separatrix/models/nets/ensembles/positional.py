"""Ensembles of positional transformers: attention once a member, not once a sample; the batch becomes columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
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
    members, batch, nodes, _ = x.shape
    place = t["positions"][:, None]
    scores = (place @ t[f"layers.{i}.query"]) @ (place @ t[f"layers.{i}.key"]).transpose(2, 3)
    weights = torch.softmax(scores * scale, dim=3)  # members head node node
    value = t[f"layers.{i}.value"]
    heads, v = value.shape[1], value.shape[3]
    carried = affine(x, value.transpose(1, 2).reshape(members, -1, heads * v)).unflatten(3, (heads, v))
    # members head node (batch v): one product for the whole batch
    columns = carried.permute(0, 3, 2, 1, 4).reshape(members, heads, nodes, batch * v)
    mixed = (weights @ columns).view(members, heads, nodes, batch, v).permute(0, 3, 2, 1, 4)
    return affine(mixed.flatten(start_dim=3), t[f"layers.{i}.output"].flatten(start_dim=1, end_dim=2))
