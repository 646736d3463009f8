"""Stored integers of 2^53 and more, which float64 rounds: a check that reads them as floats must not decide."""

from __future__ import annotations

import numpy as np
import pytest

from kernel.test_real_outputs import built
from kernel.test_stored import certificate as stored
from separatrix.can import registry
from separatrix.core.arch import Arch, Attention, Linear, Readout, Table
from separatrix.core.errors import UnknownError
from separatrix.core.semantics import Semantics
from separatrix.kernel import judge
from separatrix.kernel.real_outputs import worst_error
from separatrix.models.model import Model
from separatrix.numbers.integers import integer_net
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.prefix_sums import PrefixSums


def test_positions_of_real_models() -> None:
    """A position of 2^53 + 1 that one head copies and the bias takes back as 2^53 is an error of 1."""
    task, n = PrefixSums(eps=0.5), 2
    model = built(task, n)
    arch = Arch(model.arch.width, Linear(1, n), (Attention(1, 1, 1, scale=1.0),), Readout(1, "reals"))
    d = arch.width
    tensors = {
        "embed.linear": np.zeros((1, d)),
        "embed.position": np.full((n, d), 2**53 + 1, dtype=np.int64),
        "layers.0.query": np.zeros((1, d, 1)),
        "layers.0.key": np.zeros((1, d, 1)),
        "layers.0.value": np.eye(d, 1)[None],
        "layers.0.output": np.ones((1, 1, d)),
        "readout.weight": np.eye(d, 1),
        "readout.bias": np.array([-(2.0**53)]),
    }
    with pytest.raises(UnknownError, match="stored integer"):
        worst_error(task, n, arch, tensors)
    # as the task asks: small integers are read
    worst_error(task, n, arch, {**tensors, "embed.position": np.full((n, d), 3, dtype=np.int64)})


def test_read_out_of_a_store() -> None:
    task, n = IndexLookup(2), 4
    model = registry.get("index-lookup-store").build(task, n)
    assert judge(stored(task, model, n, ""), model.arch, model.tensors).accepted
    weights = np.round(model.tensors["layers.0.out"]).astype(np.int64)
    weights[0, 0] = 2**53 + 1
    changed = Model(model.arch, {**model.tensors, "layers.0.out": weights})
    assert judge(stored(task, changed, n, ""), changed.arch, changed.tensors).exit_code == 3


def test_tables_of_quantised_models() -> None:
    """2^53 + 1 and -2^53 add up to 1."""
    arch = Arch(1, Table(2, 1), (Attention(1, 1, 1),), Readout(2))
    tensors = {
        "embed.token": np.full((2, 1), 2**53 + 1, dtype=np.int64),
        "embed.position": np.full((1, 1), -(2**53), dtype=np.int64),
        **{f"layers.0.{name}": np.ones((1, 1, 1)) for name in ("query", "key", "value", "output")},
        "readout.weight": np.ones((1, 2)),
        "readout.bias": np.zeros(2),
    }
    spec = Semantics.parse("bits:8.0,scores:6.0").bits
    assert spec is not None
    with pytest.raises(UnknownError, match="stored integer"):
        integer_net(arch, tensors, 1, spec)
    near = {**tensors, "embed.token": np.full((2, 1), 2**53 - 1, dtype=np.int64)}
    near["embed.position"] = np.full((1, 1), 2 - 2**53, dtype=np.int64)
    assert integer_net(arch, near, 1, spec).rows.tolist() == [[[1], [1]]]
