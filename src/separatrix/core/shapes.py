"""Which tensors an architecture has, and the check that a file's tensors are those."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import Attention, HigherOrder, LayerNorm, Linear, PointerSet, Strassen, Table
from separatrix.core.config import AnyArch
from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised
from separatrix.core.numeric import Numeric, numeric_shapes
from separatrix.core.positional import Positional, positional_shapes
from separatrix.core.recurrent import Recurrent, recurrent_shapes

DTYPES = ("float64", "float32", "int64")


def tensor_shapes(arch: AnyArch) -> dict[str, tuple[int, ...]]:
    """Name and shape of every stored tensor; weights act on row vectors from the right (x @ W)."""
    if isinstance(arch, Recurrent):
        return recurrent_shapes(arch)
    if isinstance(arch, Positional):
        return positional_shapes(arch)
    if isinstance(arch, Numeric):
        return numeric_shapes(arch)
    d, first = arch.width, arch.first
    shapes: dict[str, tuple[int, ...]] = {}
    match first:
        case Table():
            shapes["embed.token"] = (first.vocabulary, d)
            if first.positions:
                shapes["embed.position"] = (first.positions, d)
        case Linear():
            shapes["embed.linear"] = (first.reals, d)
            shapes["embed.position"] = (first.positions, d)
        case PointerSet(keys="moment"):
            shapes["embed.nodes"] = (first.positions,)
            shapes["embed.temperature"] = ()
        case PointerSet():
            shapes["embed.keys"] = (first.positions, first.key_width)
            shapes["embed.temperature"] = ()
    if arch.blank:
        shapes["embed.blank"] = (d,)
    for i, layer in enumerate(arch.layers):
        if isinstance(layer, LayerNorm):
            shapes |= {f"layers.{i}.scale": (d,)} | ({f"layers.{i}.bias": (d,)} if layer.bias else {})
            continue
        if layer.norm == "pre":
            shapes |= {f"layers.{i}.norm_scale": (d,), f"layers.{i}.norm_bias": (d,), f"layers.{i}.norm_eps": ()}
        if isinstance(layer, Attention | Kernelised):
            h, m, v = layer.heads, layer.key_width, layer.value_width
            shapes |= {f"layers.{i}.query": (h, d, m), f"layers.{i}.key": (h, d, m)}
            shapes |= {f"layers.{i}.value": (h, d, v), f"layers.{i}.output": (h, v, d)}
            if isinstance(layer, Kernelised):
                shapes[f"layers.{i}.relative_bias"] = (h, layer.gaps)
        elif isinstance(layer, HigherOrder | Strassen):
            h, m, v, tuple_ = layer.heads, layer.key_width, layer.value_width, layer.order - 1
            shapes |= {f"layers.{i}.query": (h, d, m), f"layers.{i}.keys": (tuple_, h, d, m)}
            shapes |= {f"layers.{i}.values": (tuple_, h, d, v), f"layers.{i}.output": (h, v, d)}
        else:
            shapes |= {f"layers.{i}.in": (d, layer.hidden), f"layers.{i}.in_bias": (layer.hidden,)}
            shapes |= {f"layers.{i}.out": (layer.hidden, d), f"layers.{i}.out_bias": (d,)}
    shapes["readout.weight"] = (d, arch.readout.outputs)
    shapes["readout.bias"] = (arch.readout.outputs,)
    return shapes


def check_tensors(arch: AnyArch, tensors: Mapping[str, np.ndarray]) -> None:
    """Raises InputError unless `tensors` has exactly the tensors of `arch`, of a known dtype, all finite."""
    shapes = tensor_shapes(arch)
    if wrong := sorted(set(shapes) ^ set(tensors)):
        raise InputError(f"tensors {', '.join(map(repr, wrong))} are unknown or missing for this config")
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            raise InputError(f"tensor {name!r} has shape {tensor.shape}; the config asks for {shape}")
        if tensor.dtype.name not in DTYPES:
            raise InputError(f"tensor {name!r} is {tensor.dtype.name}; known are {', '.join(DTYPES)}")
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise InputError(f"tensor {name!r} holds a NaN or an infinity")
        if name.endswith(".norm_eps") and not tensor > 0:
            raise InputError(f"tensor {name!r} is {tensor}; the eps of a layer norm must be positive")
