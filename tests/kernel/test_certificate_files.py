"""Certificates as files: round trip, accidents (any change, hashes untouched), attacks (every hash recomputed)."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.heads import instance
from core.reference import accepts, all_inputs, arb_logits, arb_right, head, label_of, random_tensors, worst
from separatrix.can.witnesses.index_lookup_quadratic import build
from separatrix.core.arch import Arch, Attention, FeedForward, Readout, Table
from separatrix.core.certificate import BLANK, Certificate, Claim, ModelReference, plain_name
from separatrix.core.errors import InputError
from separatrix.core.files import canonical_json, sha256, tensors_from_bytes, tensors_to_bytes
from separatrix.core.guarantee import CHECKED, PROVED
from separatrix.core.task import Task
from separatrix.kernel import Verdict, judge_file
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2
from separatrix.verify.provers import certify

TASK, N = IndexLookup(3), 2
NAMES = ("right.cert.json", "model.safetensors", "config.json")


def write(folder: Path, model: Model, certificate: Certificate, name: str = "right") -> Path:
    """The model folder and the certificate, with every hash as the project itself computes it."""
    model.save(folder)
    return dataclasses.replace(certificate, model=model.reference()).write(folder, name)


def correct(task: Task, n: int, kind: str = "separable", semantics: str = "real") -> Certificate:
    """`correct` of a kind, without its model yet."""
    return Certificate(kind, Claim(task.name, task.parameters(), n, "correct", semantics), PROVED, task.source_sha256())


def incorrect(task: Task, n: int, tokens: Any, query: Any) -> Certificate:
    """A counterexample with this evidence."""
    claim = Claim(task.name, task.parameters(), n, "incorrect")
    return Certificate("counterexample", claim, PROVED, task.source_sha256(), {"tokens": tokens, "query": query})


def right() -> Model:
    return build(TASK, N)


def wrong() -> Model:
    """A model that errs: the read-out of two symbols exchanged."""
    t = dict(right().tensors)
    t["readout.weight"] = t["readout.weight"][:, [1, 0, 2]]
    return Model(right().arch, t)


def failing(model: Model, task: Task, n: int) -> tuple[list[int], int]:
    """An input on which arb says that the model errs."""
    for row in all_inputs(task, n):
        for query in task.queries(n):
            if arb_right(model, task, n, row, query) is False:
                return row.tolist(), query
    raise AssertionError("the model does not err")


KINDS: dict[str, tuple[Model, Certificate]] = {}


def cases() -> dict[str, tuple[Model, Certificate]]:
    """One accepted certificate of each kind about models."""
    if not KINDS:
        KINDS["separable"] = right(), correct(TASK, N)
        KINDS["separable-float"] = right(), correct(TASK, N, semantics="fp32")
        KINDS["exhaustive"] = right(), correct(TASK, N, "exhaustive")
        KINDS["counterexample"] = wrong(), incorrect(TASK, N, *failing(wrong(), TASK, N))
    return KINDS


@pytest.mark.parametrize("kind", ["separable", "separable-float", "exhaustive", "counterexample"])
def test_round_trip(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, *cases()[kind])
    verdict = judge_file(path)
    assert verdict.accepted and verdict.exit_code == 0 and verdict.guarantee == PROVED, verdict.sentence
    read = Certificate.read(path)
    assert read == dataclasses.replace(cases()[kind][1], model=read.model)
    assert judge_file(read.write(tmp_path, "again")).accepted
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["again.cert.json", "config.json", "model.safetensors", "right.cert.json"]
    )
    assert (tmp_path / "again.cert.json").read_bytes() == path.read_bytes()


def test_what_the_prover_writes_is_accepted_from_files(tmp_path: Path) -> None:
    outcome = certify(wrong(), TASK, N)
    assert outcome.verdict == "refuted" and outcome.certificate is not None
    assert judge_file(write(tmp_path, wrong(), outcome.certificate)).accepted


def refused(path: Path, why: object = "") -> Verdict:
    """The verdict, which must be 1 or 2 with one line to say."""
    verdict = judge_file(path)
    assert not verdict.accepted and verdict.exit_code in (1, 2), (why, verdict)
    assert verdict.guarantee is None and verdict.sentence and "\n" not in verdict.sentence
    return verdict


# ------------------------------------------------------------------------------------------------ accidents


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["separable", "exhaustive", "counterexample"])
def test_a_changed_byte_is_noticed(tmp_path: Path, kind: str, name: str) -> None:
    path, rng = write(tmp_path, *cases()[kind]), np.random.default_rng(0)
    data = (tmp_path / name).read_bytes()
    places = range(len(data)) if len(data) < 1200 else sorted(rng.choice(len(data), 1200, replace=False).tolist())
    for at in places:
        flipped = bytearray(data)
        flipped[at] ^= int(rng.choice([1, 2, 32, 128, 255]))
        (tmp_path / name).write_bytes(bytes(flipped))
        refused(path, at)
    (tmp_path / name).write_bytes(data)
    assert judge_file(path).accepted


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_or_lengthened_file_is_noticed(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, *cases()["separable"])
    data = (tmp_path / name).read_bytes()
    for cut in [0, 1, 2, *range(3, len(data), 29), len(data) - 1]:
        (tmp_path / name).write_bytes(data[:cut])
        refused(path, cut)
    for more in (b"\n", b" ", b"\x00", b"{}", data):
        (tmp_path / name).write_bytes(data + more)
        refused(path, more)
    (tmp_path / name).unlink()
    refused(path)
    (tmp_path / name).mkdir()
    refused(path)


@pytest.mark.parametrize("name", ["right.cert.json", "config.json"])
def test_json_that_is_not_strict_is_noticed(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, *cases()["separable"])
    text = (tmp_path / name).read_text()
    number = '"n": 2' if name == NAMES[0] else '"width": 6'
    assert number in text
    key = number.split(":")[0]
    for new in (
        f"{number}, {number}",
        f"{key}: 2.0",
        f"{key}: NaN",
        f"{key}: Infinity",
        f"{key}: -Infinity",
        f"{key}: 1e3",
        f"{key}: {10**40}",
        f"{key}: 2e999",
        f"{key}: null",
        f"{key}: true",
        f"{key}: [2]",
        f'{key}: "2"',
        f"{key}: -1",
        f"{key}: {2**60}",
        f'{number}, "more": 1',
        f"{key}: 9999999999999999999",
        f"{key}: {'[' * 5000}{']' * 5000}",
    ):
        (tmp_path / name).write_text(text.replace(number, new))
        refused(path, new)
    for data in (
        b"\xff\xfe",
        text.encode("utf-16"),
        b"\xef\xbb\xbf" + text.encode(),
        b"[]",
        b"null",
        b"3",
        b'"x"',
        b"",
    ):
        (tmp_path / name).write_bytes(data)
        refused(path, data[:9])


# ------------------------------------------------------------------------------------------------ attacks on the files


def rehashed(path: Path, change: Any) -> Path:
    """The certificate's JSON changed by `change`, its own hash recomputed."""
    content = json.loads(path.read_text())
    content = change(content) or content
    content["sha256"] = BLANK
    data = canonical_json(content)
    path.write_bytes(data.replace(BLANK.encode(), sha256(data).encode()))
    return path


