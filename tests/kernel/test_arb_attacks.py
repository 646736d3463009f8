"""The attack suites of the kinds with rounded arithmetic, judged by arb: nothing false is accepted.

The mutants are those that the float64 engine meets in its own suites; a few of each run always, more when slow tests
do. Truth is by enumeration, or by 300-bit evaluation of every pointer set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

from core.reference import arb_right
from core.reference import worst as worst_of
from kernel import (
    test_contract,
    test_heads_mutations,
    test_pointer_mutations,
    test_positional,
    test_relu_mutations,
    test_stored,
    test_tuples,
)
from kernel.heads_cases import OneCell
from kernel.pointer_oracle import worst_error
from separatrix.can import registry as witnesses
from separatrix.core.certificate import Certificate
from separatrix.kernel import judge
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.tasks.match3 import Match3

Mutant = tuple[Certificate, Model, bool | None]  # whether the claim is true; None where float64 does not tell


@pytest.fixture(autouse=True)
def own_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test task for the duration of a test."""
    monkeypatch.setitem(registry._entries, OneCell.name, OneCell)


def told(margin: float) -> bool | None:
    return None if abs(margin) < 1e-6 else margin > 0


def contracts() -> Iterator[Mutant]:
    rng, cases = np.random.default_rng(21), test_contract.CASES
    while True:
        for name, task, n in cases:
            model = test_contract.mutant(witnesses.get(name).build(task, n), rng)
            yield test_contract.certificate(task, model, n), model, told(test_contract.worst_margin(task, model, n))


def heads() -> Iterator[Mutant]:
    for seed in range(3, 30):
        for model, task, n, arrays in islice(test_heads_mutations.mutants(seed), seed % 4, None, 4):
            margin, tokens, query = worst_of(model, task, n)
            right = told(margin) and arb_right(model, task, n, tokens, query)
            yield test_heads_mutations.certificate(model, task, n, arrays), model, right


def relus() -> Iterator[Mutant]:
    for seed in range(4, 19):
        for model, task, n, arrays in islice(test_relu_mutations.mutants(seed), seed % 2, None, 2):
            yield (
                test_relu_mutations.certificate(model, task, n, arrays),
                model,
                told(worst_of(model, task, n)[0]),
            )


def tuples() -> Iterator[Mutant]:
    rng = np.random.default_rng(22)
    while True:
        modulus, n = test_tuples.CASES[rng.integers(len(test_tuples.CASES))]
        task = Match3(modulus)
        model = test_tuples.mutant(test_tuples.WITNESS.build(task, n), rng)
        yield test_tuples.certificate(task, model, n), model, told(test_tuples.worst_margin(task, model, n))


def stored() -> Iterator[Mutant]:
    rng, cases = np.random.default_rng(23), test_stored.CASES
    while True:
        name, task, n, factor = cases[rng.integers(len(cases))]
        model = test_stored.mutant(witnesses.get(name).build(task, n), rng)
        right = told(test_stored.worst_margin(task, model, n))
        yield test_stored.certificate(task, model, n, factor), model, right


def pointers() -> Iterator[Mutant]:
    rng = np.random.default_rng(24)
    while True:
        for name, n, q, method in test_pointer_mutations.BASES:
            task, base = test_pointer_mutations.base(name, n, q)
            model = test_pointer_mutations.mutant(base, rng)
            try:
                right: bool | None = bool(worst_error(model, task) <= task.eps)
            except ZeroDivisionError:  # dependent keys: the query is not defined
                right = False
            evidence = {"method": method}
            yield test_pointer_mutations.certificate(model, task, n, "pointer-sets", evidence), model, right


def programs() -> Iterator[Mutant]:
    for number, name in enumerate(test_positional.PROGRAMS):
        task: Any = test_positional.real_task(name)
        for n in (2, 3):
            rng = np.random.default_rng((number, n, 25))
            for origin, model in islice(test_positional.mutants(name, n, rng), 8, None):
                if any(float(np.abs(t).max(initial=0.0)) > 1e30 for t in model.tensors.values()):
                    continue  # float64 overflows where reals do not
                error = test_positional.worst(model, task, n, rng)
                right = False if error > task.eps * (1 + 1e-6) else True if origin == "same" else None
                yield test_positional.certificate(model, task, n), model, right


SUITES: dict[str, tuple[Callable[[], Iterator[Mutant]], float]] = {  # with the share of true claims to be accepted
    "contract": (contracts, 0.8),  # by one of the ways of looking
    "heads": (heads, 0.4),  # by the old arrays: those of another model
    "relu": (relus, 0.4),
    "tuples": (tuples, 0.9),
    "stored": (stored, 0.8),
    "pointer-sets": (pointers, 0.5),  # by the one method that the base was built for
    "positional": (programs, 0.9),
}


def attack(kind: str, count: int) -> None:
    mutants, share = SUITES[kind]
    seen: Counter[str] = Counter()
    for certificate, model, right in islice(mutants(), count):
        verdict = judge(certificate, model.arch, model.tensors, engine="arb")
        assert not (verdict.accepted and right is False), verdict.sentence
        seen["none" if right is None else "true" if right else "false"] += 1
        seen["accepted"] += bool(verdict.accepted and right)
    assert seen["false"] >= count // 10 and seen["true"] >= count // 10, seen
    assert seen["accepted"] >= share * seen["true"], seen


@pytest.mark.parametrize("kind", SUITES)
def test_a_few_attacks(kind: str) -> None:
    attack(kind, 30)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUITES)
def test_more_attacks(kind: str) -> None:
    attack(kind, 400)
