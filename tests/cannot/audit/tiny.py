"""Tiny configs of the families that transformers ships, with sizes that tell every factor of a formula apart."""

from __future__ import annotations

from typing import Any

WORDS: dict[str, Any] = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
PLAIN = {**WORDS, "hidden_size": 64, "num_hidden_layers": 4}
HEADS = {**PLAIN, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
LATENT = {
    **HEADS, "num_key_value_heads": 4, "kv_lora_rank": 20, "q_lora_rank": 24, "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 12, "v_head_dim": 12, "n_routed_experts": 4, "n_group": 1, "topk_group": 1,
    "num_experts_per_tok": 2, "moe_intermediate_size": 16, "first_k_dense_replace": 4,
}  # fmt: skip
MAMBA2 = {
    "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 20, "mamba_expand": 2,
    "mamba_chunk_size": 8,
}  # fmt: skip
DELTA = {
    "head_dim": 16, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 16,
    "linear_value_head_dim": 24,
}  # fmt: skip
EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}
SOME = {
    **EXPERTS, "num_experts": 2, "n_routed_experts": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16
}  # fmt: skip
WIDE = {**HEADS, "head_dim": 24}
NEAR = {**HEADS, "sliding_window": 5}
SPARSE = {**HEADS, **SOME}
WIDE_SPARSE = {**WIDE, **SOME}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": HEADS,
    **dict.fromkeys(("cohere", "olmo", "stablelm", "phi", "granite", "smollm3", "arcee", "seed_oss"), HEADS),
    **dict.fromkeys(("gemma", "glm", "glm4"), WIDE),
    **dict.fromkeys(("phi3", "starcoder2", "exaone4", "cohere2", "olmo3"), NEAR),
    **dict.fromkeys(("qwen2_moe", "olmoe", "granitemoe"), SPARSE),
    **dict.fromkeys(("qwen3_moe", "glm4_moe", "minimax_m2"), WIDE_SPARSE),
    "mixtral": {**NEAR, **EXPERTS},
    "helium": {**HEADS, "head_dim": 16},
    "ministral": {**NEAR, "head_dim": 16, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
    "minicpm3": {key: value for key, value in LATENT.items() if "group" not in key and "experts" not in key},
    "gpt_neox": {**PLAIN, "num_attention_heads": 4, "intermediate_size": 64},
    "gpt_neo": {  # a window that is not reached: its cache keeps what local layers do not see any more
        **WORDS, "hidden_size": 64, "num_layers": 4, "num_heads": 4, "attention_types": [[["global", "local"], 2]],
        "window_size": 9, "intermediate_size": 64, "max_position_embeddings": 64,
    },
    "gpt_bigcode": {**WORDS, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64},
    "gptj": {**WORDS, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64, "rotary_dim": 8},
    "gpt2": {**WORDS, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64},
    "mistral": {**HEADS, "sliding_window": 5},
    "qwen2": {**HEADS, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2},
    "qwen3": {**HEADS, "head_dim": 24},
    "gemma2": {**HEADS, "head_dim": 24, "sliding_window": 5},
    "gemma3_text": {**HEADS, "head_dim": 24, "sliding_window": 5, "num_hidden_layers": 7},
    "gpt_oss": {**HEADS, **EXPERTS, "head_dim": 16, "sliding_window": 5},
    "olmo2": HEADS,
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT,
    "mamba": {**PLAIN, "state_size": 12},
    "falcon_mamba": {**PLAIN, "state_size": 12},
    "mamba2": {
        **PLAIN, "num_heads": 8, "head_dim": 16, "state_size": 24, "n_groups": 2, "expand": 2, "chunk_size": 8
    },
    "rwkv": {**PLAIN, "intermediate_size": 64},
    "xlstm": {**PLAIN, "num_heads": 4, "hidden_size": 128, "qk_dim_factor": 0.5, "chunk_size": 8},
    "recurrent_gemma": {
        **HEADS, "num_hidden_layers": 6, "lru_width": 96, "attention_window_size": 5, "num_key_value_heads": 1
    },
    "jamba": {
        **HEADS, "num_hidden_layers": 8, "attn_layer_period": 4, "attn_layer_offset": 2, "num_experts": 1,
        "num_experts_per_tok": 1, "use_mamba_kernels": False,
    },
    "zamba": {
        **PLAIN, "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 4, "attn_layer_period": 3,
        "attn_layer_offset": 2, "intermediate_size": 64, "attention_head_dim": 32, "n_mamba_heads": 2,
        "use_mamba_kernels": False,
    },
    "zamba2": {
        **PLAIN, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 64,
        "mamba_d_state": 12, "mamba_ngroups": 1, "n_mamba_heads": 8, "mamba_headdim": 16,
        "layers_block_type": ["mamba", "mamba", "hybrid", "mamba", "mamba", "hybrid"], "hybrid_layer_ids": [2, 5],
        "num_mem_blocks": 1, "chunk_size": 8, "use_mem_eff_path": False, "adapter_rank": 4,
    },
    "falcon_h1": {**HEADS, **MAMBA2, "mamba_d_ssm": 96, "mamba_n_heads": 6, "head_dim": 16},
    "bamba": {**HEADS, **MAMBA2, "attn_layer_indices": [1]},
    "granitemoehybrid": {
        **HEADS, **MAMBA2, **EXPERTS, "layer_types": ["mamba", "attention", "mamba", "mamba"],
        "shared_intermediate_size": 32,
    },
    "nemotron_h": {
        **HEADS, "head_dim": 16, "hybrid_override_pattern": "M*-M", "mamba_num_heads": 8, "mamba_head_dim": 16,
        "n_groups": 2, "ssm_state_size": 24, "conv_kernel": 4, "chunk_size": 8,
    },
    "qwen3_next": {
        **HEADS, **DELTA, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
    },
    "qwen3_5_text": {**HEADS, **DELTA},
    "qwen3_5_moe_text": {
        **HEADS, **DELTA, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
    },
    "olmo_hybrid": {**HEADS, **DELTA},
    "kimi_linear": {
        **LATENT, "q_lora_rank": None, "layer_types": ["linear_attention"] * 3 + ["full_attention"],
        "linear_num_heads": 4, "linear_head_dim": 24, "num_local_experts": 2, "num_experts_per_tok": 1,
    },
    "bailing_hybrid": {
        **LATENT, "q_lora_rank": None, "layer_group_size": 2, "head_dim": 16, "num_local_experts": 2,
        "num_experts": 2, "num_experts_per_tok": 1,
    },
    "minimax": {**HEADS, **EXPERTS, "head_dim": 24, "block_size": 8},
    "lfm2_moe": {
        **HEADS, **SOME, "layer_types": ["conv", "full_attention", "conv", "conv"], "conv_L_cache": 3,
        "num_dense_layers": 2,
    },
    "lfm2": {**HEADS, "layer_types": ["conv", "full_attention", "conv", "conv"], "conv_L_cache": 3, "block_ff_dim": 64},
}  # fmt: skip
