"""Accidents, for every kind that the judge knows: bytes of the files change, hashes stay, and nothing is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.every_kind import CASES, TASKS
from kernel.heads_cases import OneCell
from separatrix.core.seeds import child
from separatrix.kernel import judge_file
from separatrix.kernel.judge import KINDS
from separatrix.tasks import registry

FLIPS = 40  # of each file
FIRST = {name.split()[0]: name for name in reversed(CASES)}  # one case of each kind


@pytest.fixture(autouse=True)
def own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test tasks for the duration of a test."""
    for task in (*TASKS, OneCell):
        monkeypatch.setitem(registry._entries, task.name, task)


def test_every_kind_is_here() -> None:
    assert set(FIRST) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(FIRST))
def test_accidents_are_noticed(kind: str, tmp_path: Path) -> None:
    """A byte, a bit, a cut or a byte more, in every file of the folder."""
    certificate, model = CASES[FIRST[kind]]()
    if model is not None:
        model.save(tmp_path)
    path, rng = certificate.write(tmp_path, "claim"), child(0, "accidents", kind)
    assert judge_file(path).accepted
    files = sorted(tmp_path.iterdir())
    assert len(files) >= (3 if model is not None else 1)
    for file in files:
        data = file.read_bytes()
        damaged = [data[: len(data) // 2], data[:-1], data + b"\0", b""]
        for at in rng.choice(len(data), min(len(data), FLIPS), replace=False).tolist():
            flip = 1 << int(rng.integers(8)) if at % 2 else int(rng.integers(1, 256))
            damaged.append(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
        for number, changed in enumerate(damaged):
            file.write_bytes(changed)
            assert not judge_file(path).accepted, (file.name, number)
        file.write_bytes(data)
    assert judge_file(path).accepted
