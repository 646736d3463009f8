"""Attacks on model files: tensors, bytes and configs with hashes that match."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.reference import all_inputs, arb_right
from kernel.file_cases import (
    TASK,
    VALUES,
    N,
    cases,
    raw,
    refused,
    rewrite,
)
from separatrix.core.arch import Arch
from separatrix.core.errors import InputError
from separatrix.core.files import canonical_json, tensors_from_bytes, tensors_to_bytes
from separatrix.kernel import judge_file
from separatrix.models.model import Model


def test_tensors_of_other_names_shapes_and_types_are_refused(tmp_path: Path) -> None:
    model, good = cases()["separable"]
    config = canonical_json(model.arch.to_config())
    base = dict(model.tensors)
    mutants: list[dict[str, np.ndarray]] = []
    for name, tensor in base.items():
        mutants += [
            {k: v for k, v in base.items() if k != name},
            base | {f"{name}.": tensor},
            base | {name: tensor[None]},
        ]
        mutants += [base | {name: tensor.astype(kind)} for kind in (np.float16, np.int8, np.int32, np.uint64, np.bool_)]
        mutants += [
            base | {name: np.where(np.arange(tensor.size).reshape(tensor.shape) == 0, bad, tensor)}
            for bad in (np.nan, np.inf)
        ]
        if tensor.ndim > 1 and tensor.shape[-1] != tensor.shape[-2]:
            mutants.append(base | {name: np.swapaxes(tensor, -1, -2)})
        for other in base:
            if other != name and base[other].shape != tensor.shape:
                mutants.append(base | {name: base[other], other: tensor})
    assert len(mutants) > 80
    for tensors in mutants:
        assert refused(rewrite(tmp_path, good, raw(tensors), config)).exit_code == 2


def test_files_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    import pickle

    model, good = cases()["separable"]
    config, data = canonical_json(model.arch.to_config()), tensors_to_bytes(model.tensors)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])

    def with_header(new: Any) -> bytes:
        text = new if isinstance(new, bytes) else json.dumps(new).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + size :]

    first = next(name for name in header if name != "__metadata__")
    items: list[bytes] = [
        b"",
        b"\x00" * 8,
        b"\xff" * 64,
        pickle.dumps(dict(model.tensors)),
        pickle.dumps(dict(model.tensors), protocol=2),
        b"PK\x03\x04" + data,
        data[:-8],
        data + b"\x00" * 8,
        (2**62).to_bytes(8, "little") + data[8:],
        with_header(header | {first: header[first] | {"shape": [2**40, 2**40]}}),
        with_header(header | {first: header[first] | {"dtype": "F128"}}),
        with_header(header | {first: header[first] | {"dtype": "BF16"}}),
        with_header(header | {first: header[first] | {"data_offsets": [0, 2**60]}}),
        with_header(header | {first: header[first] | {"data_offsets": [8, 0]}}),
        with_header(b"{" + b'"a":' * 5000 + b"1" + b"}" * 5000),
        with_header([]),
        with_header(b"null"),
    ]
    for item in items:
        assert refused(rewrite(tmp_path, good, item, config), item[:40]).exit_code == 2
    with pytest.raises(InputError, match="pickle"):
        tensors_from_bytes(pickle.dumps([1]), "model.safetensors")


def test_random_bytes_flipped_in_tensor_files_with_hashes_that_match(tmp_path: Path) -> None:
    """Whatever the file then says: no traceback, and nothing accepted that arb finds wrong."""
    model, good = cases()["separable"]
    config, data = canonical_json(model.arch.to_config()), tensors_to_bytes(model.tensors)
    rng, seen = np.random.default_rng(3), Counter[int]()
    for _ in range(400):
        flipped = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 3)):
            flipped[at] ^= 1 << int(rng.integers(8))
        verdict = judge_file(rewrite(tmp_path, good, bytes(flipped), config))
        seen[verdict.exit_code] += 1
        if verdict.accepted:
            changed = Model(model.arch, tensors_from_bytes(bytes(flipped), ""))
            assert all(arb_right(changed, TASK, N, row, N) for row in all_inputs(TASK, N))
    assert seen[0] >= 20 and seen[2] >= 20, seen


def test_configs_with_hashes_that_match(tmp_path: Path) -> None:
    model, good = cases()["separable"]
    weights, config = tensors_to_bytes(model.tensors), model.arch.to_config()

    def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        yield at
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            yield from places(value[key], (*at, key))

    tried = 0
    for at in list(places(config))[1:]:
        for value in [*VALUES, 10**6, "nan", "inf", "0x1p99999", "0x0p+0", 1, 2, 3]:
            new = json.loads(json.dumps(config))
            place = new
            for key in at[:-1]:
                place = place[key]
            if type(place[at[-1]]) is type(value) and place[at[-1]] == value:
                continue
            place[at[-1]] = value
            data = json.dumps(new).encode()
            verdict = judge_file(rewrite(tmp_path, good, weights, data))
            if at[0] == "residual" and verdict.accepted:
                continue  # names of slices are for people
            if verdict.accepted:
                changed = Model(Arch.from_config(new), model.tensors)
                assert all(arb_right(changed, TASK, N, row, N) for row in all_inputs(TASK, N)), (at, value)
                continue
            assert verdict.exit_code in (1, 2, 3), (at, value)
            tried += 1
    assert tried > 200
