"""Files: atomic writes, strict and canonical JSON, hashes, tensors that are never unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from separatrix.core.errors import InputError

MAX_JSON_BYTES = 64 * 2**20
MAX_TENSOR_BYTES = 16 * 2**30


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Indented UTF-8 with keys in their given order; floats are refused (write them as hex strings)."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False, default=_no_json)
    return (text + "\n").encode()


def _no_json(value: Any) -> Any:
    if isinstance(value, np.integer):
        return int(value)
    raise TypeError(f"{type(value).__name__} does not go into a file")


def strict_json(data: bytes, name: str) -> Any:
    """Reads JSON; duplicate keys, decimal floats, NaN, absurd sizes and bad UTF-8 are InputErrors."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(items)
        if len(keys) != len(items):
            raise ValueError("a key stands twice in one object")
        return keys

    def no_float(text: str) -> NoReturn:
        raise ValueError(f"number {text[:40]} is not allowed; numbers are integers or hex-float strings")

    def integer(text: str) -> int:
        if len(text) > 19:
            raise ValueError(f"integer {text[:20]}... is too large")
        return int(text)

    if len(data) > MAX_JSON_BYTES:
        raise InputError(f"{name}: {len(data)} bytes are too many for a JSON file of this project")
    try:
        return json.loads(
            data, object_pairs_hook=pairs, parse_float=no_float, parse_constant=no_float, parse_int=integer
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not valid JSON ({error or 'nested too deeply'})") from None


def read_bytes(path: Path, limit: int = MAX_TENSOR_BYTES) -> bytes:
    """The file's bytes; a missing, unreadable or oversized file is an InputError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a regular file")
        if status.st_size > limit:
            raise InputError(f"{path}: {status.st_size} bytes; at most {limit} are read")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def write_atomically(path: Path, data: bytes) -> None:
    """Writes to a neighbour and renames; on failure (a full disk) nothing is left under the final name."""
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); nothing was changed") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def tensors_to_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The safetensors file of these arrays; equal arrays give equal bytes."""
    from safetensors.numpy import save

    return save({name: np.asarray(tensors[name], order="C") for name in sorted(tensors)})


def tensors_from_bytes(data: bytes, name: str) -> dict[str, np.ndarray]:
    """Inverse of `tensors_to_bytes`; anything but a safetensors file (a pickle, say) is an InputError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        kind = (
            "a pickle, which is never opened"
            if data[:2] in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK")
            else str(error)
        )
        raise InputError(f"{name}: not a safetensors file ({kind})") from None
