"""Certificates as files: round trip, and accidents (any change, hashes untouched)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from kernel.file_cases import (
    NAMES,
    TASK,
    N,
    cases,
    refused,
    write,
    wrong,
)
from separatrix.core.certificate import Certificate
from separatrix.core.guarantee import PROVED
from separatrix.kernel import judge_file
from separatrix.verify.provers import certify


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
