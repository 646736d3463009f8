"""States that are vectors: RWKV-4, the RG-LRU of RecurrentGemma, and the gated short convolutions of LFM2."""

from __future__ import annotations

from separatrix.cannot.audit.config import Fields, reader
from separatrix.cannot.audit.families.attention import attention_layer
from separatrix.cannot.audit.layout import Layer, Layout


@reader("rwkv")
def rwkv4(f: Fields) -> Layout:
    """Numerator, denominator and maximum of every channel, and the last token for each of the two mixes."""
    hidden = f.integer("hidden_size")
    layer = Layer("rwkv-4", 3 * f.integer("attention_hidden_size", hidden), 2 * hidden)
    return Layout(f.family, (layer,) * f.layers(), f.integer("vocab_size"))


@reader("recurrent_gemma")
def recurrent_gemma(f: Fields) -> Layout:
    """Cycles through `block_types`: two RG-LRU layers, then attention over a window."""
    count, width = f.layers(), f.integer("lru_width", f.integer("hidden_size"))
    recurrent = Layer("rg-lru", width, width * (f.integer("conv1d_width", 4) - 1))
    window = f.integer("attention_window_size", 2048)
    cycle = f.words("block_types") or f.words("_block_types") or ["recurrent", "recurrent", "attention"]
    layers = []
    for i in range(count):
        kind = cycle[i % len(cycle)]
        if kind not in ("recurrent", "attention"):
            raise f.unknown("block_types", kind, "recurrent, attention")
        layers.append(recurrent if kind == "recurrent" else attention_layer(f, window=window))
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("lfm2", "lfm2_moe")
def lfm2(f: Fields) -> Layout:
    """Short convolutions keep the last tokens only; `layer_types` says where attention is."""
    count, hidden = f.layers(), f.integer("hidden_size")
    short = Layer("short convolution", shift=hidden * (f.integer("conv_L_cache", 3) - 1))
    kinds, full = f.kinds("layer_types", count), f.indices("full_attn_idxs") or []
    kinds = kinds or ["full_attention" if i in full else "conv" for i in range(count)]
    layers = []
    for kind in kinds:
        if kind not in ("conv", "full_attention"):
            raise f.unknown("layer_types", kind, "conv, full_attention")
        layers.append(short if kind == "conv" else attention_layer(f))
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))
