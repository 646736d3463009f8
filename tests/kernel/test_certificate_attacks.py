"""Attacks on certificate files: every hash recomputed, fields that are ill-typed or say something else."""

from __future__ import annotations

import dataclasses
import json
import os
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
    incorrect,
    put,
    refused,
    rehashed,
    write,
    wrong,
)
from separatrix.core.certificate import BLANK, ModelReference, plain_name
from separatrix.core.errors import InputError
from separatrix.core.files import sha256
from separatrix.core.guarantee import CHECKED
from separatrix.kernel import judge_file

FIELDS = [
    ("format",),
    ("kind",),
    ("claim",),
    ("claim", "task"),
    ("claim", "parameters"),
    ("claim", "n"),
    ("claim", "statement"),
    ("claim", "semantics"),
    ("claim", "arch"),
    ("claim", "measure"),
    ("claim", "bound"),
    ("guarantee",),
    ("evidence",),
    ("arrays",),
    ("model",),
    ("model", "weights"),
    ("model", "weights_sha256"),
    ("model", "config"),
    ("model", "config_sha256"),
    ("task_sha256",),
    ("trusted",),
    ("claim", "parameters", "symbols"),
]


@pytest.mark.parametrize("field", FIELDS, ids=".".join)
def test_ill_typed_fields_are_refused_with_hashes_recomputed(tmp_path: Path, field: tuple[str, ...]) -> None:
    path = write(tmp_path, *cases()["separable"])
    original = path.read_text()
    for value in VALUES:
        path.write_text(original)
        place = json.loads(original)
        for key in field:
            place = place[key]
        if type(place) is type(value) and place == value:
            continue
        try:
            rehashed(path, put(*field, value=value))
        except UnicodeEncodeError:
            text = json.dumps(json.loads(original) | {"sha256": BLANK})
            escaped = json.loads(text)
            put(*field, value="SURROGATE")(escaped)
            data = json.dumps(escaped).replace("SURROGATE", "\\ud800").encode()
            path.write_bytes(data.replace(BLANK.encode(), sha256(data).encode()))
        refused(path, (field, value))


@pytest.mark.parametrize(
    "tokens",
    [
        [0, 0, 3.0],
        ["0", 0, 3],
        [True, False, 3],
        [[0], [0], [3]],
        [],
        [0, 0],
        [0, 0, 3, 0],
        [0, 0, 5],
        [0, 0, 0],
        [-1, 0, 3],
        [0, 0, -1],
        [0, 0, 2**40],
        [0, 0, 10**18],
        [None] * 3,
        [0, 0, 9999999999999999999],
        [-1, 0, 9999999999999999999],
        {},
        "003",
        3,
    ],
)
def test_counterexamples_must_be_legal_inputs(tmp_path: Path, tokens: Any) -> None:
    """Right types and a word of the domain: the same model has a legal one, which is accepted."""
    model, legal = wrong(), cases()["counterexample"][1]
    path = write(tmp_path, model, legal)
    assert judge_file(path).accepted
    content = json.loads(path.read_text()) | {"sha256": BLANK}
    content["evidence"]["tokens"] = tokens
    data = json.dumps(content).encode()
    path.write_bytes(data.replace(BLANK.encode(), sha256(data).encode()))
    refused(path, tokens)


@pytest.mark.parametrize("query", [0, 1, 3, -1, True, None, "2", [2], 2**62])
def test_counterexamples_must_name_a_scored_position(tmp_path: Path, query: Any) -> None:
    tokens = cases()["counterexample"][1].evidence["tokens"]
    refused(write(tmp_path, wrong(), incorrect(TASK, N, tokens, query)), query)


def test_evidence_and_arrays_cannot_be_smuggled_in(tmp_path: Path) -> None:
    for kind in ("separable", "exhaustive", "counterexample"):
        model, good = cases()[kind]
        for more in ({"cells": []}, {"cells": [[0]], "labels": [0]}, {"tolerance": 1}):
            refused(write(tmp_path, model, dataclasses.replace(good, evidence=good.evidence | more)))
        refused(write(tmp_path, model, dataclasses.replace(good, arrays={"cells": np.zeros(3)}), "arrays"))


