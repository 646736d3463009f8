"""Streamed third-order attention against the formula written out, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from separatrix.core.arch import HigherOrder
from separatrix.models import higher_order
from separatrix.models.nets import third_order
from separatrix.models.nets.third_order import third_order_attention


def plain(q, a, b, u, w, scale):
    scores = torch.einsum("riv,rjv,rkv->rijk", q * scale, a, b)
    weights = torch.softmax(scores.flatten(start_dim=2), dim=2).view_as(scores)
    return torch.einsum("rijk,rjv,rkv->riv", weights, u, w)


def drawn(rows: int, queries: int, n: int, m: int, v: int) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    shapes = [(rows, queries, m), (rows, n, m), (rows, n, m), (rows, n, v), (rows, n, v)]
    return [torch.from_numpy(rng.normal(size=shape)).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("block", [1, 60, 2**22])
def test_values_and_gradients(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(third_order, "BLOCK", block)
    given = drawn(2, 3, 7, 4, 5)
    found, expected = third_order_attention(*given, scale=0.7), plain(*given, 0.7)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
    toward = torch.from_numpy(np.random.default_rng(1).normal(size=found.shape))
    ours = torch.autograd.grad((found * toward).sum(), given)
    theirs = torch.autograd.grad((expected * toward).sum(), given)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_large_scores_do_not_overflow() -> None:
    q, a, b, u, w = drawn(1, 3, 5, 2, 2)
    with torch.no_grad():
        found = third_order_attention(q * 100, a * 100, b * 100, u, w)
        torch.testing.assert_close(found, plain(q * 100, a * 100, b * 100, u, w, 1.0), rtol=1e-9, atol=1e-12)


def test_it_is_the_reference_layer() -> None:
    """One head of `models.higher_order`, whose maps are applied first."""
    rng, layer = np.random.default_rng(2), HigherOrder(1, 3, 4, scale=0.5)
    x = rng.normal(size=(2, 6, 5))
    shapes = {"query": (1, 5, 3), "keys": (2, 1, 5, 3), "values": (2, 1, 5, 4), "output": (1, 4, 5)}
    t = {f"layers.0.{name}": rng.normal(size=shape) for name, shape in shapes.items()}
    expected = higher_order.attend(layer, t, 0, x, np.arange(6))
    maps = [t["layers.0.query"][0], *t["layers.0.keys"][:, 0], *t["layers.0.values"][:, 0]]
    parts = [torch.from_numpy(x @ weight) for weight in maps]
    found = third_order_attention(*parts, scale=0.5).numpy() @ t["layers.0.output"][0]
    np.testing.assert_allclose(found, expected, rtol=1e-11)
