"""Matrix states written by outer products: linear attention with decay (RetNet, GLA, RWKV, lightning), and xLSTM."""

from __future__ import annotations

from separatrix.cannot.audit.config import Fields, reader
from separatrix.cannot.audit.families.attention import attention_layer
from separatrix.cannot.audit.layout import Layer, Layout


@reader("minimax")
def minimax(f: Fields) -> Layout:
    """Lightning attention, with softmax attention where `layer_types` says so (MiniMax-01, 2025)."""
    count, heads = f.layers(), f.integer("num_attention_heads")
    width = f.integer("head_dim", f.integer("hidden_size") // heads)
    recurrent = Layer("lightning attention", heads * width**2, memory=(heads, width, width))
    kinds = f.kinds("layer_types", count)
    kinds = kinds or ["linear_attention" if i % 2 else "full_attention" for i in range(count)]
    layers = []
    for kind in kinds:
        if kind not in ("linear_attention", "full_attention"):
            raise f.unknown("layer_types", kind, "linear_attention, full_attention")
        layers.append(recurrent if kind[0] == "l" else attention_layer(f))
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("gla", "retnet")
def gated_linear(f: Fields) -> Layout:
    """The models of flash-linear-attention: widths expand_k * hidden and expand_v * hidden, cut into heads."""
    hidden, heads = f.integer("hidden_size"), f.integer("num_heads", 4 if f.family == "gla" else 8)
    key = int(f.number("expand_k", 0.5 if f.family == "gla" else 1.0) * hidden) // heads
    value = int(f.number("expand_v", 1.0 if f.family == "gla" else 2.0) * hidden) // heads
    kernel = f.integer("conv_size", 4) if f.flag("use_short_conv", False) else 1
    shift = (2 * heads * key + heads * value) * (kernel - 1)
    layer = Layer("linear attention with decay", heads * key * value, shift, memory=(heads, key, value))
    return Layout(f.family, (layer,) * f.layers(), f.integer("vocab_size"))


@reader("rwkv6")
def rwkv6(f: Fields) -> Layout:
    """RWKV-6 of flash-linear-attention: a matrix a head, and the last token for each of the two mixes."""
    hidden, heads = f.integer("hidden_size"), f.integer("num_heads", 4)
    key, value = (int(f.number(name, e) * hidden) // heads for name, e in (("expand_k", 0.5), ("expand_v", 1.0)))
    layer = Layer("rwkv-6", heads * key * value, 2 * hidden, memory=(heads, key, value))
    return Layout(f.family, (layer,) * f.layers(), f.integer("vocab_size"))


@reader("rwkv7")
def rwkv7(f: Fields) -> Layout:
    """RWKV-7 of flash-linear-attention; the value width may differ from layer to layer."""
    hidden, width, count = f.integer("hidden_size"), f.integer("head_dim", 64), f.layers()
    heads = hidden // width
    given = f.values.get("value_dim")
    widths = given if isinstance(given, list) and len(given) == count else [given or hidden] * count
    layers = []
    for total in widths:
        value = Fields({"value_dim": total}, f.family).integer("value_dim") // heads
        layers.append(Layer("rwkv-7", heads * width * value, 2 * hidden, memory=(heads, width, value)))
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("xlstm")
def xlstm(f: Fields) -> Layout:
    """mLSTM: a matrix, a normaliser and a maximum a head; widths are rounded up to multiples of 64."""
    hidden = f.integer("hidden_size") if f.has("hidden_size") else f.integer("embedding_dim")
    heads, count = f.integer("num_heads"), f.layers() if f.has("num_hidden_layers") else f.layers("num_blocks")
    key, value = (
        -(-int(f.number(name, factor) * hidden) // 64) * 64 // heads
        for name, factor in (("qk_dim_factor", 0.5), ("v_dim_factor", 1.0))
    )
    layer = Layer("mlstm", heads * (key * value + key + 1), memory=(heads, key, value))
    return Layout(f.family, (layer,) * count, f.integer("vocab_size"))