def put(*keys: str, value: Any) -> Any:
    """A change that sets one field."""

    def change(content: dict[str, Any]) -> None:
        place = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


VALUES = [None, True, False, 0, -1, 2**60, -(2**62), 10**18, "", "x", "\ud800", [], {}, [[1]], {"a": 1}, ["kernel"]]
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


# ------------------------------------------------------------------------------------------------ attacks on the model


def rewrite(folder: Path, certificate: Certificate, weights: bytes, config: bytes) -> Path:
    """Any bytes as the model, with hashes that match."""
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_bytes(config)
    model = ModelReference("model.safetensors", sha256(weights), "config.json", sha256(config))
    return dataclasses.replace(certificate, model=model).write(folder, "right")


def raw(tensors: dict[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})


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


# ------------------------------------------------------------------------------------------------ 100 false, 100 true


def mutants(seed: int, kind: str) -> Iterator[tuple[str, Model, Task, int, Certificate]]:
    """Mutants of one right model, all of them well-formed: claims that may be true or false."""
    rng = np.random.default_rng((seed, 9))
    symbols, n = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    task = IndexLookup(symbols)
    model = build(task, n)
    good, t = correct(task, n, kind), dict(model.tensors)

    yield "same", model, task, n, good
    names = sorted(t)
    for _ in range(8):  # a bit of a weight
        name = str(rng.choice([name for name in names if t[name].any()]))
        data = bytearray(np.ascontiguousarray(t[name]).tobytes())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        tensor = np.frombuffer(bytes(data), dtype=np.float64).reshape(t[name].shape)
        if np.isfinite(tensor).all():
            yield "bit", Model(model.arch, t | {name: tensor}), task, n, good
    for factor in (0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 0.9, 1.5, 4.0, 1000.0):  # the temperature
        warm = t | {"layers.0.query": t["layers.0.query"] * factor}
        yield f"temperature {factor}", Model(model.arch, warm), task, n, good
    codes = t["embed.token"].copy()
    codes[1] = codes[0]
    yield "two equal codes", Model(model.arch, t | {"embed.token": codes}), task, n, good
    for name in names:
        if t[name].ndim > 1 and t[name].shape[-1] == t[name].shape[-2]:
            yield "transposed", Model(model.arch, t | {name: np.swapaxes(t[name], -1, -2).copy()}), task, n, good
        yield "single precision", Model(model.arch, t | {name: t[name].astype(np.float32)}), task, n, good
        yield "noise", Model(model.arch, t | {name: t[name] + rng.normal(size=t[name].shape) * 1e-3}), task, n, good
        yield "zeros", Model(model.arch, t | {name: np.zeros_like(t[name])}), task, n, good
        yield "negated", Model(model.arch, t | {name: -t[name]}), task, n, good
    exchanged = {"layers.0.query": t["layers.0.key"], "layers.0.key": t["layers.0.query"]}
    yield "query for key", Model(model.arch, t | exchanged), task, n, good
    labels = np.roll(np.arange(symbols), 1)
    yield "labels", Model(model.arch, t | {"readout.weight": t["readout.weight"][:, labels]}), task, n, good
    token, place = t["embed.token"].copy(), t["embed.position"].copy()
    token[symbols:], place[:n] = np.roll(token[symbols:], 1, axis=0), place[:n]
    yield "query shifted", Model(model.arch, t | {"embed.token": token}), task, n, good
    yield "positions reversed", Model(model.arch, t | {"embed.position": place[::-1].copy()}), task, n, good
    bias = t["readout.bias"].copy()
    bias[0] += float(rng.choice([0.1, 1.0, 5.0]))
    yield "bias", Model(model.arch, t | {"readout.bias": bias}), task, n, good
    layer = dataclasses.replace(model.arch.layers[0], scale=float(rng.choice([-1.0, 0.0, 0.3, 3.0])))
    yield "scale", Model(dataclasses.replace(model.arch, layers=(layer,)), t), task, n, good
    layer = dataclasses.replace(model.arch.layers[0], residual=True)
    yield "residual", Model(dataclasses.replace(model.arch, layers=(layer,)), t), task, n, good


