"""What people train first: one softmax layer on learned token and position vectors, and its random first weights."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from separatrix.core.arch import (
    Arch,
    Attention,
    FeedForward,
    HigherOrder,
    LayerNorm,
    PointerSet,
    Readout,
    Strassen,
    Table,
)
from separatrix.core.config import AnyArch
from separatrix.core.domain import PointerSets, RealAnswer
from separatrix.core.errors import InputError
from separatrix.core.mixers import MIXERS
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.core.recurrent import Lstm
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.learn.families import own_start
from separatrix.models.model import Model

EPS = 1e-5  # of a layer norm
SPREAD = 0.3  # larger ones begin with sharp attention to wrong positions, from which some queries never return


def one_layer(
    task: Task,
    n: int,
    width: int,
    heads: int = 1,
    *,
    key_width: int | None = None,
    value_width: int | None = None,
    residual: bool = False,
    blank: bool = False,
    mlp: int = 0,
    mlp_residual: bool = True,
    norm: bool = False,
    pairs: Literal["", "third-order", "strassen"] = "",
) -> Arch:
    """One attention layer with scale 1 / sqrt(key_width), a ReLU layer of width `mlp` if any, and the read-out.

    Symbols are read from a table with learned positions. Pointer sets are read as (z ; key ; sum of the keys pointed
    at), with keys of width (width - dim) / 2. key_width and value_width are per head, width // heads by default.
    With `norm` each layer reads a layer norm of the stream, and so does the read-out. `pairs` names attention over
    pairs of tokens, which has no norm, in place of attention over tokens.

    >>> from separatrix.tasks import make_task
    >>> one_layer(make_task("index-lookup", {"symbols": 4}), 8, width=16).layers[0].scale
    0.25
    """
    if width < 1 or heads < 1 or width < heads:
        raise InputError(f"width = {width}, heads = {heads}; take at least one dimension a head")
    if pairs not in ("", "third-order", "strassen") or (pairs and norm):
        raise InputError(f"pairs = {pairs!r}, norm = {norm}; take third-order or strassen, without a norm, or neither")
    domain, outputs = task.domain(n), task.outputs()
    alphabet = domain.alphabets[0]
    if isinstance(alphabet, PointerSets):
        dim = domain.reals.dim if domain.reals else 0
        if width <= dim or (width - dim) % 2:
            raise InputError(f"width = {width}: {task.name} needs {dim} + 2 times the width of a pointer's key")
        first = PointerSet(alphabet.size, domain.positions, dim, (width - dim) // 2, query="sum")
    elif domain.reals is None:
        first = Table(domain.vocabulary, domain.positions)
    else:
        raise InputError(f"{task.name} has symbols and real parts; no standard model reads both")
    m, v = key_width or width // heads, value_width or width // heads
    pre: Literal["none", "pre"] = "pre" if norm else "none"
    scale = 1.0 / math.sqrt(m)
    layers: list[Attention | FeedForward | LayerNorm | HigherOrder | Strassen] = []
    if pairs == "third-order":
        layers.append(HigherOrder(heads, m, v, scale=scale, residual=residual))
    elif pairs == "strassen":
        layers.append(Strassen(heads, m, v, scale=scale, residual=residual))
    else:
        layers.append(Attention(heads, m, v, scale=scale, norm=pre, residual=residual))
    if mlp:
        layers.append(FeedForward(mlp, norm=pre, residual=mlp_residual))
    if norm:
        layers.append(LayerNorm(EPS))
    if isinstance(outputs, RealAnswer):
        readout = Readout(outputs.dim, "reals")
    else:
        readout = Readout(outputs.k)
    arch = Arch(width, first, tuple(layers), readout, blank)
    arch.check()
    return arch


def deep(
    task: Task,
    n: int,
    width: int,
    layers: int,
    heads: int = 1,
    *,
    hidden: int | None = None,
    mask: Literal["none", "causal"] = "none",
) -> Arch:
    """So many pairs of attention and a ReLU layer (of width `hidden`, 4 `width` by default), all with residual paths.

    Symbols are read from a table with learned positions; no layer norms, which ensembles do not have.

    >>> from separatrix.tasks import make_task
    >>> len(deep(make_task("k-hop", {"k": 2}), 8, 16, layers=3).layers)
    6
    """
    if layers < 1 or heads < 1 or width < heads:
        raise InputError(f"width = {width}, layers = {layers}, heads = {heads}; take one layer and dimension a head")
    domain, outputs = task.domain(n), task.outputs()
    if domain.reals is not None or isinstance(outputs, RealAnswer) or isinstance(domain.alphabets[0], PointerSets):
        raise InputError(f"{task.name} is not a task of symbols and labels; see one_layer")
    m = width // heads
    pair = (
        Attention(heads, m, m, mask=mask, scale=1.0 / math.sqrt(m), residual=True),
        FeedForward(hidden or 4 * width, residual=True),
    )
    arch = Arch(width, Table(domain.vocabulary, domain.positions), pair * layers, Readout(outputs.k))
    arch.check()
    return arch


def initialise(arch: AnyArch, rng: np.random.Generator, dtype: type = np.float32) -> Model:
    """Random first weights: stored vectors with entries of size SPREAD, matrices that keep it, biases 0.

    Entries of a matrix with r rows are normal with variance 1/r; temperatures begin at 1. Recurrent models start from
    the state 0 and forget little: the forget gates' bias is 1, and diagonals have absolute values from 0.9 to 1; for
    the rest of their numbers see `learn.families`. Models on nodes have one-hot positions where the table is square.
    """
    tensors: dict[str, np.ndarray] = {}
    for name, shape in tensor_shapes(arch).items():
        drawn = rng.standard_normal(shape)
        if name.endswith("temperature"):
            drawn = np.ones(shape)
        elif name.endswith(("bias", "start")):
            drawn = np.zeros(shape)
        elif name == "positions" and shape[0] == shape[1]:
            drawn = np.eye(shape[0])
        elif name.endswith("diagonal"):
            turn, size = np.pi * rng.random(shape[1]), 0.9 + 0.1 * rng.random(shape[1])
            drawn = np.stack([size * np.cos(turn), size * np.sin(turn)])
        elif name.endswith("scale"):
            drawn = np.ones(shape)
        elif name.endswith("norm_eps"):
            drawn = np.full(shape, EPS)
        else:
            rows = shape[-2] if len(shape) > 1 else 1
            drawn = drawn * (SPREAD if name.startswith("embed.") else 1.0 / math.sqrt(rows))
        tensors[name] = np.asarray(drawn, dtype=dtype)
    for i, layer in enumerate(arch.layers):
        if isinstance(layer, MIXERS):
            for name, tensor in ((name, tensors[name]) for name in tensors if name.startswith(f"layers.{i}.")):
                own = own_start(layer, name.split(".", 2)[2], tensor.shape, rng)
                tensors[name] = tensor if own is None else own.astype(dtype)
        if isinstance(layer, Lstm):
            tensors[f"layers.{i}.bias"][layer.units : 2 * layer.units] = 1.0
    return Model(arch, tensors)


def require_fit(task: Task, n: int, arch: AnyArch) -> None:
    """Raises InputError unless the model reads the task's inputs of length n and gives answers of its kind."""
    domain, outputs, first = task.domain(n), task.outputs(), arch.first
    if isinstance(first, Table):
        reads = first.vocabulary >= domain.vocabulary and domain.reals is None and domain.vocabulary > 0
    elif isinstance(arch, Positional | Numeric):
        words = (arch.nodes - arch.sinks, arch.reals)
        reads = domain.reals is not None and words == (domain.positions, domain.reals.dim) and domain.vocabulary <= 1
    elif isinstance(first, PointerSet):
        alphabet = domain.alphabets[0]
        reads = isinstance(alphabet, PointerSets) and first.pointers == alphabet.size
        reads = reads and domain.reals is not None and first.reals == domain.reals.dim
    else:
        assert first is not None, "only models on nodes have no first map"
        reads = domain.reals is not None and first.reals == domain.reals.dim
    if not reads or (first is not None and first.positions and first.positions < domain.positions):
        raise InputError(f"the architecture's first map does not read {task.name} at n = {n}; see learn.one_layer")
    asked = (outputs.dim, "reals") if isinstance(outputs, RealAnswer) else (outputs.k, "argmax")
    if (arch.readout.outputs, arch.readout.decision) != asked:
        raise InputError(f"{task.name} asks for {asked[0]} outputs by {asked[1]}; the read-out is {arch.readout}")
