"""Mamba-1 (Gu, Dao 2023) and hybrids with it: Jamba, Zamba.

Every channel has a state of `d_state` numbers; keys are shared by all channels, so a layer is one memory with keys of
width d_state.
"""

from __future__ import annotations

from separatrix.cannot.audit.config import Fields, reader
from separatrix.cannot.audit.families.attention import attention_layer
from separatrix.cannot.audit.layout import Layer, Layout


def mamba_layer(channels: int, state: int, kernel: int) -> Layer:
    """Channels times state, and the last kernel - 1 tokens of every channel."""
    return Layer("mamba", channels * state, channels * (kernel - 1), memory=(1, state, channels))


@reader("mamba", "falcon_mamba")
def mamba(f: Fields) -> Layout:
    """Mamba in every layer."""
    channels = f.integer("intermediate_size", int(f.number("expand", 2) * f.integer("hidden_size")))
    layer = mamba_layer(channels, f.integer("state_size", 16), f.integer("conv_kernel", 4))
    return Layout(f.family, (layer,) * f.layers(), f.integer("vocab_size"))


@reader("jamba")
def jamba(f: Fields) -> Layout:
    """Attention in every `attn_layer_period`-th layer, Mamba in the others."""
    channels = int(f.number("mamba_expand", 2) * f.integer("hidden_size"))
    recurrent = mamba_layer(channels, f.integer("mamba_d_state", 16), f.integer("mamba_d_conv", 4))
    period, offset = f.integer("attn_layer_period", 8), f.integer("attn_layer_offset", 4, least=0)
    layers = [attention_layer(f) if i % period == offset else recurrent for i in range(f.layers())]
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("zamba")
def zamba(f: Fields) -> Layout:
    """Mamba in every layer; hybrid layers have shared attention of double width besides."""
    hidden, count = f.integer("hidden_size"), f.layers()
    channels = int(f.number("mamba_expand", 2) * hidden)
    recurrent = mamba_layer(channels, f.integer("mamba_d_state", 16), f.integer("mamba_d_conv", 4))
    width = f.integer("attention_head_dim", 2 * hidden // f.integer("num_attention_heads"))
    kinds = f.kinds("layers_block_type", count)
    if kinds is None:
        period, offset = f.integer("attn_layer_period", 6), f.integer("attn_layer_offset", 4, least=0)
        kinds = ["hybrid" if i % period == offset else "mamba" for i in range(count)]
    layers = []
    for kind in kinds:
        if kind not in ("mamba", "linear_attention", "hybrid"):
            raise f.unknown("layers_block_type", kind, "mamba, hybrid")
        layers.append(beside(recurrent, attention_layer(f, width)) if kind == "hybrid" else recurrent)
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


def beside(recurrent: Layer, attention: Layer) -> Layer:
    """A layer with both."""
    return Layer(
        f"{recurrent.kind} and {attention.kind}",
        recurrent.recurrent,
        recurrent.shift,
        attention.keys,
        attention.window,
        recurrent.memory,
    )
