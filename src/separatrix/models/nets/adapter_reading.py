"""What the adapters read of a PyTorch module: named parts as arrays, norms and ReLU layers as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from separatrix.core.errors import InputError
from separatrix.models.nets.adapter_layers import Mlp, Norm

Part = str | Tensor | nn.Module  # a dotted name inside the module, a tensor, or an nn.Linear or nn.Embedding


def norm_of(module: nn.Module, part: str | nn.Module | None, name: str, found: list[Tensor]) -> Norm | None:
    """An nn.LayerNorm as numbers; its parameters are added to what was found."""
    if part is None:
        return None
    norm = dict(module.named_modules()).get(part) if isinstance(part, str) else part
    if not isinstance(norm, nn.LayerNorm):
        what = f"the module has no {part!r}" if norm is None else f"a {type(norm).__name__} is no nn.LayerNorm"
        raise InputError(f"{name}: {what}, which is what is handled")
    found.extend(t for t in (norm.weight, norm.bias) if t is not None)
    scale = np.ones(norm.normalized_shape) if norm.weight is None else array(norm.weight, name)
    return Norm(scale, None if norm.bias is None else array(norm.bias, name), float(norm.eps))


def mlp_of(w_in: Any, b_in: Any, w_out: Any, b_out: Any, residual: bool) -> Mlp | None:
    """The two matrices (F, d) and (d, F) with their biases as a layer; None where there is none."""
    if w_in is None:
        return None
    if w_in.ndim != 2 or w_out.ndim != 2:
        raise InputError("hidden and back must be matrices")
    b_in = np.zeros(len(w_in), dtype=w_in.dtype) if b_in is None else b_in
    b_out = np.zeros(len(w_out), dtype=w_out.dtype) if b_out is None else b_out
    return Mlp(w_in.T, b_in, w_out.T, b_out, residual)


def wider(rows: np.ndarray, column: float | np.ndarray) -> np.ndarray:
    """One column more, with this entry, or these."""
    last = np.asarray(column, dtype=rows.dtype) if np.ndim(column) == 0 else np.asarray(column)
    if last.ndim and last.shape != rows.shape[:1]:
        raise InputError(f"a bias has shape {last.shape}; {len(rows)} numbers are needed")
    return np.concatenate([rows, np.broadcast_to(last, len(rows))[:, None]], axis=1)


def pick(rows: np.ndarray, chosen: Sequence[int] | None, name: str) -> np.ndarray:
    """These rows, or all."""
    if chosen is None:
        return rows
    at = list(chosen)
    if not at or not all(0 <= i < len(rows) for i in at):
        raise InputError(f"{name}: there are rows 0 to {len(rows) - 1} to choose from")
    return rows[at]


def resolve(module: nn.Module, part: Part | None, name: str) -> tuple[Tensor | None, Tensor | None]:
    """(weight, bias) of a part; a name is looked up among parameters, buffers and submodules."""
    if isinstance(part, str):
        known: dict[str, Any] = {**dict(module.named_modules()), **dict(module.named_buffers())}
        known |= dict(module.named_parameters(remove_duplicate=False))
        if part not in known:
            raise InputError(f"{name}: the module has no part {part!r}")
        part = known[part]
    if part is None or isinstance(part, Tensor):
        return part, None
    if isinstance(part, nn.Embedding):
        if part.max_norm is not None:
            raise InputError(f"{name}: an nn.Embedding with max_norm changes its own rows, which is not handled")
        return part.weight, None
    if isinstance(part, nn.Linear):
        return part.weight, part.bias
    raise InputError(f"{name}: a {type(part).__name__} is neither a tensor nor an nn.Linear or nn.Embedding")


def array(tensor: Any, name: str) -> Any:
    """float64 or float32 as they are; shorter floats as float32, which holds them exactly; None stays None."""
    if tensor is None:
        return None
    if not tensor.is_floating_point():
        raise InputError(f"{name} holds {tensor.dtype}; floating-point numbers are needed")
    wide = tensor.detach().cpu().to(torch.float64 if tensor.dtype == torch.float64 else torch.float32)
    return wide.numpy().copy()
