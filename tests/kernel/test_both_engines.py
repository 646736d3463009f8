"""Certificates of every kind, by both engines: a kind without a case fails, and so does one that arb leaves open."""

from __future__ import annotations

import pytest

from kernel.every_kind import CASES, TASKS
from kernel.heads_cases import OneCell
from separatrix.kernel import judge
from separatrix.kernel.arb import CHECKERS, EXACT, NAME
from separatrix.kernel.judge import KINDS
from separatrix.tasks import registry


@pytest.fixture(autouse=True)
def own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test tasks for the duration of a test."""
    for task in (*TASKS, OneCell):
        monkeypatch.setitem(registry._entries, task.name, task)


def test_every_kind_has_a_case_and_is_decided_by_arb_or_exact() -> None:
    assert {name.split()[0] for name in CASES} == set(KINDS)
    assert set(CHECKERS) | set(EXACT) == set(KINDS) and not set(CHECKERS) & set(EXACT)


@pytest.mark.parametrize("name", CASES)
def test_both_engines_accept(name: str) -> None:
    certificate, model = CASES[name]()
    assert certificate.kind == name.split()[0]
    given = (None, None) if model is None else (model.arch, model.tensors)
    fast, slow = (judge(certificate, *given, engine=engine) for engine in ("fast", "arb"))
    assert fast.accepted, fast.sentence
    assert slow.accepted, slow.sentence
    assert fast.guarantee == slow.guarantee
    if certificate.kind in EXACT:
        assert NAME not in slow.trusted and "exact; the engine does not matter" in slow.sentence
    else:
        assert slow.trusted[-1] == NAME and "arb" in slow.sentence
        assert NAME not in fast.trusted or NAME in certificate.trusted
