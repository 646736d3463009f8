"""Softmax attention: dense, sliding windows, and multi-head latent attention (DeepSeek-V2, 2024)."""

from __future__ import annotations

from separatrix.cannot.audit.config import Fields, reader
from separatrix.cannot.audit.layout import Layer, Layout

GPT2 = ("gpt2", "gpt_neo", "gptj", "gpt_bigcode")
DENSE = (
    "llama", "mistral", "ministral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2",
    "gemma3_text", "gpt_neox", "gpt_oss", "olmo", "olmo2", "olmo3", "olmoe", "phi", "phi3", "stablelm", "starcoder2",
    "cohere", "cohere2", "granite", "granitemoe", "smollm3", "glm", "glm4", "glm4_moe", "exaone4", "seed_oss",
    "minimax_m2", "helium", "arcee",
)  # fmt: skip
LATENT = ("deepseek_v2", "deepseek_v3", "minicpm3", "longcat_flash")
FULL, SLIDING = "full_attention", "sliding_attention"


def attention_layer(f: Fields, head_width: int | None = None, window: int | None = None) -> Layer:
    """Grouped-query attention: a key and a value for every key-value head."""
    heads = f.integer("num_attention_heads")
    kv = f.integer("num_key_value_heads", heads)
    width = head_width or f.integer("head_dim", max(1, f.integer("hidden_size") // heads))
    words = "attention" if window is None else f"attention over the last {window} tokens"
    return Layer(words, keys=2 * kv * width, window=window)


def latent_layer(f: Fields) -> Layer:
    """Multi-head latent attention: one compressed vector and one rotary key for all heads."""
    return Layer("latent attention", keys=f.integer("kv_lora_rank") + f.integer("qk_rope_head_dim"))


@reader(*GPT2)
def gpt2(f: Fields) -> Layout:
    """GPT-2 and its kin, which name their fields otherwise."""
    heads = f.integer("n_head" if f.has("n_head") else "num_heads")
    width = f.integer("n_embd" if f.has("n_embd") else "hidden_size")
    count = f.layers("n_layer" if f.has("n_layer") else "num_layers")
    kv = 1 if f.family == "gpt_bigcode" and f.flag("multi_query", True) else heads
    kinds: list[str] = ["global"] * count
    if f.family == "gpt_neo":
        kinds = f.kinds("attention_layers", count) or kinds
    window = f.integer("window_size", 256)
    keys = 2 * kv * (width // heads)
    layers = [
        Layer(f"attention over the last {window} tokens", keys=keys, window=window)
        if kind == "local"
        else Layer("attention", keys=keys)
        for kind in kinds
    ]
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader(*DENSE)
def dense(f: Fields) -> Layout:
    """Dense attention; `layer_types` or a window for all layers say which see the last tokens only."""
    count = f.layers()
    window = f.integer("sliding_window", 0, least=0) if f.flag("use_sliding_window", True) else 0
    kinds = f.kinds("layer_types", count)
    if kinds is None:
        first_full = f.integer("max_window_layers", 0, least=0) if f.family.startswith("qwen") else 0
        kinds = [SLIDING if window and i >= first_full else FULL for i in range(count)]
        if f.family in ("gemma2", "gpt_oss"):
            kinds = [FULL if i % 2 else SLIDING for i in range(count)]
        elif f.family in ("gemma3_text", "cohere2"):
            period = f.integer("sliding_window_pattern", 6 if f.family == "gemma3_text" else 4)
            kinds = [SLIDING if (i + 1) % period else FULL for i in range(count)]
    layers = []
    for kind in kinds:
        if kind not in (FULL, SLIDING):
            raise f.unknown("layer_types", kind, f"{FULL}, {SLIDING}")
        layers.append(attention_layer(f, window=f.integer("sliding_window") if kind == SLIDING else None))
    return Layout(f.family, tuple(layers), f.integer("vocab_size"))


@reader(*LATENT)
def latent(f: Fields) -> Layout:
    """A compressed vector a token in every layer; implementations that store whole heads store more of the same."""
    count = f.layers("num_layers") * 2 if f.family == "longcat_flash" else f.layers()
    return Layout(f.family, (latent_layer(f),) * count, f.integer("vocab_size"))
