"""Ensembles of recurrent models: input maps for all positions at once, then one batched step a position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from separatrix.core.errors import InputError
from separatrix.core.mixers import MIXERS, Dense
from separatrix.core.recurrent import DiagonalSsm, Elman, Exact, Gru, Lstm, Recurrent
from separatrix.models.nets.ensembles.mixers import mixer_outputs
from separatrix.models.nets.ensembles.parts import exactly, first_rows, mapped, read_out, table_rows
from separatrix.models.nets.ensembles.scans import LinearScan


def recurrent_outputs(
    arch: Recurrent, t: Mapping[str, Tensor], tokens: Tensor, queries: Sequence[int] | None
) -> Tensor:
    """(members, batch, queries, outputs)."""
    if not isinstance(arch.state, Exact):
        raise InputError("ensembles train models whose state is not rounded")
    x = table_rows(t["embed.token"], tokens)
    if arch.first.positions:
        x = x + first_rows(t["embed.position"], tokens.shape[2])
    last = [0, *(i for i, layer in enumerate(arch.layers) if not isinstance(layer, Dense))][-1]
    for i, layer in enumerate(arch.layers):  # behind the last one that looks back, only what is asked for goes on
        own = {name.removeprefix(f"layers.{i}."): value for name, value in t.items() if name.startswith(f"layers.{i}.")}
        if isinstance(layer, MIXERS):
            at = queries if i >= last else None
            x, queries = mixer_outputs(layer, own, x, at), queries if at is None else None
            continue
        drive = mapped(x, own["in"], own["bias"])
        match layer:
            case DiagonalSsm():
                states = exactly(partial(_diagonal, layer, own), drive)
                x = torch.relu(mapped(states, own["out"], own["out_bias"]) + mapped(x, own["skip"]))
            case Elman():
                x = exactly(partial(_elman, layer, own), drive)
            case Lstm():
                x = exactly(partial(_lstm, layer, own), drive)
            case Gru():
                x = exactly(partial(_gru, layer, own), drive)
    return read_out(x, t, queries)


def _start(own: Mapping[str, Tensor], batch: int) -> Tensor:
    """(members, batch, state)."""
    return own["start"][:, None].expand(-1, batch, -1)


def _elman(layer: Elman, own: Mapping[str, Tensor], drive: Tensor) -> Tensor:
    h, states = _start(own, drive.shape[1]), []
    act = torch.relu if layer.activation == "relu" else torch.tanh
    for d in drive.unbind(2):  # never drive[:, :, j]: its backward fills a whole tensor a step
        h = act(torch.baddbmm(d, h, own["recurrent"]))
        states.append(h)
    return torch.stack(states, dim=2)


def _lstm(layer: Lstm, own: Mapping[str, Tensor], drive: Tensor) -> Tensor:
    h, c = _start(own, drive.shape[1]).split(layer.units, dim=2)
    states = []
    for d in drive.unbind(2):
        enter, keep, candidate, leave = torch.baddbmm(d, h, own["recurrent"]).split(layer.units, dim=2)
        c = torch.sigmoid(keep) * c + torch.sigmoid(enter) * torch.tanh(candidate)
        h = torch.sigmoid(leave) * torch.tanh(c)
        states.append(h)
    return torch.stack(states, dim=2)


def _gru(layer: Gru, own: Mapping[str, Tensor], drive: Tensor) -> Tensor:
    u, h, states = layer.units, _start(own, drive.shape[1]), []
    for d in drive.unbind(2):
        back = torch.bmm(h, own["recurrent"])
        reset, update = torch.sigmoid(d[..., : 2 * u] + back[..., : 2 * u]).split(u, dim=2)
        inner = back[..., 2 * u :] + own["candidate_bias"][:, None]
        h = (1 - update) * torch.tanh(d[..., 2 * u :] + reset * inner) + update * h
        states.append(h)
    return torch.stack(states, dim=2)


def _diagonal(layer: DiagonalSsm, own: Mapping[str, Tensor], drive: Tensor) -> Tensor:
    """(members, batch, positions, 2 units) real parts, then imaginary parts."""
    u = layer.units
    turn = torch.complex(own["diagonal"][:, 0], own["diagonal"][:, 1])[:, None]
    start = _start(own, drive.shape[1])
    s = torch.complex(start[..., :u].contiguous(), start[..., u:].contiguous())
    inputs = torch.complex(drive[..., :u].contiguous(), drive[..., u:].contiguous())
    states = LinearScan.apply(turn, inputs, s)
    assert isinstance(states, Tensor)
    return torch.cat([states.real, states.imag], dim=3)
