"""Converted models compute what torch computes, to 1e-10 in float64; models of another form are refused."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from separatrix.can.witnesses.index_lookup_quadratic import build
from separatrix.core.arch import Attention
from separatrix.core.errors import InputError
from separatrix.models import Model, evaluate
from separatrix.models.nets.adapters import from_hooked, from_torch, multihead
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import certify

VOCABULARY, POSITIONS, WIDTH, HEADS, OUTPUTS = 7, 5, 8, 2, 3


class Linears(nn.Module):
    """One layer out of nn.Linear, with positions; head widths that differ from width / heads."""

    def __init__(self, bias: bool, residual: bool, place: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.place = nn.Embedding(POSITIONS + 2, WIDTH) if place else None
        self.q, self.k = nn.Linear(WIDTH, HEADS * 3, bias=bias), nn.Linear(WIDTH, HEADS * 3, bias=bias)
        self.v, self.o = nn.Linear(WIDTH, HEADS * 4, bias=bias), nn.Linear(HEADS * 4, WIDTH, bias=bias)
        self.head = nn.Linear(WIDTH, OUTPUTS, bias=bias)
        self.residual = residual

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        if self.place is not None:
            x = x + self.place(torch.arange(tokens.shape[1]))

        def split(y: Tensor) -> Tensor:
            return y.unflatten(2, (HEADS, -1)).transpose(1, 2)

        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(3), dim=3)
        out = self.o((weights @ v).transpose(1, 2).flatten(start_dim=2))
        return self.head(out + x if self.residual else out)


class Multihead(nn.Module):
    """One layer out of nn.MultiheadAttention, read out through the embedding's own weights."""

    def __init__(self, bias: bool, residual: bool, causal: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, bias=bias, batch_first=True)
        self.residual, self.causal = residual, causal

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        hidden = torch.triu(torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool), 1) if self.causal else None
        out = self.attention(x, x, x, attn_mask=hidden, need_weights=False)[0]
        return (out + x if self.residual else out) @ self.embed.weight.T


def shaken(module: nn.Module) -> nn.Module:
    """In float64, every parameter random: torch starts some biases at 0."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.double().parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module.eval()


def difference(module: nn.Module, model: Model) -> float:
    """Greatest difference of outputs on random inputs, at every position."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (50, POSITIONS))
    with torch.no_grad():
        theirs = module(torch.from_numpy(tokens)).numpy()
    ours = evaluate(model, tokens)
    assert ours.shape == theirs.shape and np.abs(ours).max() > 0.1
    return float(np.abs(ours - theirs).max())


@pytest.mark.parametrize(("bias", "residual", "place"), list(itertools.product((False, True), repeat=3)))
def test_linear_layers(bias: bool, residual: bool, place: bool) -> None:
    net = shaken(Linears(bias, residual, place))
    model = from_torch(
        net, token="embed", position="place" if place else None, query="q", key="k", value="v", output="o",
        readout="head", heads=HEADS, residual=residual, positions=POSITIONS if place else None,
    )  # fmt: skip
    assert difference(net, model) < 1e-10
    assert model.arch.width == WIDTH + bias
    layer = model.arch.layers[0]
    assert isinstance(layer, Attention) and (layer.key_width, layer.value_width, layer.scale) == (
        3,
        4,
        1 / math.sqrt(3),
    )


@pytest.mark.parametrize(("bias", "residual", "causal"), list(itertools.product((False, True), repeat=3)))
def test_multihead_attention(bias: bool, residual: bool, causal: bool) -> None:
    net = shaken(Multihead(bias, residual, causal))
    parts = multihead(net.attention)  # pyright: ignore
    mask = "causal" if causal else "none"
    model = from_torch(net, token="embed", readout="embed", **parts, residual=residual, mask=mask)
    assert difference(net, model) < 1e-10


def test_the_constant_column_is_read_by_queries_keys_and_values_alone() -> None:
    net = shaken(Linears(True, True))
    model = from_torch(net, token="embed", position="place", query="q", key="k", value="v", output="o", readout="head",
                       heads=HEADS, residual=True)  # fmt: skip
    t = model.tensors
    assert (t["embed.token"][:, -1] == 1).all() and not t["embed.position"][:, -1].any()
    assert not t["layers.0.output"][:, :, -1].any() and not t["readout.weight"][-1].any()
    for name, weight in (("query", net.q.bias), ("key", net.k.bias), ("value", net.v.bias)):  # pyright: ignore
        assert (t[f"layers.0.{name}"][:, -1].reshape(-1) == weight.detach().numpy()).all()  # pyright: ignore


