"""The audit against the caches that transformers builds for tiny random models: numbers, layer by layer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cannot.audit.tiny import CONFIGS
from separatrix.cannot.audit import FAMILIES, read_layout

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")
TOKENS = 7
Numbers = tuple[int, int, int]  # recurrent, shift (with the column that the next token pushes out), keys


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def built(family: str) -> tuple[dict[str, Any], Any, Any]:
    """The config as saved, the model, and what it returns for seven tokens."""
    config = transformers.AutoConfig.for_model(family, **CONFIGS[family])
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        outputs = model(torch.arange(TOKENS)[None], use_cache=True)
    return config.to_dict(), model, outputs


def size(value: Any) -> int:
    """Numbers in a tensor, or in all tensors of a list or dictionary."""
    if torch.is_tensor(value):
        return value.numel()
    if isinstance(value, dict):
        return sum(map(size, value.values()))
    return sum(map(size, value)) if isinstance(value, list | tuple) else 0


def cached(model: Any, outputs: Any) -> list[Numbers]:
    """What every layer holds after the tokens."""
    cache = getattr(outputs, "past_key_values", None)
    if cache is None:
        cache = getattr(outputs, "cache_params", None)
    if cache is None and hasattr(outputs, "state"):  # RWKV: last token twice, numerator, denominator, maximum
        count = outputs.state[0].shape[-1]
        return [
            (
                sum(size(outputs.state[k][..., i]) for k in (2, 3, 4)),
                sum(size(outputs.state[k][..., i]) for k in (0, 1)),
                0,
            )
            for i in range(count)
        ]
    if type(cache).__name__ == "xLSTMCache":
        states = cache.rnn_state
        return [(size(states[i]), 0, 0) for i in range(len(states))]
    found, linear = [], getattr(cache, "linear_cache", [])  # minimax keeps its matrices in a list of their own
    for i in range(max(len(cache.layers), len(linear))):
        layer = cache.layers[i] if i < len(cache.layers) else None
        keys = size(getattr(layer, "keys", None)) + size(getattr(layer, "values", None))
        recurrent = size(getattr(layer, "recurrent_states", None))
        recurrent += size(linear[i]) if i < len(linear) else 0
        found.append((recurrent, size(getattr(layer, "conv_states", None)), keys))
    return found


@pytest.mark.parametrize("family", [name for name in CONFIGS if name != "recurrent_gemma"])
def test_the_audit_counts_what_the_cache_holds(family: str) -> None:
    config, model, outputs = built(family)
    assert family in FAMILIES and config["model_type"] == family
    layout, found = read_layout(config), cached(model, outputs)
    assert len(layout.layers) == len(found)
    held = {"rwkv": 1, "lfm2": 3 / 2, "lfm2_moe": 3 / 2}.get(
        family, 4 / 3
    )  # columns held for columns that carry something
    for layer, numbers in zip(layout.layers, found, strict=True):
        assert (layer.recurrent, layer.shift * held, layer.keys * layer.kept(TOKENS)) == pytest.approx(numbers)
    assert layout.vocabulary == 50 and any(sum(numbers) for numbers in found)


def test_recurrent_gemma_holds_its_states_in_the_model() -> None:
    config, model, _ = built("recurrent_gemma")
    layout, found = read_layout(config), dict(vars_of(model))
    recurrent = [size(v) for name, v in sorted(found.items()) if name.endswith("recurrent_states")]
    shift = [size(v) for name, v in sorted(found.items()) if name.endswith("conv1d_state")]
    keys = [size(v) for name, v in sorted(found.items()) if name.endswith(("key_states", "value_states"))]
    lru = [layer for layer in layout.layers if layer.recurrent]
    seeing = [layer for layer in layout.layers if layer.keys]
    assert recurrent == [layer.recurrent for layer in lru] and shift == [layer.shift for layer in lru]
    assert len(seeing) == 2 and all(layer.window == 5 for layer in seeing)
    assert not keys or sum(keys) >= sum(layer.keys * layer.kept(TOKENS) for layer in seeing)


def test_every_family_that_transformers_ships_is_tried_or_named() -> None:
    """The others: multimodal wrappers of families that are tried, and LongCat, whose layers attend twice."""
    shipped = set(FAMILIES) & set(transformers.CONFIG_MAPPING)
    assert shipped - set(CONFIGS) == {"longcat_flash", "qwen3_5", "qwen3_5_moe"}


def vars_of(model: Any) -> Iterator[tuple[str, Any]]:
    """Tensors that modules keep as plain attributes."""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if torch.is_tensor(value):
                yield f"{name}.{key}", value


@pytest.mark.parametrize("family", ["mamba2", "qwen3_next", "llama"])
def test_the_cache_is_all_that_is_carried(family: str) -> None:
    """Continuing from the cache gives the logits of the whole sequence: nothing else went from token to token."""
    _, model, outputs = built(family)
    more = torch.tensor([[7, 8, 9]])
    with torch.no_grad():
        whole = model(torch.cat([torch.arange(TOKENS)[None], more], dim=1)).logits[0, -1]
        cache = outputs.past_key_values if hasattr(outputs, "past_key_values") else outputs.cache_params
        key = "past_key_values" if hasattr(outputs, "past_key_values") else "cache_params"
        for token in more[0]:
            step = model(token[None, None], use_cache=True, **{key: cache})
    assert np.allclose(step.logits[0, -1].numpy(), whole.numpy(), atol=1e-4)
