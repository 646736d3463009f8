"""A model: its architecture and its tensors, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, HigherOrder, LayerNorm, PointerSet, Strassen
from separatrix.core.certificate import ModelReference
from separatrix.core.config import AnyArch, read_config
from separatrix.core.errors import InputError
from separatrix.core.files import (
    canonical_json,
    read_bytes,
    sha256,
    strict_json,
    tensors_from_bytes,
    tensors_to_bytes,
    write_atomically,
)
from separatrix.core.kernelised import Kernelised
from separatrix.core.mixers import DeltaNet, LinearAttention, Retention
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.core.recurrent import FixedPoint, Recurrent
from separatrix.core.shapes import check_tensors
from separatrix.core.size import Precision, Size

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True)
class Model:
    """`tensors` has exactly the names and shapes that `arch` asks for (`core.shapes`); InputError otherwise."""

    arch: AnyArch
    tensors: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        self.arch.check()
        check_tensors(self.arch, self.tensors)

    def save(self, folder: Path) -> None:
        """Writes model.safetensors and config.json, each atomically."""
        write_atomically(folder / WEIGHTS, tensors_to_bytes(self.tensors))
        write_atomically(folder / CONFIG, canonical_json(self.arch.to_config()))

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Reads a model folder; InputError for anything missing, malformed, misshapen or not finite."""
        if not folder.is_dir():
            raise InputError(f"{folder}: a model is a folder with {WEIGHTS} and {CONFIG}")
        config = strict_json(read_bytes(folder / CONFIG), str(folder / CONFIG))
        tensors = tensors_from_bytes(read_bytes(folder / WEIGHTS), str(folder / WEIGHTS))
        return cls(read_config(config), tensors)

    def reference(self) -> ModelReference:
        """File names and hashes as `save` writes them."""
        weights, config = tensors_to_bytes(self.tensors), canonical_json(self.arch.to_config())
        return ModelReference(WEIGHTS, sha256(weights), CONFIG, sha256(config))

    @property
    def transformer(self) -> Arch:
        """The architecture of a transformer; InputError for a recurrent model."""
        if not isinstance(self.arch, Arch):
            raise InputError(f"a transformer is needed here; this model is {self.arch.kind}")
        return self.arch

    def size(self, tokens: int, precision: Precision | None = None) -> Size:
        """The components of the size; `tokens` is the length of the input, without the model's own blank.

        A recurrent model whose state is rounded has the precision of its state where none is given.
        """
        if isinstance(self.arch, Recurrent):
            if precision is None and isinstance(self.arch.state, FixedPoint):
                precision = Precision(self.arch.state.bits, "fixed")
            return Size(
                layers=len(self.arch.layers),
                width=self.arch.width,
                tokens=tokens,
                state_numbers=self.arch.state_numbers,
                parameters=sum(tensor.size for tensor in self.tensors.values()),
                precision=precision,
            )
        if isinstance(self.arch, Positional | Numeric):
            layers = self.arch.layers
            return Size(
                layers=len(layers),
                heads=max(layer.heads for layer in layers),
                width=self.arch.width,
                key_width=max(layer.key_width for layer in layers),
                value_width=max(layer.value_width for layer in layers),
                tokens=self.arch.nodes,
                parameters=sum(tensor.size for tensor in self.tensors.values()),
                precision=precision,
            )
        attention = [
            layer for layer in self.arch.layers if isinstance(layer, Attention | HigherOrder | Strassen | Kernelised)
        ]
        other = any(not isinstance(layer, Attention) for layer in attention)  # nothing is known of what crosses a cut
        return Size(
            layers=len(attention),
            heads=max((layer.heads for layer in attention), default=0),
            width=self.arch.width,
            key_width=max((layer.key_width for layer in attention), default=0),
            value_width=max((layer.value_width for layer in attention), default=0),
            tokens=None if other else tokens + self.arch.blank,
            parameters=sum(tensor.size for tensor in self.tensors.values()),
            precision=precision,
        )

    def __str__(self) -> str:
        if isinstance(self.arch, Positional | Numeric):
            return _describe_positional(self.arch)
        recurrent = isinstance(self.arch, Recurrent)
        lines = [f"{self.arch.kind}, width {self.arch.width}"]
        for name, start, stop in self.arch.residual:
            lines.append(f"  {'state' if recurrent else 'stream'} {start:>5}..{stop - 1:<5} {name}")
        for i, layer in enumerate(self.arch.layers):
            lines.append(f"  layer {i}: {layer.kind}, " + _describe(layer))
        first = self.arch.first
        lines.append(f"  first map: {first.kind}" + (f" ({first.query})" if isinstance(first, PointerSet) else ""))
        lines.append(f"  read-out: {self.arch.readout.decision} of {self.arch.readout.outputs}")
        return "\n".join(lines)


def _describe_positional(arch: Positional | Numeric) -> str:
    lines = [f"{arch.kind} transformer, {arch.nodes} nodes ({arch.sinks} of its own), width {arch.width}"]
    for i, layer in enumerate(arch.layers):
        lines.append(f"  layer {i}: {layer.heads} head(s), hidden widths {', '.join(map(str, layer.hidden))}")
    return "\n".join(lines)


def _describe(layer: object) -> str:
    if isinstance(layer, LayerNorm):
        return f"eps {layer.eps:g}, {'with' if layer.bias else 'no'} bias"
    if isinstance(layer, Attention | HigherOrder | Strassen | Kernelised):
        return f"{layer.heads} head(s), key width {layer.key_width}, value width {layer.value_width}"
    if isinstance(layer, FeedForward):
        return f"hidden width {layer.hidden}"
    if isinstance(layer, LinearAttention | Retention | DeltaNet):
        return f"{layer.heads} head(s), key width {layer.key_width}, value width {layer.value_width}"
    return f"{layer.units} units"  # pyright: ignore[reportAttributeAccessIssue]
