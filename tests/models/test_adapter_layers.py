"""Converted ReLU layers and layer norms compute what torch computes; other activations and norms are refused."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.test_adapters import HEADS, PARTS, POSITIONS, VOCABULARY, WIDTH, Hooked, Linears
from separatrix.core.errors import InputError
from separatrix.models import Model, evaluate
from separatrix.models.nets.adapters import from_hooked, from_torch

HIDDEN = 6


class Deep(Linears):
    """Linears with a ReLU layer, and a norm before it, before the heads and at the end."""

    def __init__(self, bias: bool, residual: bool, norms: str, mlp: bool, mlp_residual: bool = True) -> None:
        super().__init__(bias, residual)
        self.norms, self.mlp, self.mlp_residual = norms, mlp, mlp_residual
        self.up, self.down = nn.Linear(WIDTH, HIDDEN, bias=bias), nn.Linear(HIDDEN, WIDTH, bias=bias)
        self.first, self.middle, self.last = (nn.LayerNorm(WIDTH, eps=e, bias=bias) for e in (1e-5, 1e-2, 0.1))
        for norm in (self.first, self.middle, self.last):
            for parameter in norm.parameters():
                nn.init.normal_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.place(torch.arange(tokens.shape[1]))  # pyright: ignore

        def split(y: Tensor) -> Tensor:
            return y.unflatten(2, (HEADS, -1)).transpose(1, 2)

        read = self.first(x) if "a" in self.norms else x
        q, k, v = split(self.q(read)), split(self.k(read)), split(self.v(read))
        weights = torch.softmax(q @ k.transpose(2, 3) / 3**0.5, dim=3)
        y = self.o((weights @ v).transpose(1, 2).flatten(start_dim=2)) + (x if self.residual else 0.0)
        if self.mlp:
            added = self.down(torch.relu(self.up(self.middle(y) if "m" in self.norms else y)))
            y = added + (y if self.mlp_residual else 0.0)
        return self.head(self.last(y) if "f" in self.norms else y)

    def parts(self) -> dict[str, Any]:
        """The arguments of `from_torch`."""
        made = PARTS | {"residual": self.residual, "positions": POSITIONS, "mlp_residual": self.mlp_residual}
        made |= {"hidden": "up", "back": "down", "activation": nn.ReLU()} if self.mlp else {}
        made |= {"attention_norm": "first"} if "a" in self.norms else {}
        made |= {"mlp_norm": "middle"} if "m" in self.norms else {}
        made |= {"final_norm": self.last} if "f" in self.norms else {}
        return made


def unused(net: Deep) -> list[str]:
    """The names of parameters that this net does not use."""
    idle = [name for name, used in (("first", "a"), ("middle", "m"), ("last", "f")) if used not in net.norms]
    idle += [] if net.mlp else ["up", "down"]
    return [name for name, _ in net.named_parameters() if name.split(".")[0] in idle]


def difference(net: nn.Module, model: Model) -> float:
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (50, POSITIONS))
    theirs = net.double()(torch.from_numpy(tokens)).detach().numpy()
    return float(np.abs(evaluate(model, tokens) - theirs).max())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("norms", "mlp"), [("", True), ("a", False), ("amf", True), ("af", False), ("am", True)])
def test_layers_and_norms(bias: bool, residual: bool, norms: str, mlp: bool) -> None:
    torch.manual_seed(3)
    for mlp_residual in (True, False) if mlp else (True,):
        net = Deep(bias, residual, norms, mlp, mlp_residual).double()
        model = from_torch(net, **net.parts(), ignore=unused(net))
        assert difference(net, model) < 1e-9
        assert len(model.arch.layers) == 1 + mlp + ("f" in norms)


def test_what_is_not_of_the_form_is_refused() -> None:
    net = Deep(True, True, "amf", True)
    good = net.parts()
    from_torch(net, **good)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"activation": "gelu"}, "activation gelu is not handled; only ReLU is"),
        ({"activation": nn.GELU()}, "activation GELU"),
        ({"back": None, "ignore": ["down.weight", "down.bias"]}, "go together"),
        ({"final_norm": nn.RMSNorm(WIDTH)}, "RMSNorm is no nn.LayerNorm"),
        ({"final_norm": "lost"}, "no 'lost'"),
        ({"final_norm": nn.LayerNorm(3), "ignore": ["last.weight", "last.bias"]}, "the stream has"),
        ({"hidden": torch.ones(6, 3), "ignore": ["up.weight", "up.bias"]}, "do not fit"),
        ({"mlp_norm": None}, "middle.weight"),
        ({"attention_norm": None, "ignore": ["first.weight", "first.bias"]}, "reads no norm"),
    )
    for changes, words in cases:
        with pytest.raises(InputError, match=words):
            from_torch(net, **(good | changes))


class HookedLayers(Hooked):
    """With an MLP and norms, as TransformerLens has them."""

    def __init__(self, norm: str | None, mlp: bool) -> None:
        super().__init__(
            normalization_type=norm, attn_only=not mlp, act_fn="relu", eps=1e-3, attention_dir="bidirectional"
        )
        g = torch.Generator().manual_seed(2)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=g, dtype=torch.float64)

        def affine() -> SimpleNamespace:
            return SimpleNamespace(w=drawn(WIDTH), b=drawn(WIDTH)) if norm == "LN" else SimpleNamespace()

        block = self.blocks[0]
        block.mlp = SimpleNamespace(
            W_in=drawn(WIDTH, HIDDEN), b_in=drawn(HIDDEN), W_out=drawn(HIDDEN, WIDTH), b_out=drawn(WIDTH)
        )
        block.ln1, block.ln2, self.ln_final = affine(), affine(), affine()

    def normed(self, x: Tensor, at: SimpleNamespace) -> Tensor:
        if self.cfg.normalization_type is None:
            return x
        x = x - x.mean(dim=-1, keepdim=True)
        x = x / ((x**2).mean(dim=-1, keepdim=True) + self.cfg.eps).sqrt()
        return x * at.w + at.b if self.cfg.normalization_type == "LN" else x

    def forward(self, tokens: Tensor) -> Tensor:
        block, a = self.blocks[0], self.blocks[0].attn
        x = self.W_E[tokens] + self.W_pos[: tokens.shape[1]]
        read = self.normed(x, block.ln1)
        q, k, v = (torch.einsum("bpd,hde->bphe", read, getattr(a, f"W_{n}")) + getattr(a, f"b_{n}") for n in "QKV")
        weights = (torch.einsum("bqhe,bkhe->bhqk", q, k) / self.cfg.attn_scale).softmax(dim=3)
        x = x + torch.einsum("bqhe,hed->bqd", torch.einsum("bkhe,bhqk->bqhe", v, weights), a.W_O) + a.b_O
        if not self.cfg.attn_only:
            hidden = torch.relu(self.normed(x, block.ln2) @ block.mlp.W_in + block.mlp.b_in)
            x = x + hidden @ block.mlp.W_out + block.mlp.b_out
        return self.normed(x, self.ln_final) @ self.W_U + self.b_U


@pytest.mark.parametrize(("norm", "mlp"), list(itertools.product([None, "LN", "LNPre"], [False, True])))
def test_hooked_transformers_with_layers(norm: str | None, mlp: bool) -> None:
    net = HookedLayers(norm, mlp)
    model = from_hooked(net, positions=POSITIONS)
    assert difference(net, model) < 1e-9
    assert model.arch.layers[0].heads == HEADS  # pyright: ignore
