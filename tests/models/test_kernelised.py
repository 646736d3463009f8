"""Kernelised attention with relative positions: transforms, pairs, the reference and a plain sum agree."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from separatrix.core.arch import Arch, FeedForward, Readout, Table
from separatrix.core.config import read_config
from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised
from separatrix.core.mixers import LinearAttention
from separatrix.core.recurrent import Recurrent
from separatrix.core.seeds import child
from separatrix.core.shapes import tensor_shapes
from separatrix.core.size import Precision
from separatrix.learn.cohort import Cohort, Member
from separatrix.learn.experiments import index_lookup
from separatrix.learn.recipe import Recipe
from separatrix.learn.standard import initialise
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.models.nets import ensembles, load
from separatrix.models.nets import kernelised as nets
from separatrix.models.trace import trace
from separatrix.tasks.index_lookup import IndexLookup

N = 7
MASKS = ("none", "causal")
WAYS = {"transforms": 0, "pairs": math.inf}


def one(mask: str, positions: int = N + 2, blank: bool = True) -> Model:
    layer = Kernelised(2, 3, 4, positions, mask)  # pyright: ignore[reportArgumentType]
    arch = Arch(6, Table(5, N), (layer,), Readout(3), blank)
    rng = np.random.default_rng(3)
    return Model(arch, {name: rng.normal(size=shape) for name, shape in tensor_shapes(arch).items()})


def by_hand(model: Model, tokens: list[int]) -> np.ndarray:
    """(positions, outputs) by loops over pairs, heads and entries."""
    t, arch = model.tensors, model.transformer
    (layer,) = arch.layers
    assert isinstance(layer, Kernelised)
    x = [t["embed.token"][token] + t["embed.position"][j] for j, token in enumerate(tokens)] + [t["embed.blank"]]
    rows = []
    for i in range(len(tokens)):
        out = np.zeros(arch.width)
        for h in range(layer.heads):
            above, below = np.zeros(layer.value_width), 1e-6
            for j in range(len(x)):
                if layer.mask == "causal" and j > i:
                    continue
                gap = i - j if layer.mask == "causal" else i - j + layer.positions - 1
                q, k = x[i] @ t["layers.0.query"][h], x[j] @ t["layers.0.key"][h]
                phi = [[a + 1 if a > 0 else math.exp(a) for a in part] for part in (q, k)]
                weight = math.exp(t["layers.0.relative_bias"][h, gap]) * sum(a * b for a, b in zip(*phi, strict=True))
                above, below = above + weight * (x[j] @ t["layers.0.value"][h]), below + weight
            out += above / below @ t["layers.0.output"][h]
        rows.append(out @ t["readout.weight"] + t["readout.bias"])
    return np.array(rows)


@pytest.mark.parametrize("mask", MASKS)
def test_the_reference_is_the_plain_sum(mask: str) -> None:
    model, tokens = one(mask), [0, 3, 1, 4, 2, 2]
    np.testing.assert_allclose(evaluate(model, np.array([tokens]))[0], by_hand(model, tokens), rtol=1e-12)
    np.testing.assert_allclose(trace(model, np.array(tokens)).outputs, by_hand(model, tokens), rtol=1e-12)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("length", [1, 4, N])
@pytest.mark.parametrize("queries", [None, [0], [-1, 0]])
def test_both_forms_are_the_reference(
    mask: str, way: str, length: int, queries: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nets, "WORTH", WAYS[way])
    asked = None if queries is None else [j % length for j in queries]
    model, tokens = one(mask), np.random.default_rng(0).integers(0, 5, (3, length))
    expected, given = evaluate(model, tokens, queries=asked), torch.from_numpy(tokens)
    np.testing.assert_allclose(load(model)(given, None, asked).detach().numpy(), expected, rtol=1e-10, atol=1e-11)
    stacked = {name: torch.from_numpy(np.stack([tensor, 2 * tensor])) for name, tensor in model.tensors.items()}
    found = ensembles.outputs(model.arch, stacked, given.expand(2, -1, -1), None, asked)
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-10, atol=1e-11)
    other = Model(model.arch, {name: 2 * tensor for name, tensor in model.tensors.items()})
    np.testing.assert_allclose(found[1].numpy(), evaluate(other, tokens, queries=asked), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("form", [nets.by_pairs, nets.by_transforms])
def test_gradients(mask: str, form: Callable[..., torch.Tensor]) -> None:
    torch.manual_seed(0)
    causal = mask == "causal"
    shapes = ((2, 3, 4), (2, 5, 4), (2, 5, 3), (2, 6 if causal else 11))
    given = [torch.rand(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda q, k, v, c: form(q, k, v, c, causal, [4, 0, 2]), given)


def test_equal_weights_are_linear_attention() -> None:
    """With b = 0 a causal layer is the recurrence of core.mixers, tensor for tensor."""
    model = one("causal", blank=False)
    arch = Recurrent(6, Table(5, N), (LinearAttention(2, 3, 4, 6),), Readout(3))
    t = dict(model.tensors) | {"layers.0.relative_bias": np.zeros_like(model.tensors["layers.0.relative_bias"])}
    sides = {
        f"layers.0.{name}": np.concatenate(list(t[f"layers.0.{name}"]), axis=1) for name in ("query", "key", "value")
    }
    same = {name: tensor for name, tensor in t.items() if not name.startswith("layers.")}
    recurrent = Model(arch, same | sides | {"layers.0.out": np.concatenate(list(t["layers.0.output"]))})
    tokens = np.random.default_rng(1).integers(0, 5, (4, N))
    np.testing.assert_allclose(evaluate(Model(model.arch, t), tokens), evaluate(recurrent, tokens), rtol=1e-12)


def test_long_inputs_in_float32_go_by_transforms(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    by_transforms = nets.by_transforms
    monkeypatch.setattr(nets, "by_transforms", lambda *given: taken.append("transforms") or by_transforms(*given))
    length = 300
    layer, rng = Kernelised(2, 6, 4, length), np.random.default_rng(0)
    q, k, v = (torch.from_numpy(rng.normal(size=(1, 1, 2, length, m))) for m in (6, 6, 4))
    bias = torch.from_numpy(rng.normal(size=(1, 2, 2 * length - 1)))
    exact = nets.kernelised_attention(layer, q, k, v, bias, range(length))
    rounded = nets.kernelised_attention(layer, q.float(), k.float(), v.float(), bias.float(), range(length))
    assert taken == ["transforms"] * 2
    assert float((rounded.double() - exact).abs().max()) < 1e-5


def test_it_learns() -> None:
    task, n = IndexLookup(4), 6
    arch = index_lookup.kernelised(task, n)
    recipe = Recipe(400, batch=64, check_every=50, hold=1, validation=256, target=0.999)
    trained = Cohort(task, n, arch, [Member(seed, 1e-2) for seed in range(2)], recipe).train()
    assert [t.state for t in trained] == ["solved"] * 2
    assert all(np.abs(t.model.tensors["layers.0.relative_bias"]).max() > 0.01 for t in trained)
    labels = {run.label for run in index_lookup.runs("paper")} - {run.label for run in index_lookup.runs("quick")}
    assert "kernelised attention, relative positions, width 64" in labels


def test_its_size_claims_no_cut_and_no_state() -> None:
    size = one("causal").size(N, Precision.parse("fp32"))
    assert (size.layers, size.heads, size.bits("cut"), size.bits("state")) == (1, 2, None, None)
    assert "kernelised-attention, 2 head(s), key width 3, value width 4" in str(one("none"))


def test_plain_errors() -> None:
    model = one("none", positions=4)
    for run in (lambda t: evaluate(model, t), lambda t: load(model)(torch.from_numpy(t))):
        with pytest.raises(InputError, match="of 4 positions cannot read 6 tokens"):
            run(np.zeros((1, 5), dtype=np.int64))
    assert read_config(model.arch.to_config()) == model.arch
    with pytest.raises(InputError, match="not a positive"):
        Arch(6, Table(5), (Kernelised(1, 1, 1, 0),), Readout(2)).check()
    arch = Arch(6, Table(5), (Kernelised(1, 2, 2, 4), FeedForward(3)), Readout(2))
    assert not initialise(arch, child(0)).tensors["layers.0.relative_bias"].any()
