"""The delta rule (Yang et al. 2024) and hybrids: DeltaNet, Gated DeltaNet, Qwen3-Next, OLMo Hybrid, Kimi Linear.

A head is a matrix of key width times value width; a write first takes away what the key held.
"""

from __future__ import annotations

from separatrix.cannot.audit.config import Fields, reader
from separatrix.cannot.audit.families.attention import attention_layer, latent_layer
from separatrix.cannot.audit.layout import Layer, Layout
from separatrix.core.errors import InputError


def delta_layer(kind: str, key_heads: int, value_heads: int, key: int, value: int, kernel: int) -> Layer:
    """One matrix a value head; short convolutions over queries, keys and values."""
    shift = (2 * key_heads * key + value_heads * value) * (kernel - 1)
    return Layer(kind, value_heads * key * value, shift, memory=(value_heads, key, value))


@reader("qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text", "olmo_hybrid")
def gated_deltanet_hybrid(f: Fields) -> Layout:
    """Gated DeltaNet, with full attention in every fourth layer or where `layer_types` says so."""
    count, heads, hidden = f.layers(), f.integer("num_attention_heads"), f.integer("hidden_size")
    olmo = f.family == "olmo_hybrid"
    key_heads = f.integer("linear_num_key_heads", heads if olmo else None)
    value_heads = f.integer("linear_num_value_heads", heads if olmo else None)
    key = f.integer("linear_key_head_dim", int(0.75 * hidden / key_heads) if olmo else None)
    value = f.integer("linear_value_head_dim", 2 * key if olmo else None)
    recurrent = delta_layer(
        "gated deltanet", key_heads, value_heads, key, value, f.integer("linear_conv_kernel_dim", 4)
    )
    period = f.integer("full_attention_interval", 4)
    kinds = f.kinds("layer_types", count)
    kinds = kinds or ["linear_attention" if (i + 1) % period else "full_attention" for i in range(count)]
    layers = []
    for kind in kinds:
        if kind not in ("linear_attention", "full_attention"):
            raise f.unknown("layer_types", kind, "linear_attention, full_attention")
        layers.append(recurrent if kind[0] == "l" else attention_layer(f))
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("kimi_linear")
def kimi_linear(f: Fields) -> Layout:
    """Kimi delta attention, with latent attention in the layers that the config lists (counted from 1)."""
    count = f.layers()
    if f.has("linear_attn_config"):
        inner = f.inner("linear_attn_config")
        full = inner.indices("full_attn_layers") or []
        kinds = ["full_attention" if i + 1 in full else "linear_attention" for i in range(count)]
        heads, width = inner.integer("num_heads"), inner.integer("head_dim")
        kernel = inner.integer("short_conv_kernel_size", 4)
    else:
        kinds = f.kinds("layer_types", count)
        if kinds is None:
            raise InputError("the config of kimi_linear has neither linear_attn_config nor layer_types")
        heads, width = f.integer("linear_num_heads"), f.integer("linear_head_dim")
        kernel = f.integer("linear_conv_kernel_dim", 4)
    recurrent = delta_layer("kimi delta attention", heads, heads, width, width, kernel)
    layers = [recurrent if kind == "linear_attention" else latent_layer(f) for kind in kinds]
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("bailing_hybrid")
def bailing_hybrid(f: Fields) -> Layout:
    """Kimi delta attention, with latent attention at the end of every group of layers."""
    count, heads = f.layers(), f.integer("num_attention_heads")
    width = f.integer("linear_head_dim", f.integer("head_dim", 128))  # transformers saves another head_dim
    recurrent = delta_layer("kimi delta attention", heads, heads, width, width, f.integer("short_conv_kernel_size", 4))
    group = f.integer("layer_group_size", 6)
    kinds = f.kinds("layer_types", count)
    kinds = kinds or ["linear_attention" if (i + 1) % group else "full_attention" for i in range(count)]
    layers = [recurrent if kind == "linear_attention" else latent_layer(f) for kind in kinds]
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("delta_net", "gated_deltanet")
def deltanet(f: Fields) -> Layout:
    """The models of flash-linear-attention."""
    hidden, heads, gated = f.integer("hidden_size"), f.integer("num_heads"), f.family == "gated_deltanet"
    key = f.integer("head_dim", int(f.number("expand_k", 1.0) * hidden / heads))
    value_heads = f.integer("num_v_heads", heads)
    value = int(f.number("expand_v", 2.0 if gated else 1.0) * (key if gated else hidden / heads))
    kernel = f.integer("conv_size", 4) if f.flag("use_short_conv", True) else 1
    layer = delta_layer("gated deltanet" if gated else "deltanet", heads, value_heads, key, value, kernel)
    return Layout(f.family, (layer,) * f.layers(), f.integer("vocab_size"))