def test_file_names_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    path = write(inner, *cases()["separable"])
    (tmp_path / "model.safetensors").write_bytes((inner / "model.safetensors").read_bytes())
    (inner / "sub").mkdir()
    original = path.read_text()
    for name in (
        "../model.safetensors",
        "/etc/passwd",
        "",
        ".",
        "..",
        "sub",
        "sub/../model.safetensors",
        "a\x00b",
        "..\\model.safetensors",
        str(inner / "model.safetensors"),
        "x" * 5000,
        "a\nb",
        "./model.safetensors",
    ):
        path.write_text(original)
        refused(rehashed(path, put("model", "weights", value=name)), name)
    for name in ("model\u202e.safetensors", "\ud800"):
        with pytest.raises(InputError):
            plain_name(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    """A pipe would block for ever, a link to /dev/zero would fill the memory."""
    path = write(tmp_path, *cases()["separable"])
    (tmp_path / "config.json").unlink()
    os.mkfifo(tmp_path / "config.json")
    assert refused(path).exit_code == 2
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").symlink_to("/dev/zero")
    assert refused(path).exit_code == 2


def test_an_enormous_certificate_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.cert.json"
    with path.open("wb") as file:
        file.truncate(2**34)
    assert refused(path).exit_code == 2


@pytest.mark.parametrize("n", [-(2**60), -1, 0, 1, 3, 2**21, 2**28, 2**60, 9999999999999999999])
@pytest.mark.parametrize("kind", ["separable", "exhaustive", "counterexample"])
def test_other_lengths_are_refused_at_once(tmp_path: Path, kind: str, n: int) -> None:
    model, good = cases()[kind]
    certificate = dataclasses.replace(good, claim=dataclasses.replace(good.claim, n=n))
    verdict = judge_file(write(tmp_path, model, certificate))
    assert verdict.seconds < 10
    if verdict.accepted:  # a table of more positions reads shorter inputs too, and is right on them
        assert kind == "exhaustive" and n == 1
        assert all(arb_right(model, TASK, 1, row, 1) for row in all_inputs(TASK, 1))
    else:
        assert verdict.exit_code in (1, 2, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"statement": "incorrect"},
        {"statement": "needs"},
        {"semantics": "fp32"},
        {"semantics": "bits:3"},
        {"arch": "rnn"},
        {"measure": "cut"},
        {"bound": "0x1p3"},
        {"task": "match2"},
        {"task": "index_lookup"},
        {"task": "x" * 10**6},
        {"parameters": {}},
        {"parameters": {"symbols": "3"}},
        {"parameters": {"symbols": True}},
        {"parameters": {"symbols": 2}},
        {"parameters": {"symbols": 3, "q": 1}},
        {"parameters": {"symbols": 2**40}},
        {"parameters": {"symbols": "0x1p9999"}},
    ],
    ids=str,
)
def test_claims_that_say_something_else_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    model, good = cases()["exhaustive"]
    refused(write(tmp_path, model, dataclasses.replace(good, claim=dataclasses.replace(good.claim, **changes))))


def test_kinds_guarantees_and_trust_cannot_be_reworded(tmp_path: Path) -> None:
    model, good = cases()["separable"]
    for changes in (
        {"kind": "counterexample"},
        {"kind": "proved"},
        {"kind": "communication"},
        {"guarantee": CHECKED},
        {"trusted": ()},
        {"trusted": ("kernel",)},
        {"task_sha256": "0" * 63 + "1"},
        {"task_sha256": ""},
    ):
        refused(write(tmp_path, model, dataclasses.replace(good, **changes)), changes)
    for text in ("statistical(nan)", "statistical(0x)", "statistical(2)", "Proved", "proved "):
        path = write(tmp_path, model, good)
        refused(rehashed(path, put("guarantee", value=text)), text)


def test_a_certificate_does_not_fit_another_model(tmp_path: Path) -> None:
    model, good = cases()["separable"]
    path = write(tmp_path, model, good)
    wrong().save(tmp_path)
    assert refused(path).exit_code == 1
    path = dataclasses.replace(good, model=None).write(tmp_path, "alone")
    assert refused(path).exit_code == 2
    swapped = ModelReference("config.json", sha256(b""), "model.safetensors", sha256(b""))
    refused(dataclasses.replace(good, model=swapped).write(tmp_path, "swapped"))
