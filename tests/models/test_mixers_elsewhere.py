"""The layers of `core.mixers` against the code of others (transformers), and against their formulas written out."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
import torch

from models.recurrent_models import random_recurrent
from separatrix.core.mixers import DeltaNet, LinearAttention, Mixer, Retention, Rwkv, SelectiveSsm
from separatrix.core.shapes import tensor_shapes
from separatrix.models.nets.ensembles.mixers import mixer_outputs
from separatrix.models.recurrent import layer_tensors

BATCH, N, WIDTH = 3, 11, 6


def library(family: str) -> ModuleType:
    """A module of transformers; skips where it is absent, or has dropped the family."""
    pytest.importorskip("transformers")
    return pytest.importorskip(f"transformers.models.{family}.modeling_{family}")


def drawn(layer: Mixer, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The layer's tensors, and inputs (BATCH, N, WIDTH)."""
    model = random_recurrent((layer,), seed, width=WIDTH)
    return layer_tensors(model.tensors, 0), np.random.default_rng(seed + 1).normal(size=(BATCH, N, WIDTH))


def ours(layer: Mixer, t: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    given = {name: torch.from_numpy(value)[None] for name, value in t.items()}
    return mixer_outputs(layer, given, torch.from_numpy(x)[None])[0].numpy()


def copied(parameter: torch.Tensor, value: np.ndarray) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(value).view(parameter.shape))


@pytest.mark.parametrize("convolution", [3, 4])
def test_the_selective_ssm_is_the_mixer_of_mamba(convolution: int) -> None:
    theirs, layer = library("mamba"), SelectiveSsm(2 * WIDTH, 3, 2, WIDTH, convolution=convolution)
    config = importlib.import_module("transformers").MambaConfig(
        hidden_size=WIDTH, state_size=3, conv_kernel=convolution, expand=2, time_step_rank=2, num_hidden_layers=1
    )
    net = theirs.MambaMixer(config, 0).double()
    t, x = drawn(layer)
    pairs = {
        "in_proj.weight": t["in"].T, "conv1d.weight": t["mix"].T[:, None], "conv1d.bias": t["mix_bias"],
        "x_proj.weight": t["select"].T, "dt_proj.weight": t["step"].T, "dt_proj.bias": t["step_bias"],
        "A_log": t["rate"], "D": t["skip_scale"], "out_proj.weight": t["out"].T,
    }  # fmt: skip
    for name, value in pairs.items():
        copied(net.get_parameter(name), np.ascontiguousarray(value))
    with torch.no_grad():
        found = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours(layer, t, x), found, rtol=1e-5, atol=1e-5)  # theirs keeps states in float32


def test_rwkv_is_the_time_mixing_of_version_4() -> None:
    theirs, layer = library("rwkv"), Rwkv(8, WIDTH, WIDTH)
    config = importlib.import_module("transformers").RwkvConfig(hidden_size=WIDTH, attention_hidden_size=8)
    net = theirs.RwkvSelfAttention(config, 0).double()
    t, x = drawn(layer)
    for name, own in {"time_decay": "decay", "time_first": "first"}.items():
        copied(net.get_parameter(name), t[own])
    for name in ("key", "value", "receptance"):
        copied(net.get_parameter(f"time_mix_{name}"), t[f"{name}_share"])
        copied(net.get_parameter(f"{name}.weight"), np.ascontiguousarray(t[name].T))
    copied(net.get_parameter("output.weight"), np.ascontiguousarray(t["out"].T))
    with torch.no_grad():
        found = net(torch.from_numpy(x))[0].numpy()
    assert np.abs(found - ours(layer, t, x)).max() < 1e-6 and found.std() > 0.01  # theirs keeps keys in float32


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("rule", ["torch_recurrent_gated_delta_rule", "torch_chunk_gated_delta_rule"])
def test_the_delta_rule_is_that_of_qwen3_next_without_decay(negative: bool, rule: str) -> None:
    theirs, layer = library("qwen3_next"), DeltaNet(2, 4, 3, WIDTH, negative)
    t, x = drawn(layer)
    q, k, v = (
        torch.nn.functional.silu(torch.from_numpy(x @ t[n])).unflatten(2, (2, -1)) for n in ("query", "key", "value")
    )
    strength = torch.sigmoid(torch.from_numpy(x @ t["strength"])) * (2.0 if negative else 1.0)
    found, _ = getattr(theirs, rule)(
        q, k, v, g=torch.zeros_like(strength), beta=strength, use_qk_l2norm_in_kernel=True, initial_state=None,
        output_final_state=False,
    )  # fmt: skip
    found = found.double() * 4**0.5  # theirs divides queries by the root of the key width
    found = found * torch.rsqrt((found**2).mean(dim=-1, keepdim=True) + 1e-6) * torch.from_numpy(t["head_scale"])
    expected = found.flatten(2).numpy() @ t["out"]
    assert np.abs(expected - ours(layer, t, x)).max() < 1e-4 and expected.std() > 0.01  # theirs is in float32


