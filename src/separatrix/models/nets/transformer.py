"""The torch form of a transformer: the same tensors under the same names, differentiable, on any device.

Line by line the counterpart of `models.evaluate`, which stays the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, layer_norm

from separatrix.core.arch import Arch, Attention, FeedForward, HigherOrder, Linear, PointerSet, Strassen, Table
from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised
from separatrix.core.shapes import tensor_shapes
from separatrix.models.nets.kernelised import kernelised_attention
from separatrix.models.nets.pointers import pointer_queries
from separatrix.models.nets.strassen import sides
from separatrix.models.nets.third_order import third_order_attention


def trains(name: str, tensor: Tensor) -> bool:
    """Whether a tensor is a weight: the eps of a layer norm is none, and integers have no gradient."""
    return tensor.is_floating_point() and not name.endswith(".norm_eps")


class Transformer(nn.Module):
    """An `Arch` with one parameter for each tensor of `core.shapes`.

    Attributes:
        arch: the architecture, unchanged.
        names: stored tensor name -> parameter name (torch allows no dots in the latter).
    """

    def __init__(self, arch: Arch, tensors: Mapping[str, Tensor]) -> None:
        """Takes the tensors as they are, dtypes included; integer tensors become parameters without gradient.

        Raises InputError for a moment-curve first map and for missing, unknown or misshapen tensors.
        """
        super().__init__()
        first = arch.first
        if any(isinstance(layer, HigherOrder) and layer.order > 3 for layer in arch.layers):
            raise InputError("the torch modules have no attention over triples of tokens or more; use models.evaluate")
        if isinstance(first, PointerSet) and "moment" in (first.keys, first.query):
            raise InputError(
                "moment-curve keys are exact integers of any size, which torch does not have; "
                "evaluate this model with separatrix.models.evaluate"
            )
        shapes = tensor_shapes(arch)
        if wrong := sorted(set(shapes) ^ set(tensors)):
            raise InputError(f"tensors {', '.join(map(repr, wrong))} are unknown or missing for this architecture")
        self.arch = arch
        self.names = {name: name.replace(".", "__") for name in shapes}
        for name, shape in shapes.items():
            tensor = tensors[name]
            if tuple(tensor.shape) != shape:
                raise InputError(f"tensor {name!r} has shape {tuple(tensor.shape)}; the architecture asks for {shape}")
            self.register_parameter(self.names[name], nn.Parameter(tensor, trains(name, tensor)))

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
        """Outputs before any argmax.

        Args:
            tokens: (batch, positions) ids, or (batch, positions, q) pointers; integers.
            reals: (batch, positions, dim), where the model reads real parts.
            queries: positions to read out; all by default.

        Returns:
            (batch, queries, outputs) in `self.dtype`.
        """
        return self._through(self._embed(tokens, reals), tokens.shape[1], queries)

    def outputs(self, x: Tensor, queries: Sequence[int] | None = None) -> Tensor:
        """The same from token vectors (batch, positions, width) in place of ids, for gradients with respect to them."""
        return self._through(self._placed(x), x.shape[1], queries)

    def _through(self, x: Tensor, length: int, queries: Sequence[int] | None) -> Tensor:
        everywhere = torch.arange(x.shape[1], device=x.device)
        wanted = everywhere[:length] if queries is None else torch.tensor(list(queries), device=x.device)
        last = len(self.arch.layers) - 1
        for i, layer in enumerate(self.arch.layers):
            at = wanted if i == last else everywhere
            kept = x[:, at]
            if isinstance(layer, Attention):
                out = self._attend(i, layer, self._read(i, layer, x), at)
            elif isinstance(layer, HigherOrder | Strassen):
                out = self._pairs(i, layer, x, at)
            elif isinstance(layer, Kernelised):
                out = self._relative(i, layer, x, at)
            elif isinstance(layer, FeedForward):
                out = self._feed(i, layer, self._read(i, layer, kept))
            else:
                bias = self._tensor(f"layers.{i}.bias") if layer.bias else None
                out = layer_norm(kept, kept.shape[-1:], self._tensor(f"layers.{i}.scale"), bias, layer.eps)
            x = out + kept if layer.residual else out
        return x @ self._tensor("readout.weight") + self._tensor("readout.bias")

    def _tensor(self, name: str) -> Tensor:
        return self.get_parameter(self.names[name]).to(self.dtype)

    def _embed(self, tokens: Tensor, reals: Tensor | None) -> Tensor:
        """(batch, positions [+ 1 for the blank], width)."""
        first, length = self.arch.first, tokens.shape[1]
        if isinstance(first, Table):
            return self._placed(embedding(tokens, self._tensor("embed.token")))
        if reals is None:
            raise InputError("this model reads real parts, and none were given")
        if isinstance(first, Linear):
            x = reals.to(self.dtype) @ self._tensor("embed.linear") + self._rows("embed.position", length)
        else:
            keys = self._tensor("embed.keys")
            own = self._rows("embed.keys", length).expand(len(tokens), -1, -1)
            queries = pointer_queries(first, keys, tokens) * self._tensor("embed.temperature")
            x = torch.cat([reals.to(self.dtype), own, queries], dim=2)
        return self._with_blank(x)

    def _placed(self, x: Tensor) -> Tensor:
        """Token vectors with the vectors of their positions, and the model's own token."""
        if isinstance(self.arch.first, Table) and self.arch.first.positions:
            x = x + self._rows("embed.position", x.shape[1])
        return self._with_blank(x)

    def _with_blank(self, x: Tensor) -> Tensor:
        if not self.arch.blank:
            return x
        return torch.cat([x, self._tensor("embed.blank").expand(len(x), 1, -1)], dim=1)

    def _rows(self, name: str, length: int) -> Tensor:
        table = self._tensor(name)
        if length > len(table):
            raise InputError(f"the input has {length} positions; the model has {len(table)}")
        return table[:length]

    def _read(self, i: int, layer: Attention | FeedForward, x: Tensor) -> Tensor:
        """What the layer reads of the stream: itself, or its layer norm."""
        if layer.norm == "none":
            return x
        scale, bias, eps = (self._tensor(f"layers.{i}.norm_{name}") for name in ("scale", "bias", "eps"))
        return layer_norm(x, x.shape[-1:], scale, bias, eps.item())

    def _attend(self, i: int, layer: Attention, x: Tensor, at: Tensor) -> Tensor:
        """(batch, queries, width): what the heads write at the positions `at` of the stream x.

        Where few positions ask, W_K and W_V are applied to their side: keys and values of all positions are not built.
        """
        key, value = self._tensor(f"layers.{i}.key"), self._tensor(f"layers.{i}.value")
        q = torch.einsum("bqd,hdm->bhqm", x[:, at], self._tensor(f"layers.{i}.query"))
        stream, few = x[:, None], len(at) <= min(layer.key_width, layer.value_width) // 2
        if few:
            scores = torch.einsum("bhqm,hdm->bhqd", q, key) @ stream.transpose(2, 3)
        else:
            scores = q @ torch.einsum("bjd,hdm->bhjm", x, key).transpose(2, 3)
        scores = scores * layer.scale
        if layer.mask == "causal":
            later = torch.arange(x.shape[1], device=x.device) > at[:, None]
            scores = scores.masked_fill(later, -torch.inf)
        weights = torch.softmax(scores, dim=3)
        if few:
            heads = torch.einsum("bhqd,hdv->bhqv", weights @ stream, value)
        else:
            heads = weights @ torch.einsum("bjd,hdv->bhjv", x, value)
        return torch.einsum("bhqv,hvd->bqd", heads, self._tensor(f"layers.{i}.output"))

    def _pairs(self, i: int, layer: HigherOrder | Strassen, x: Tensor, at: Tensor) -> Tensor:
        """(batch, queries, width): what heads over pairs of tokens write at the positions `at` of the stream x."""
        query, keys, values, output = (
            self._tensor(f"layers.{i}.{name}") for name in ("query", "keys", "values", "output")
        )
        out = torch.zeros(1, 1, x.shape[2], dtype=x.dtype, device=x.device)
        for h in range(layer.heads):
            q, (g, k), (v, w) = x[:, at] @ query[h] * layer.scale, (x @ m[h] for m in keys), (x @ m[h] for m in values)
            if isinstance(layer, HigherOrder):
                out = out + third_order_attention(q, g, k, v, w) @ output[h]
            else:
                across = g @ k.transpose(1, 2) * layer.scale
                out = out + sides(q @ g.transpose(1, 2), across, q @ k.transpose(1, 2), v, w) @ output[h]
        return out

    def _relative(self, i: int, layer: Kernelised, x: Tensor, at: Tensor) -> Tensor:
        """(batch, queries, width): what kernelised heads write at the positions `at` of the stream x."""
        q, k, v = (
            torch.einsum("bjd,hdm->bhjm", part, self._tensor(f"layers.{i}.{name}"))
            for part, name in ((x[:, at], "query"), (x, "key"), (x, "value"))
        )
        bias = self._tensor(f"layers.{i}.relative_bias")
        heads = kernelised_attention(layer, q[None], k[None], v[None], bias[None], at.tolist())[0]
        return torch.einsum("bhqv,hvd->bqd", heads, self._tensor(f"layers.{i}.output"))

    def _feed(self, i: int, layer: FeedForward, x: Tensor) -> Tensor:
        """(batch, queries, width): what the hidden layer writes."""
        assert layer.activation == "relu"
        hidden = torch.relu(x @ self._tensor(f"layers.{i}.in") + self._tensor(f"layers.{i}.in_bias"))
        return hidden @ self._tensor(f"layers.{i}.out") + self._tensor(f"layers.{i}.out_bias")