@pytest.mark.parametrize("kind", ["separable", "exhaustive"])
def test_no_false_claim_of_correctness_is_accepted_and_true_ones_are(tmp_path: Path, kind: str) -> None:
    false = true = accepted = 0
    for seed in range(4):
        for what, model, task, n, certificate in mutants(seed, kind):
            margin, tokens, query = worst(model, task, n)
            verdict = judge_file(write(tmp_path, model, certificate))
            verified = arb_right(model, task, n, tokens, query)
            if verified is False or not margin > -1e-6:
                assert verified is False, what
                assert not verdict.accepted and verdict.exit_code == 1, (what, verdict)
                false += 1
            elif margin > 1e-9:
                true += 1
                accepted += verdict.accepted
    assert false >= 100 and true >= 100 and accepted >= 0.9 * true, (false, true, accepted)


def test_no_false_counterexample_is_accepted_and_true_ones_are(tmp_path: Path) -> None:
    """Legal inputs on random models: accepted exactly where arb says that the model errs."""
    false = true = accepted = 0
    rng = np.random.default_rng(4)
    for seed in range(120):
        made = instance(seed)
        if made.task.name == "test-mixed":
            continue
        inputs = all_inputs(made.task, made.n)
        _, worst_row, worst_query = worst(made.model, made.task, made.n)
        rows = [(worst_row, worst_query)]
        rows += [(inputs[rng.integers(len(inputs))], int(rng.choice(made.task.queries(made.n)))) for _ in range(3)]
        for row, query in rows:
            errs = arb_right(made.model, made.task, made.n, row, query) is False
            certificate = incorrect(made.task, made.n, row.tolist(), query)
            verdict = judge_file(write(tmp_path, made.model, certificate))
            assert not (verdict.accepted and not errs)
            false, true, accepted = false + (not errs), true + errs, accepted + verdict.accepted
    assert false >= 100 and true >= 30 and accepted >= 0.9 * true, (false, true, accepted)


