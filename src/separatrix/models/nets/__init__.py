"""torch modules: `load` and `to_model` turn a Model into a module and back, bit for bit."""

from __future__ import annotations

import numpy as np
import torch

from separatrix.core.errors import InputError
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.core.recurrent import Recurrent
from separatrix.models.model import Model
from separatrix.models.nets.numeric import NumericTransformer
from separatrix.models.nets.positional import PositionalTransformer
from separatrix.models.nets.recurrent import RecurrentNet
from separatrix.models.nets.transformer import Transformer

__all__ = ["Net", "NumericTransformer", "PositionalTransformer", "RecurrentNet", "Transformer", "load", "to_model"]

Net = Transformer | RecurrentNet | PositionalTransformer | NumericTransformer


def load(model: Model, dtype: torch.dtype | None = None, device: str | torch.device = "cpu") -> Net:
    """The module with these very tensors.

    Args:
        dtype: torch.float32 or torch.float64 for every floating tensor; None keeps each tensor's own.
        device: where the parameters live; InputError when torch cannot use it.

    >>> from separatrix.core.arch import Arch, Attention, Readout, Table
    >>> from separatrix.core.shapes import tensor_shapes
    >>> arch = Arch(2, Table(3), (Attention(1, 1, 1),), Readout(2))
    >>> model = Model(arch, {name: np.ones(shape) for name, shape in tensor_shapes(arch).items()})
    >>> load(model)(torch.tensor([[0, 1]])).shape
    torch.Size([1, 2, 2])
    """
    if dtype not in (None, torch.float32, torch.float64):
        raise InputError(f"dtype {dtype} is not known here; take torch.float32 or torch.float64")
    place = usable(device)
    tensors = {}
    for name, array in model.tensors.items():
        tensor = torch.from_numpy(np.array(array, dtype=array.dtype.name))  # a copy, in native byte order
        tensors[name] = tensor.to(device=place, dtype=dtype if tensor.is_floating_point() else None)
    if isinstance(model.arch, Recurrent):
        return RecurrentNet(model.arch, tensors)
    if isinstance(model.arch, Positional):
        return PositionalTransformer(model.arch, tensors)
    if isinstance(model.arch, Numeric):
        return NumericTransformer(model.arch, tensors)
    return Transformer(model.arch, tensors)


def to_model(net: Net) -> Model:
    """The NumPy value with the module's present tensors, dtypes kept; the inverse of `load`."""
    tensors = {name: net.get_parameter(own).detach().cpu().numpy().copy() for name, own in net.names.items()}
    return Model(net.arch, tensors)


def usable(device: str | torch.device) -> torch.device:
    """The device by name; InputError when the name is unknown or this machine has no such device."""
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device {device!r} is not known to torch; take `cpu` or `cuda`") from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {str(device)!r}: torch finds no CUDA device here; take `cpu`")
    return place