def test_tensors_with_separate_biases_and_other_dtypes() -> None:
    net = shaken(Linears(True, False))
    named: dict[str, Any] = dict(net.named_parameters())
    common: dict[str, Any] = {"token": "embed.weight", "position": named["place.weight"], "heads": HEADS}
    for part, name in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "o"), ("readout", "head")):
        common |= {part: f"{name}.weight", f"{part}_bias": named[f"{name}.bias"]}
    assert difference(net, from_torch(net, **common)) < 1e-10
    for dtype, stored in ((torch.float32, np.float32), (torch.bfloat16, np.float32), (torch.float16, np.float32)):
        short = shaken(Linears(True, False)).to(dtype)
        model = from_torch(short, token="embed", position="place", query="q", key="k", value="v", output="o",
                           readout="head", heads=HEADS)  # fmt: skip
        assert model.tensors["embed.token"].dtype == stored
        assert model.tensors["readout.bias"].dtype == np.float64  # the folded one
        assert difference(short.double(), model) < 1e-10  # the stored numbers are the module's, widened


def test_rows_in_the_tasks_order() -> None:
    net = shaken(Linears(True, True))
    order, classes = [3, 0, 6, 1], [2, 0]
    model = from_torch(net, token="embed", position="place", query="q", key="k", value="v", output="o", readout="head",
                       heads=HEADS, residual=True, tokens=order, classes=classes, positions=4)  # fmt: skip
    tokens = np.random.default_rng(1).integers(0, 4, (20, 4))
    with torch.no_grad():
        theirs = net(torch.from_numpy(np.array(order)[tokens])).numpy()[..., classes]
    assert np.abs(evaluate(model, tokens) - theirs).max() < 1e-10
    assert model.arch.first.vocabulary == 4 and model.arch.first.positions == 4  # pyright: ignore


class Normed(Linears):
    """A layer norm that the adapter would not see in the parts."""

    def __init__(self) -> None:
        super().__init__(True, True)
        self.norm = nn.LayerNorm(WIDTH)


PARTS: dict[str, Any] = {"token": "embed", "position": "place", "query": "q", "key": "k", "value": "v", "output": "o",
                         "readout": "head", "heads": HEADS}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"token": "embedding"}, "no part 'embedding'"),
        ({"heads": 4}, "multiple of 4"),
        ({"heads": 0}, "multiple of 0"),
        ({"query_bias": torch.zeros(6)}, "bias of its own"),
        ({"tokens": [7]}, "rows 0 to 6"),
        ({"classes": []}, "classes"),
        ({"positions": 9}, "positions"),
        ({"position": None}, "place.weight"),
        ({"readout": nn.Tanh()}, "Tanh"),
        ({"token": torch.zeros(3, dtype=torch.int64), "ignore": ["embed.weight"]}, "int64"),
        ({"output": "q"}, "o.weight"),
        ({"key": torch.zeros(6, WIDTH), "key_bias": torch.ones(4), "ignore": ["k.weight", "k.bias"]}, "6 numbers"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError, match=part):
        from_torch(Linears(True, False), **(PARTS | changes))


def test_a_parameter_that_no_part_accounts_for_is_refused() -> None:
    with pytest.raises(InputError, match=r"norm\.weight, norm\.bias"):
        from_torch(Normed(), **PARTS)
    from_torch(Normed(), **PARTS, ignore=["norm.weight", "norm.bias"])


@pytest.mark.parametrize("options", [{"kdim": 4}, {"add_bias_kv": True}, {"add_zero_attn": True}])
def test_other_multihead_layers_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="none is handled"):
        multihead(nn.MultiheadAttention(WIDTH, HEADS, **options))


def test_renormalised_embeddings_are_refused() -> None:
    net = Linears(True, False)
    net.embed = nn.Embedding(VOCABULARY, WIDTH, max_norm=1.0)
    with pytest.raises(InputError, match="max_norm"):
        from_torch(net, **PARTS)


