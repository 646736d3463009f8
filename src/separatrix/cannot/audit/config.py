"""Reads the config.json of a model in the format of Hugging Face transformers; every wrong field is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from separatrix.cannot.audit.layout import Layout
from separatrix.core.errors import InputError
from separatrix.core.files import read_bytes

MOST_BYTES = 16 * 2**20
MOST_LAYERS = 10_000
BITS = {"float64": 64, "float32": 32, "bfloat16": 16, "float16": 16, "float8_e4m3fn": 8, "float8_e5m2": 8}
NESTED = ("text_config", "language_config", "llm_config")  # where multimodal models keep what concerns text


class Fields:
    """The fields of a config, each checked when it is read.

    Attributes:
        family: the model_type.
    """

    def __init__(self, values: Mapping[str, Any], family: str) -> None:
        self.values, self.family = values, family

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(name) is not None

    def integer(self, name: str, default: int | None = None, least: int = 1) -> int:
        """A whole number; `default` where it is missing or null."""
        value = self.values.get(name)
        if value is None:
            if default is None:
                raise InputError(f"the config of {self.family} lacks the field {name!r}; save it with transformers")
            return default
        if type(value) is not int or not least <= value <= 2**40:
            raise InputError(f"the config of {self.family}: {name} = {value!r}; a whole number from {least} is needed")
        return value

    def number(self, name: str, default: float) -> float:
        """A positive number."""
        value = self.values.get(name, default)
        if type(value) not in (int, float) or not 0 < value < 2**40:
            raise InputError(f"the config of {self.family}: {name} = {value!r}; a positive number is needed")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(name, default)
        return default if value is None else bool(value)

    def layers(self, name: str = "num_hidden_layers", default: int | None = None) -> int:
        """The number of layers."""
        count = self.integer(name, default)
        if count > MOST_LAYERS:
            raise InputError(f"the config of {self.family}: {name} = {count}; at most {MOST_LAYERS} layers are read")
        return count

    def words(self, name: str) -> list[str] | None:
        """A list of words that is not empty; None where it is missing."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) for item in value):
            raise InputError(f"the config of {self.family}: {name} is not a list of words")
        return list(value)

    def kinds(self, name: str, count: int) -> list[str] | None:
        """A list with one word a layer; None where it is missing."""
        value = self.words(name)
        if value is not None and len(value) < count:
            raise InputError(f"the config of {self.family}: {name} has {len(value)} entries for {count} layers")
        return None if value is None else value[:count]

    def indices(self, name: str) -> list[int] | None:
        """A list of layer numbers; None where it is missing."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise InputError(f"the config of {self.family}: {name} is not a list of layer numbers")
        return value

    def inner(self, name: str) -> Fields:
        """A nested object."""
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise InputError(f"the config of {self.family}: {name} is not an object")
        return Fields(value, f"{self.family} ({name})")

    def unknown(self, name: str, value: object, known: str) -> InputError:
        """The error for a word that is not known."""
        return InputError(f"the config of {self.family}: {name} holds {value!r}; known are {known}")


Reader = Callable[[Fields], Layout]
FAMILIES: dict[str, Reader] = {}


def reader(*names: str) -> Callable[[Reader], Reader]:
    """Decorator: the reader of these model_types."""

    def enter(function: Reader) -> Reader:
        FAMILIES.update(dict.fromkeys(names, function))
        return function

    return enter


def read_layout(source: Path | Mapping[str, Any], state_bits: int | None = None) -> Layout:
    """The layout of a model, from its config.json or from what is in it; InputError for anything unknown.

    Args:
        state_bits: of one number of a recurrent state, where the model's own choice is not wanted.
    """
    values = source if isinstance(source, Mapping) else _read(source)
    for name in NESTED:
        nested = values.get(name)
        if isinstance(nested, dict) and values.get("model_type") not in FAMILIES:
            values = {**{k: v for k, v in values.items() if k in ("torch_dtype", "dtype")}, **nested}
    family = values.get("model_type")
    if not isinstance(family, str):
        raise InputError("the config has no model_type; is it the config.json of a transformers model?")
    if family not in FAMILIES:
        raise InputError(f"model_type {family[:60]!r} is not known; known are {', '.join(sorted(FAMILIES))}")
    layout = FAMILIES[family](Fields(values, family))
    bits = state_bits or _bits(values, ("mamba_ssm_cache_dtype", "mamba_ssm_dtype", "inference_state_dtype"), 32)
    return replace(layout, state_bits=bits, cache_bits=_bits(values, ("torch_dtype", "dtype"), 16))


def _bits(values: Mapping[str, Any], names: tuple[str, ...], default: int) -> int:
    words = [str(values[name]).removeprefix("torch.") for name in names if values.get(name) is not None]
    return next((BITS[word] for word in words if word in BITS), default)


def _read(path: Path) -> Mapping[str, Any]:
    data = read_bytes(path / "config.json" if path.is_dir() else path, MOST_BYTES)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: a config is a JSON object")
    return values


from separatrix.cannot.audit.families import (  # noqa: E402  (they register themselves)
    attention,  # noqa: F401
    delta,  # noqa: F401
    gated,  # noqa: F401
    mamba,  # noqa: F401
    mamba2,  # noqa: F401
    matrix,  # noqa: F401
)