def test_counterexamples_to_wrong_models_of_every_kind(tmp_path: Path) -> None:
    """More true ones: several layers, causal masks, feed-forward layers, where only ball evaluation is left."""
    rng, true, accepted = np.random.default_rng(5), 0, 0
    task = Match2(3)
    for seed in range(70):
        layers = (
            Attention(1, 2, 2, mask="causal" if seed % 2 else "none", residual=True),
            FeedForward(3, residual=True),
            Attention(2, 1, 2),
        )
        arch = Arch(3, Table(3, 3 * (seed % 3 > 0)), layers[: 1 + seed % 3], Readout(2), blank=bool(seed % 5 == 0))
        model = Model(arch, random_tensors(arch, rng))
        for row in rng.integers(0, 3, (3, 3)):
            for query in range(3):
                logits, label = arb_logits(model, row, query), label_of(task, 3, row, query)
                errs = bool(logits[label] <= logits[1 - label])
                verdict = judge_file(write(tmp_path, model, incorrect(task, 3, row.tolist(), query)))
                assert errs or not verdict.accepted
                true, accepted = true + errs, accepted + verdict.accepted
    assert true >= 100 and accepted >= 0.99 * true


def test_an_exact_tie_is_a_counterexample_and_never_right(tmp_path: Path) -> None:
    t = {name: np.zeros_like(tensor) for name, tensor in right().tensors.items()}
    model = Model(right().arch, t)
    assert not judge_file(write(tmp_path, model, correct(TASK, N))).accepted
    assert not judge_file(write(tmp_path, model, correct(TASK, N, "exhaustive"))).accepted
    verdict = judge_file(write(tmp_path, model, incorrect(TASK, N, [0, 1, 3], 2)))
    assert not verdict.accepted or arb_right(model, TASK, N, np.array([0, 1, 3]), 2) is False


def test_separable_and_exhaustive_agree(tmp_path: Path) -> None:
    for seed in range(60):
        made = instance(seed)
        if made.task.name == "test-mixed" or len(all_inputs(made.task, made.n)) > 40:
            continue
        verdict = judge_file(write(tmp_path, made.model, correct(made.task, made.n, "exhaustive")))
        assert verdict.accepted == accepts(made.model, made.task, made.n)


def test_an_eta_of_two_thousand_is_accepted(tmp_path: Path) -> None:
    t = dict(right().tensors)
    t["layers.0.query"] = t["layers.0.query"] * 1000.0
    for kind in ("separable", "exhaustive"):
        assert judge_file(write(tmp_path, Model(right().arch, t), correct(TASK, N, kind))).accepted


def test_one_symbol_of_output_and_length_one(tmp_path: Path) -> None:
    task = IndexLookup(2)
    model = build(task, 1)
    for kind in ("separable", "exhaustive"):
        assert judge_file(write(tmp_path, model, correct(task, 1, kind))).accepted
    arch = head(2, 1, 2, 2)
    small = Model(arch, random_tensors(arch, np.random.default_rng(0)))
    expected = all(arb_right(small, Match2(2), 1, row, 0) for row in all_inputs(Match2(2), 1))
    assert judge_file(write(tmp_path, small, correct(Match2(2), 1))).accepted == expected