class Hooked(nn.Module):
    """The attributes and the computation of a HookedTransformer: one layer, attn_only, no normalisation."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(1)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=g, dtype=torch.float64)

        d, dh = WIDTH, 3
        self.W_E, self.W_pos, self.W_U, self.b_U = drawn(VOCABULARY, d), drawn(9, d), drawn(d, OUTPUTS), drawn(OUTPUTS)
        parts = {f"W_{name}": drawn(HEADS, d, dh) for name in "QKV"} | {f"b_{name}": drawn(HEADS, dh) for name in "QKV"}
        self.blocks = [SimpleNamespace(attn=SimpleNamespace(**parts, W_O=drawn(HEADS, dh, d), b_O=drawn(d)))]
        settings: dict[str, Any] = {
            "n_layers": 1, "attn_only": True, "normalization_type": None, "positional_embedding_type": "standard",
            "use_attn_scale": True, "attn_scale": math.sqrt(dh), "attention_dir": "causal", "use_local_attn": False,
            "attn_scores_soft_cap": -1.0, "output_logits_soft_cap": -1.0, "n_key_value_heads": None,
        }  # fmt: skip
        self.cfg = SimpleNamespace(**(settings | changes))

    def forward(self, tokens: Tensor) -> Tensor:
        a, n = self.blocks[0].attn, tokens.shape[1]
        x = self.W_E[tokens] + self.W_pos[:n]
        q, k, v = (
            torch.einsum("bpd,hde->bphe", x, getattr(a, f"W_{name}")) + getattr(a, f"b_{name}") for name in "QKV"
        )
        scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / (self.cfg.attn_scale if self.cfg.use_attn_scale else 1.0)
        if self.cfg.attention_dir == "causal":
            scores = scores.masked_fill(torch.triu(torch.ones(n, n, dtype=torch.bool), 1), -torch.inf)
        z = torch.einsum("bkhe,bhqk->bqhe", v, scores.softmax(dim=3))
        return (x + torch.einsum("bqhe,hed->bqd", z, a.W_O) + a.b_O) @ self.W_U + self.b_U


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize("use_scale", [True, False])
def test_hooked_transformers(direction: str, use_scale: bool) -> None:
    net = Hooked(attention_dir=direction, use_attn_scale=use_scale)
    model = from_hooked(net, positions=POSITIONS)
    assert difference(net, model) < 1e-10
    last = from_hooked(net, positions=POSITIONS, last_position_only=True)
    layer = last.arch.layers[0]
    assert isinstance(layer, Attention) and layer.mask == "none"
    tokens = np.random.default_rng(2).integers(0, VOCABULARY, (20, POSITIONS))
    theirs = net(torch.from_numpy(tokens)).numpy()[:, -1]
    assert np.abs(evaluate(last, tokens, queries=[POSITIONS - 1])[:, 0] - theirs).max() < 1e-10
    assert from_hooked(net, tokens=[1, 0], classes=[0, 2]).arch.readout.outputs == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"normalization_type": "RMS"}, {"n_layers": 2}, {"attn_only": False, "act_fn": "gelu"},
        {"attn_only": False, "act_fn": "relu", "parallel_attn_mlp": True}, {"use_local_attn": True},
        {"positional_embedding_type": "rotary"},
        {"n_key_value_heads": 1}, {"attn_scores_soft_cap": 50.0}, {"output_logits_soft_cap": 30.0},
        {"attention_dir": "sideways"}, {"use_qk_norm": True},
    ],
)  # fmt: skip
def test_other_hooked_transformers_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        from_hooked(Hooked(**changes))


class Single(nn.Module):
    """One head of nn.Linear layers with every bias, without a residual path."""

    def __init__(self, d: int, m: int, v: int, vocabulary: int, positions: int, outputs: int) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(vocabulary, d), nn.Embedding(positions, d)
        self.q, self.k, self.v, self.o = nn.Linear(d, m), nn.Linear(d, m), nn.Linear(d, v), nn.Linear(v, d)
        self.head = nn.Linear(d, outputs)


def test_a_hand_set_module_is_certified() -> None:
    """Quadratic keys put into nn.Linear layers, with biases that change no answer: proved, as the witness is."""
    task, n = IndexLookup(4), 12
    given = {name: torch.from_numpy(np.asarray(array)) for name, array in build(task, n).tensors.items()}
    (vocabulary, d), m, v = given["embed.token"].shape, *(given[f"layers.0.{p}"].shape[2] for p in ("query", "value"))
    net = Single(d, m, v, vocabulary, n + 1, 4).double()
    with torch.no_grad():
        net.embed.weight.copy_(given["embed.token"])
        net.place.weight.copy_(given["embed.position"])
        for layer, name in ((net.q, "query"), (net.k, "key"), (net.v, "value"), (net.o, "output")):
            layer.weight.copy_(given[f"layers.0.{name}"][0].T)
            layer.bias.zero_()
        net.k.bias.fill_(0.25)  # the same for every key: softmax does not see it
        net.v.bias.fill_(0.03125)
        net.o.bias.fill_(-0.03125)
        net.head.weight.copy_(given["readout.weight"].T)
        net.head.bias.fill_(0.125)
    parts: dict[str, Any] = {p: p[0] for p in ("query", "key", "value", "output")}
    model = from_torch(net, token="embed", position="place", **parts, readout="head", heads=1, scale=1.0)
    outcome = certify(model, task, n)
    assert outcome.verdict == "proved", outcome.sentence
    with torch.no_grad():
        net.v.bias[0] = 100.0
    spoiled = from_torch(net, token="embed", position="place", **parts, readout="head", heads=1, scale=1.0)
    assert certify(spoiled, task, n).verdict == "refuted"


def test_the_code_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text()
    names: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert capsys.readouterr().out.startswith("proved")
    assert isinstance(names["model"], Model)