def test_retention_without_turning_and_gate_is_lightning_attention() -> None:
    """MiniMax: decays of its own, which are put in the place of ours."""
    theirs = library("minimax")
    from separatrix.models.nets.ensembles.mixers import decayed

    config = importlib.import_module("transformers").MiniMaxConfig(
        hidden_size=8, num_attention_heads=2, head_dim=4, num_hidden_layers=2, block_size=4, hidden_act="silu"
    )
    net = theirs.MiniMaxLightningAttention(config, 0).double()
    x = torch.randn(2, N, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seen: list[torch.Tensor] = []
    net.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        net(x, None, None, None)
        parts = torch.nn.functional.silu(net.qkv_proj(x)).view(2, N, 2, 12).transpose(1, 2).split(4, dim=3)
        factors = torch.exp(-net.slope_rate.flatten()).tolist()
        mine = decayed(parts[0], parts[1], parts[2], factors).transpose(1, 2).flatten(2)
    torch.testing.assert_close(mine, seen[0], rtol=1e-6, atol=1e-6)


def test_retention_is_a_sum_over_pairs() -> None:
    """Sun et al. 2023, equation 5 and 8: (Q K^T * D) V with rotated queries and keys, normed by head, gated."""
    layer = Retention(2, 4, 3, WIDTH, base=100.0)
    t, x = drawn(layer)
    found = np.zeros((BATCH, N, 2, 3))
    for h, b, i in np.ndindex(2, BATCH, N):
        for j in range(i + 1):
            q, k = (x[b, a] @ t[name][:, 4 * h : 4 * h + 4] for a, name in ((i, "query"), (j, "key")))
            score = sum(
                (complex(q[2 * e], q[2 * e + 1]) * np.exp(1j * (i - j) * 100.0 ** (-e / 2))
                 * complex(k[2 * e], -k[2 * e + 1])).real
                for e in range(2)
            )  # fmt: skip
            value = x[b, j] @ t["value"][:, 3 * h : 3 * h + 3]
            found[b, i, h] += (1 - 2.0 ** (-5 - h)) ** (i - j) * score / 2 * value
    found /= np.sqrt((found**2).mean(axis=3, keepdims=True) + 1e-6)
    gate = x @ t["gate"]
    expected = (found.reshape(BATCH, N, 6) * gate / (1 + np.exp(-gate))) @ t["out"]
    np.testing.assert_allclose(ours(layer, t, x), expected, rtol=1e-10, atol=1e-12)


def test_linear_attention_is_a_weighted_mean() -> None:
    """Katharopoulos et al. 2020, equation 7 with a causal mask."""
    layer = LinearAttention(2, 4, 3, WIDTH)
    t, x = drawn(layer)
    elu = lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0)))  # noqa: E731
    mixed = np.zeros((BATCH, N, 6))
    for h, b, i in np.ndindex(2, BATCH, N):
        key, value = slice(4 * h, 4 * h + 4), slice(3 * h, 3 * h + 3)
        weights = (elu(x[b, : i + 1] @ t["key"][:, key]) + 1) @ (elu(x[b, i] @ t["query"][:, key]) + 1)
        mixed[b, i, value] = weights @ (x[b, : i + 1] @ t["value"][:, value]) / (weights.sum() + 1e-6)
    np.testing.assert_allclose(ours(layer, t, x), mixed @ t["out"], rtol=1e-10, atol=1e-12)


def test_rwkv_with_far_keys_is_computed_in_logarithms() -> None:
    """Weights e^1000 apart: the sums underflow, the means do not, and have gradients."""
    layer = Rwkv(4, WIDTH, WIDTH)
    arch = random_recurrent((layer,), 0, width=WIDTH).arch
    assert set(layer_tensors({n: np.zeros(s) for n, s in tensor_shapes(arch).items()}, 0)) == set(drawn(layer)[0])
    t, x = drawn(layer)
    t = t | {"key": t["key"] * 1000}
    from separatrix.models.mixers import mixer_output, mixer_start, mixer_step

    state, rows = np.tile(mixer_start(layer), (BATCH, 1)), []
    for j in range(N):
        new = mixer_step(layer, t, state, x[:, j])
        rows.append(mixer_output(layer, t, state, new, x[:, j]))
        state = new
    np.testing.assert_allclose(ours(layer, t, x), np.stack(rows, axis=1), rtol=1e-9, atol=1e-11)
    near = {name: torch.from_numpy(np.stack([value, value])).requires_grad_() for name, value in t.items()}
    with torch.no_grad():
        near["key"][1] /= 1000  # a member whose keys are not far
    out = mixer_outputs(layer, near, torch.from_numpy(np.stack([x, x])))
    alone = {name: value[1:] for name, value in near.items()}
    assert torch.equal(out[1:], mixer_outputs(layer, alone, torch.from_numpy(x)[None]))
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), list(near.values())))
