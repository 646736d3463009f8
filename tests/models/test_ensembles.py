"""Ensembles: every member is the plain evaluation of its own weights, gradients included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from separatrix.core.arch import (
    Arch,
    Attention,
    FeedForward,
    HigherOrder,
    Linear,
    PointerSet,
    Readout,
    Strassen,
    Table,
)
from separatrix.core.config import AnyArch
from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised
from separatrix.core.numeric import Numeric, NumericLayer
from separatrix.core.positional import Positional, PositionalLayer
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Gru, Lstm, Recurrent
from separatrix.core.shapes import tensor_shapes
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.models.nets import ensembles, load
from separatrix.models.nets.ensembles.positional import Mixed
from separatrix.models.nets.ensembles.scans import LinearScan

N, K, B = 7, 3, 4
DEEP = (Attention(2, 3, 4, mask="causal", scale=0.5, residual=True), FeedForward(9, residual=True), Attention(1, 4, 4))
TUPLES = (HigherOrder(2, 3, 4, scale=0.7, residual=True), FeedForward(9, residual=True), Strassen(2, 3, 5, scale=0.5))
ARCHS: dict[str, AnyArch] = {
    "transformer": Arch(12, Table(5, N), DEEP, Readout(3), blank=True),
    "linear": Arch(6, Linear(2, N), DEEP[:2], Readout(2, "reals")),
    "pointers": Arch(2 + 8, PointerSet(2, N, 2, 4, "sum"), DEEP[2:], Readout(2, "reals")),
    "third-order, then Strassen": Arch(12, Table(5, N), TUPLES, Readout(3), blank=True),
    "Strassen, then third-order": Arch(12, Table(5, N), TUPLES[::-1], Readout(3)),
    "kernelised": Arch(
        12,
        Table(5, N),
        (
            Kernelised(2, 3, 4, N + 3, residual=True),
            FeedForward(9, residual=True),
            Kernelised(1, 4, 4, N + 1, "causal"),
        ),
        Readout(3),
        blank=True,
    ),
    "recurrent": Recurrent(6, Table(5, N), (Elman(8), Lstm(5), Gru(4), DiagonalSsm(6, 7)), Readout(3)),
    "elman": Recurrent(6, Table(5), (Elman(8, "tanh"),), Readout(3)),
    "positional": Positional(
        8, 1, 2, 6, 8, (PositionalLayer(2, 3, 4, (5,)), PositionalLayer(1, 3, 4, (5, 4), "residual")), 2
    ),
    "standard": Numeric(
        8, 1, 2, 6, 8, True, (NumericLayer(2, 3, 4, (5,), scale=0.5), NumericLayer(1, 3, 2, (5, 4))), 2
    ),
    "rotary": Numeric(
        8, 1, 2, 6, 5, False, (NumericLayer(2, 4, 3, (5,), base=100.0), NumericLayer(1, 6, 3, (4,), "both", 10.0)), 2
    ),
    "hybrid": Numeric(8, 1, 2, 6, 5, False, (NumericLayer(2, 3, 4, (5,), "both", skip="residual"),), 2),
}


def draw(arch: AnyArch, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray | None]:
    rng = np.random.default_rng(seed)
    tensors = {name: rng.normal(size=(K, *shape)) * 0.4 for name, shape in tensor_shapes(arch).items()}
    if isinstance(arch, Positional | Numeric) or isinstance(arch.first, Linear):
        return tensors, np.zeros((K, B, N), dtype=np.int64), rng.normal(size=(K, B, N, 2))
    if isinstance(arch.first, PointerSet):
        sets = np.sort(rng.random((K, B, N, N)).argsort(axis=3)[..., :2], axis=3)
        return tensors, sets, rng.normal(size=(K, B, N, 2))
    return tensors, rng.integers(0, 5, (K, B, N)), None


@pytest.mark.parametrize("name", ARCHS)
@pytest.mark.parametrize("queries", [None, [1, 4], [3, 0, 1, 6, 5, 0, 2]])
def test_members_equal_the_reference(name: str, queries: list[int] | None) -> None:
    arch = ARCHS[name]
    tensors, tokens, reals = draw(arch, 0)
    given = {key: torch.from_numpy(value) for key, value in tensors.items()}
    parts = None if reals is None else torch.from_numpy(reals)
    found = ensembles.outputs(arch, given, torch.from_numpy(tokens), parts, queries).numpy()
    for k in range(K):
        model = Model(arch, {key: value[k] for key, value in tensors.items()})
        expected = evaluate(model, tokens[k], None if reals is None else reals[k], queries)
        assert expected.std() > 1e-3
        np.testing.assert_allclose(found[k], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ARCHS)
def test_gradients_equal_those_of_one_model(name: str) -> None:
    arch = ARCHS[name]
    tensors, tokens, reals = draw(arch, 1)
    given = {key: torch.from_numpy(value).requires_grad_() for key, value in tensors.items()}
    parts = None if reals is None else torch.from_numpy(reals)
    (ensembles.outputs(arch, given, torch.from_numpy(tokens), parts) ** 2).sum().backward()
    for k in range(K):
        net = load(Model(arch, {key: value[k] for key, value in tensors.items()}))
        (net(torch.from_numpy(tokens[k]), None if parts is None else parts[k]) ** 2).sum().backward()
        for key, own in net.names.items():
            gradient, mine = net.get_parameter(own).grad, given[key].grad
            if gradient is not None and mine is not None:
                np.testing.assert_allclose(mine[k].numpy(), gradient.numpy(), rtol=1e-9, atol=1e-10)


def test_the_scan_has_the_right_gradient() -> None:
    torch.manual_seed(0)
    shapes = ((2, 1, 3), (2, 4, 5, 3), (2, 4, 3))
    given = [torch.randn(*shape, dtype=torch.complex128, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(LinearScan.apply, given)


def test_mixing_by_shared_patterns_has_the_right_gradient() -> None:
    torch.manual_seed(0)
    shapes = ((2, 3, 4, 5), (2, 2, 4, 4), (2, 2, 5, 3), (2, 2, 3, 6))
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    x, patterns, value, output = given
    heads = torch.einsum("mhij,mbjd,mhdv,mhve->mbie", patterns, x, value, output)
    torch.testing.assert_close(Mixed.apply(*given), heads, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(Mixed.apply, given)


def test_plain_errors() -> None:
    tensors, tokens, _ = draw(ARCHS["elman"], 0)
    given = {key: torch.from_numpy(value) for key, value in tensors.items()}
    rounded = Recurrent(6, Table(5), (Elman(8, "tanh"),), Readout(3), FixedPoint(8, 4))
    with pytest.raises(InputError, match="not rounded"):
        ensembles.outputs(rounded, given, torch.from_numpy(tokens))
    tensors, tokens, _ = draw(ARCHS["transformer"], 0)
    longer = torch.zeros((K, B, N + 1), dtype=torch.int64)
    with pytest.raises(InputError, match=f"has {N + 1} positions"):
        ensembles.outputs(ARCHS["transformer"], {k: torch.from_numpy(v) for k, v in tensors.items()}, longer)
