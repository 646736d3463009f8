"""The torch form of a recurrent model: the same tensors under the same names, differentiable, on any device.

Step by step the counterpart of `models.recurrent`, which stays the reference. Rounded states pass gradients through
as if they were not rounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from separatrix.core.errors import InputError
from separatrix.core.mixers import MIXERS
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Gru, Lstm, Recurrent
from separatrix.core.shapes import tensor_shapes
from separatrix.models.nets.ensembles.mixers import mixer_outputs


class RecurrentNet(nn.Module):
    """A `Recurrent` arch with one parameter for each tensor of `core.shapes`.

    Attributes:
        arch: the architecture, unchanged.
        names: stored tensor name -> parameter name (torch allows no dots in the latter).
    """

    def __init__(self, arch: Recurrent, tensors: Mapping[str, Tensor]) -> None:
        """Takes the tensors as they are, dtypes included; InputError for missing, unknown or misshapen ones.

        InputError too for a rounded state in layers of `core.mixers`, which are computed for all positions at once.
        """
        super().__init__()
        if isinstance(arch.state, FixedPoint) and any(isinstance(layer, MIXERS) for layer in arch.layers):
            raise InputError("states that are rounded step by step have no parallel form; use models.evaluate")
        shapes = tensor_shapes(arch)
        if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != shapes:
            raise InputError("the tensors' names and shapes are not those of this architecture")
        self.arch = arch
        self.names = {name: name.replace(".", "__") for name in shapes}
        for name in shapes:
            tensor = tensors[name]
            self.register_parameter(self.names[name], nn.Parameter(tensor, tensor.is_floating_point()))

    @property
    def dtype(self) -> torch.dtype:
        """What `forward` computes in: float32 when every floating parameter is, float64 otherwise."""
        kinds = {p.dtype for p in self.parameters() if p.is_floating_point()}
        return torch.float32 if kinds == {torch.float32} else torch.float64

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def forward(self, tokens: Tensor, reals: Tensor | None = None, queries: Sequence[int] | None = None) -> Tensor:
        """(batch, queries, outputs) before any argmax, in `self.dtype`; `tokens` (batch, positions) ids."""
        return self.outputs(embedding(tokens, self._tensor("embed.token")), queries)

    def outputs(self, x: Tensor, queries: Sequence[int] | None = None) -> Tensor:
        """The same from vectors (batch, positions, width) in place of tokens, for gradients with respect to them."""
        arch = self.arch
        if arch.first.positions:
            if x.shape[1] > arch.first.positions:
                raise InputError(f"the input has {x.shape[1]} positions; the model has {arch.first.positions}")
            x = x + self._tensor("embed.position")[: x.shape[1]]
        for i in range(len(arch.layers)):
            x = self._layer(i, x)
        if queries is not None:
            x = x[:, list(queries)]
        return x @ self._tensor("readout.weight") + self._tensor("readout.bias")

    def _tensor(self, name: str) -> Tensor:
        return self.get_parameter(self.names[name]).to(self.dtype)

    def _layer(self, i: int, x: Tensor) -> Tensor:
        """(batch, positions, width) what layer i hands on."""
        layer = self.arch.layers[i]
        if isinstance(layer, MIXERS):
            own = {n.split(".", 2)[2]: self._tensor(n)[None] for n in self.names if n.startswith(f"layers.{i}.")}
            return mixer_outputs(layer, own, x[None])[0]
        u, drive = layer.units, x @ self._tensor(f"layers.{i}.in") + self._tensor(f"layers.{i}.bias")
        state = self._rounded(self._tensor(f"layers.{i}.start")).expand(len(x), -1)
        back = None if isinstance(layer, DiagonalSsm) else self._tensor(f"layers.{i}.recurrent")
        states = []
        for d in drive.unbind(1):
            state = self._rounded(self._step(i, state, d, back))
            states.append(state)
        new = torch.stack(states, dim=1) if states else drive[:, :, :u]
        if isinstance(layer, DiagonalSsm):
            out, skip = self._tensor(f"layers.{i}.out"), self._tensor(f"layers.{i}.skip")
            return torch.relu(new @ out + x @ skip + self._tensor(f"layers.{i}.out_bias"))
        return new[:, :, :u]

    def _step(self, i: int, old: Tensor, drive: Tensor, back: Tensor | None) -> Tensor:
        """(batch, state) after a position."""
        layer = self.arch.layers[i]
        assert not isinstance(layer, MIXERS)
        u = layer.units
        if back is None:
            re, im = self._tensor(f"layers.{i}.diagonal")
            left, right = old[:, :u], old[:, u:]
            return torch.cat([re * left - im * right, re * right + im * left], dim=1) + drive
        match layer:
            case Elman():
                sums = drive + old @ back
                return torch.relu(sums) if layer.activation == "relu" else torch.tanh(sums)
            case Lstm():
                enter, keep, candidate, leave = (drive + old[:, :u] @ back).split(u, dim=1)
                cell = torch.sigmoid(keep) * old[:, u:] + torch.sigmoid(enter) * torch.tanh(candidate)
                return torch.cat([torch.sigmoid(leave) * torch.tanh(cell), cell], dim=1)
            case Gru():
                sums = old @ back
                reset, update = torch.sigmoid(drive[:, : 2 * u] + sums[:, : 2 * u]).split(u, dim=1)
                inner = sums[:, 2 * u :] + self._tensor(f"layers.{i}.candidate_bias")
                return (1 - update) * torch.tanh(drive[:, 2 * u :] + reset * inner) + update * old
        raise AssertionError(layer)

    def _rounded(self, state: Tensor) -> Tensor:
        grid = self.arch.state
        if not isinstance(grid, FixedPoint):
            return state
        top = 2.0 ** (grid.bits - 1)
        near = torch.clamp(torch.round(state * 2.0**grid.fraction), -top, top - 1) * 2.0**-grid.fraction
        return state + (near - state).detach() if state.requires_grad else near
