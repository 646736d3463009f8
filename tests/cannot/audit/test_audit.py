"""The audit's numbers on models as released, its words, and its errors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from cli.test_commands import separatrix as separatrix
from separatrix.cannot.audit import FAMILIES, Layer, Layout, audit, read_layout
from separatrix.core.errors import InputError

MAMBA_2_8B = {
    "model_type": "mamba",
    "hidden_size": 2560,
    "num_hidden_layers": 64,
    "vocab_size": 50280,
    "state_size": 16,
}
MAMBA2_2_7B = {
    "model_type": "mamba2", "num_hidden_layers": 64, "num_heads": 80, "head_dim": 64, "state_size": 128,
    "n_groups": 1, "vocab_size": 50288,
}  # fmt: skip
CODESTRAL = MAMBA2_2_7B | {"num_heads": 128, "n_groups": 8, "vocab_size": 32768}
RWKV7 = {"model_type": "rwkv7", "hidden_size": 2560, "num_hidden_layers": 32, "vocab_size": 65536}
QWEN3_NEXT = {
    "model_type": "qwen3_next", "hidden_size": 2048, "vocab_size": 151936, "num_hidden_layers": 48,
    "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256, "linear_num_value_heads": 32,
    "linear_num_key_heads": 16, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
}  # fmt: skip
JAMBA = {
    "model_type": "jamba", "hidden_size": 4096, "vocab_size": 65536, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "attn_layer_period": 8, "attn_layer_offset": 4,
}  # fmt: skip
KIMI = {
    "model_type": "kimi_linear", "hidden_size": 2304, "vocab_size": 163840, "num_hidden_layers": 27,
    "num_attention_heads": 32, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
    "linear_attn_config": {
        "full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "num_heads": 32, "head_dim": 128, "short_conv_kernel_size": 4
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "recurrent", "shift", "growth", "break_even", "hard_cap", "hebbian"),
    [
        (MAMBA_2_8B, 64 * 5120 * 16, 64 * 5120 * 3, 0, None, 30_583_466, 0.31e6),
        (MAMBA2_2_7B, 64 * 80 * 64 * 128, 64 * (5120 + 256) * 3, 0, None, 226_448_725, 2.5e6),
        (CODESTRAL, 64 * 128 * 64 * 128, 64 * (8192 + 2048) * 3, 0, None, 363_156_821, 4.0e6),
        (RWKV7, 32 * 2560 * 64, 32 * 2 * 2560, 0, None, 28_398_933, 0.31e6),
        (QWEN3_NEXT, 36 * 32 * 128 * 128, 36 * 8192 * 3, 12 * 1024, 3144, None, 1.13e6),
        (JAMBA, 28 * 8192 * 16, 28 * 8192 * 3, 4 * 2048, 980, None, 0.22e6),
        (KIMI, 20 * 32 * 128 * 128, 20 * 3 * 4096 * 3, 7 * 576, 5385, None, 0.63e6),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_models_as_released(
    config: dict[str, Any],
    recurrent: int,
    shift: int,
    growth: int,
    break_even: int | None,
    hard_cap: int | None,
    hebbian: float,
) -> None:
    """fp32 states and bf16 elsewhere; items out of 64."""
    layout = read_layout(config)
    found = audit(layout, 131_072)
    assert sum(layer.recurrent for layer in layout.layers) == recurrent
    assert sum(layer.shift for layer in layout.layers) == shift
    assert found.fixed == 32 * recurrent + 16 * shift
    assert (found.growth, found.break_even) == (16 * growth, break_even)
    assert found.hard_cap == (None if hard_cap is None else found.fixed // 6)
    assert hard_cap is None or found.hard_cap == pytest.approx(hard_cap, rel=2e-3)
    assert found.hebbian == pytest.approx(hebbian, rel=0.03)


def test_caps_and_bounds_are_those_of_the_bits() -> None:
    layout = Layout("toy", (Layer("rec", recurrent=10, memory=(1, 2, 5)),), vocabulary=1024)
    found = audit(layout, 64, symbols=16)
    assert (found.fixed, found.hard_cap, found.copy_length, found.rank_cap) == (320, 80, 32, 2)
    assert [need.bits for need in found.needs] == [256, 128, 128, 640]
    assert (
        [need.active for need in found.needs] == [need.excluded for need in found.needs] == [False, False, False, True]
    )
    assert any("Impossible at this context: copying 64" in word for word in found.words())
    at_cap = audit(layout, 80, symbols=16)
    assert not at_cap.needs[0].excluded and audit(layout, 81, symbols=16).needs[0].excluded
    assert found.hebbian == math.floor(0.5 * 10 / (2 * math.log(16)))


def test_growing_caches_lift_the_bounds_and_windows_do_not() -> None:
    full, window = Layer("attention", keys=8), Layer("attention", keys=8, window=5)
    grown = audit(Layout("toy", (full,), 1024), 1000)
    assert grown.hard_cap is None and grown.growth == 128 and grown.carried == 128_000 + 10
    assert not any(need.excluded for need in grown.needs) and all(need.active for need in grown.needs)
    seen = audit(Layout("toy", (window,), 1024), 1000)
    assert seen.growth == 0 and seen.carried == 4 * 128 + 10 and seen.hard_cap == (512 + 10) // 6
    assert all(need.excluded for need in seen.needs)
    assert any("Only with the keys" in word for word in grown.words())


@pytest.mark.parametrize("state_bits", [8, 16])
def test_fewer_state_bits_lower_the_caps(state_bits: int) -> None:
    found = audit(read_layout(MAMBA_2_8B, state_bits), 1024)
    assert found.fixed == 64 * 5120 * (16 * state_bits + 3 * 16)


def test_families_of_flash_linear_attention_follow_their_formulas() -> None:
    """Shapes as in that library's source; its models are not run here."""
    common = {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 50, "num_heads": 4}
    expected = {
        "gla": (4 * 8 * 16, 0),
        "retnet": (4 * 16 * 32, 0),
        "rwkv6": (4 * 8 * 16, 128),
        "delta_net": (4 * 16 * 16, 3 * 3 * 64),
        "gated_deltanet": (4 * 16 * 32, 3 * (64 + 64 + 128)),
    }
    for family, (recurrent, shift) in expected.items():
        layer = read_layout({"model_type": family, **common}).layers[0]
        assert (layer.recurrent, layer.shift) == (recurrent, shift), family
    mamba3 = read_layout({"model_type": "mamba3", **common, "head_dim": 16, "state_size": 24})
    assert mamba3.layers[0].recurrent == 4 * 16 * 24 and mamba3.notes
    uneven = RWKV7 | {"num_hidden_layers": 2, "value_dim": [2560, 5120]}
    assert [layer.recurrent for layer in read_layout(uneven).layers] == [40 * 64 * 64, 40 * 64 * 128]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "no model_type"),
        ({"model_type": "resnet"}, "'resnet' is not known"),
        ({"model_type": "mamba2", "num_hidden_layers": 2, "vocab_size": 9}, "lacks the field 'num_heads'"),
        (MAMBA_2_8B | {"num_hidden_layers": -3}, "num_hidden_layers = -3"),
        (MAMBA_2_8B | {"num_hidden_layers": 10**9}, "at most"),
        (MAMBA_2_8B | {"hidden_size": "wide"}, "hidden_size = 'wide'"),
        (MAMBA_2_8B | {"hidden_size": True}, "hidden_size = True"),
        (QWEN3_NEXT | {"layer_types": ["linear_attention"]}, "1 entries for 48 layers"),
        (QWEN3_NEXT | {"layer_types": ["conv"] * 48}, "'conv'; known are"),
        (QWEN3_NEXT | {"layer_types": "linear"}, "not a list of words"),
        (KIMI | {"linear_attn_config": 7}, "not an object"),
        (JAMBA | {"num_attention_heads": 0}, "num_attention_heads = 0"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(config: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_layout(config)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_command(separatrix: Any) -> None:
    Path("config.json").write_text(json.dumps(QWEN3_NEXT))
    code, out, _ = separatrix("audit", "config.json", "--context", "131072", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["break_even"] == 3144 and len(answer["layers"]) == 48
    assert sum(layer["bits"] for layer in answer["layers"]) == answer["fixed"]
    code, out, _ = separatrix("audit", ".", "--context", "131072")
    assert code == 0 and "618,135,552 bits" in out and "No bound on carried bits is active" in out
    for bad in (
        ["config.json", "--context", "0"],
        ["config.json", "--context", "9", "--symbols", "1"],
        ["gone", "--context", "9"],
    ):
        code, _, err = separatrix("audit", *bad)
        assert code == 2 and err.count("\n") == 1
    Path("config.json").write_text("{")
    code, _, err = separatrix("audit", "config.json", "--context", "9")
    assert code == 2 and "not valid JSON" in err and err.count("\n") == 1


def test_every_family_says_which_fields_it_needs() -> None:
    for family in FAMILIES:
        with pytest.raises(InputError, match=r"lacks the field|has neither"):
            read_layout({"model_type": family})


def test_multimodal_configs_are_read_where_the_text_is() -> None:
    nested = {"model_type": "some_vision", "dtype": "float32", "text_config": QWEN3_NEXT}
    assert read_layout(nested).layers == read_layout(QWEN3_NEXT).layers and read_layout(nested).cache_bits == 32
