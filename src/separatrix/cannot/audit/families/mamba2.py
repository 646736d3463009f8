"""Mamba-2 (Dao, Gu 2024), Mamba-3, and hybrids: Zamba2, Falcon-H1, Bamba, Granite 4, Nemotron-H.

A head is a matrix of head width times state, written by outer products; keys and queries are shared by the heads of a
group.
"""

from __future__ import annotations

from separatrix.cannot.audit.config import Fields, reader
from separatrix.cannot.audit.families.attention import attention_layer
from separatrix.cannot.audit.families.mamba import beside
from separatrix.cannot.audit.layout import Layer, Layout
from separatrix.core.errors import InputError


def mamba2_layer(heads: int, width: int, state: int, groups: int, kernel: int) -> Layer:
    """One matrix a head; the convolution runs over values, keys and queries."""
    shift = (heads * width + 2 * groups * state) * (kernel - 1)
    return Layer("mamba-2", heads * width * state, shift, memory=(heads, state, width))


@reader("mamba2")
def mamba2(f: Fields) -> Layout:
    """Mamba-2 in every layer."""
    layer = mamba2_layer(
        f.integer("num_heads"),
        f.integer("head_dim"),
        f.integer("state_size"),
        f.integer("n_groups", 1),
        f.integer("conv_kernel", 4),
    )
    return Layout(f.family, (layer,) * f.layers(), f.integer("vocab_size"))


@reader("mamba3")
def mamba3(f: Fields) -> Layout:
    """No convolution; the last token's key and value, and rotary angles, are kept instead."""
    heads, width, state = f.integer("num_heads"), f.integer("head_dim"), f.integer("state_size")
    rank = f.integer("mimo_rank", 1)
    shift = rank * heads * state + heads * width + heads * (state // 2)
    layer = Layer("mamba-3", heads * width * state, shift, memory=(heads, state, width))
    notes = ("the key of the last token and the angles are counted as in flash-linear-attention, not from a run",)
    return Layout(f.family, (layer,) * f.layers(), f.integer("vocab_size"), notes=notes)


@reader("zamba2")
def zamba2(f: Fields) -> Layout:
    """Mamba-2 in every layer; hybrid layers have shared attention of double width besides."""
    hidden, count = f.integer("hidden_size"), f.layers()
    channels, heads = int(f.number("mamba_expand", 2) * hidden), f.integer("n_mamba_heads", 8)
    state, groups = f.integer("mamba_d_state", 64), f.integer("mamba_ngroups", 1)
    recurrent = mamba2_layer(heads, channels // heads, state, groups, f.integer("mamba_d_conv", 4))
    width = f.integer("attention_head_dim", 2 * hidden // f.integer("num_attention_heads"))
    kinds = f.kinds("layers_block_type", count)
    if kinds is None:
        hybrid = f.indices("hybrid_layer_ids")
        if hybrid is None:
            raise InputError("the config of zamba2 has neither layers_block_type nor hybrid_layer_ids")
        kinds = ["hybrid" if i in hybrid else "mamba" for i in range(count)]
    layers = []
    for kind in kinds:
        if kind not in ("mamba", "linear_attention", "hybrid"):
            raise f.unknown("layers_block_type", kind, "mamba, hybrid")
        layers.append(beside(recurrent, attention_layer(f, width)) if kind == "hybrid" else recurrent)
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


def _inner(f: Fields) -> Layer:
    """The Mamba-2 layer of the models that name its fields mamba_*."""
    return mamba2_layer(
        f.integer("mamba_n_heads"),
        f.integer("mamba_d_head"),
        f.integer("mamba_d_state"),
        f.integer("mamba_n_groups", 1),
        f.integer("mamba_d_conv", 4),
    )


@reader("falcon_h1")
def falcon_h1(f: Fields) -> Layout:
    """Mamba-2 and attention side by side in every layer."""
    return Layout(f.family, (beside(_inner(f), attention_layer(f)),) * f.layers(), f.integer("vocab_size"))


@reader("bamba")
def bamba(f: Fields) -> Layout:
    """Attention in the layers of `attn_layer_indices`, Mamba-2 in the others."""
    count = f.layers()
    where = f.indices("attn_layer_indices") or []
    layers = [attention_layer(f) if i in where else _inner(f) for i in range(count)]
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("granitemoehybrid")
def granite(f: Fields) -> Layout:
    """`layer_types` says mamba or attention."""
    count = f.layers()
    layers = []
    for kind in f.kinds("layer_types", count) or ["mamba"] * count:
        if kind not in ("mamba", "linear_attention", "attention", "full_attention"):
            raise f.unknown("layer_types", kind, "mamba, attention")
        layers.append(attention_layer(f) if kind.endswith("attention") and kind[0] != "l" else _inner(f))
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader("nemotron_h")
def nemotron_h(f: Fields) -> Layout:
    """A pattern of M (Mamba-2), * (attention), - (feed-forward) and E (experts), or the same in words."""
    words = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
    if f.has("hybrid_override_pattern"):
        pattern = f.values["hybrid_override_pattern"]
        kinds = [words.get(letter, letter) for letter in str(pattern)]
    else:
        kinds = f.words("layers_block_type") or f.words("layer_types")
        if kinds is None:
            raise InputError("the config of nemotron_h has neither hybrid_override_pattern nor layers_block_type")
    recurrent = mamba2_layer(
        f.integer("mamba_num_heads"),
        f.integer("mamba_head_dim"),
        f.integer("ssm_state_size"),
        f.integer("n_groups", 1),
        f.integer("conv_kernel", 4),
    )
    layers = []
    for kind in kinds:
        match kind:
            case "mamba" | "linear_attention":
                layers.append(recurrent)
            case "attention" | "full_attention":
                layers.append(attention_layer(f))
            case "mlp" | "moe" | "dense":
                layers.append(Layer("feed-forward"))
            case _:
                raise f.unknown("hybrid_override_pattern", kind, "M, *, -, E")
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))
