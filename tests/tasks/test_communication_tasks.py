"""Communication problems as tasks: answers by definition, cells, factors, and read-once automata."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.core.reading import Reading
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.tasks import make_task, registry
from separatrix.tasks.disjointness import Disjointness
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality
from separatrix.tasks.inner_product import GreaterThan, InnerProduct, Parity
from separatrix.tasks.majority import Majority
from separatrix.tasks.multi_query_recall import MultiQueryRecall
from separatrix.tasks.pointer_chasing import PointerChasing
from tasks.cover import assert_cells_cover, words

SMALL: list[tuple[Task, int]] = [
    *((Parity(), n) for n in (1, 2, 7)),
    *((MultiQueryRecall(k, 2), n) for k, n in ((1, 1), (1, 2), (2, 2), (3, 2))),
    *((PointerChasing(steps), n) for steps, n in ((1, 3), (2, 2), (2, 3), (3, 3), (4, 2))),
]
READINGS: list[tuple[Task, int]] = [
    *((Equality(k), n) for k, n in ((2, 8), (3, 4), (5, 2))),
    *((task, n) for task in (Disjointness(), InnerProduct(), GreaterThan()) for n in (2, 4, 10)),
    *((Parity(), n) for n in (1, 2, 9)),
    *((Majority(), n) for n in (1, 3, 9)),
    *((Dyck(types, depth), n) for types, depth, n in ((2, 2, 6), (1, 3, 8), (3, 1, 4))),
]


@pytest.mark.parametrize(("task", "n"), SMALL, ids=str)
def test_cells_cover_the_domain_and_carry_the_answer(task: Task, n: int) -> None:
    assert assert_cells_cover(task, n) > 0


@pytest.mark.parametrize(("task", "n"), READINGS, ids=str)
def test_readings_answer_every_word(task: Task, n: int) -> None:
    rows = words(task.domain(n))
    for column, query in enumerate(task.queries(n)):
        reading = task.reading(n, query)
        assert reading is not None and sorted(reading.order) == list(range(task.domain(n).positions))
        assert np.array_equal(reading.run(rows), task.answer(rows)[:, column])


def test_every_reading_of_a_registered_task_is_tested_here() -> None:
    for name in registry:
        task = make_task(name)
        n = 9 if name in ("majority",) else 8
        if task.reading(n, task.queries(n)[-1]) is not None:
            assert any(other.name == name for other, _ in READINGS), name
    assert Equality(2**16).reading(4, 3) is None


def test_readings_that_are_none() -> None:
    table, labels = np.array([[0, 1], [1, 0]]), np.array([0, 1])
    for order, t, k in (
        ((0, 0), table, labels),
        ((1, 2), table, labels),
        ((0, 1), table + 1, labels),
        ((0, 1), table[0], labels),
        ((0, 1), table, labels[:1]),
        ((0, 1), table, labels - 1),
        ((0, 1), table.astype(float), labels),
        ((0, 1), table[:0], labels[:0]),
    ):
        with pytest.raises(InputError):
            Reading(order, t, k)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_problems_on_two_halves_by_definition(n: int) -> None:
    rows, half = words(InnerProduct().domain(n)), n // 2
    product, greater = InnerProduct().answer(rows)[:, 0], GreaterThan().answer(rows)[:, 0]
    for x, ip, gt in zip(rows.tolist(), product.tolist(), greater.tolist(), strict=True):
        a, b = x[:half], x[half:]
        assert ip == sum(i * j for i, j in zip(a, b, strict=True)) % 2
        assert gt == (int("".join(map(str, a)), 2) > int("".join(map(str, b)), 2))
    for inner, outer in InnerProduct().factors().values():
        assert np.array_equal(outer.answer(inner.answer(rows)), InnerProduct().answer(rows))


def test_recall_and_chasing_by_definition() -> None:
    task = MultiQueryRecall(5, 3)
    for distribution in ("uniform", "permuted"):
        tokens, _ = task.sample(4, 50, child(0), distribution)
        for row, answers in zip(tokens.tolist(), task.answer(tokens).tolist(), strict=True):
            held = dict(zip(row[:8:2], row[1:8:2], strict=True))
            assert answers == [held.get(q, 5 + 3) - 5 for q in row[8:]]
            if distribution == "permuted":
                assert sorted(row[:8:2]) == sorted(row[8:]) and len(held) == 4
    assert task.show(tokens[0]).count(":") == 4
    with pytest.raises(InputError, match="permuted"):
        task.sample(6, 1, child(0), "permuted")
    for steps, n in itertools.product((1, 2, 3, 5), (2, 5)):
        chase = PointerChasing(steps)
        tokens, _ = chase.sample(n, 30, child(steps, n))
        for row, (label,) in zip(tokens.tolist(), chase.answer(tokens).tolist(), strict=True):
            at = 0
            for step in range(steps):
                at = row[at + n * (step % 2)]
            assert label == at % 2
    assert PointerChasing(9).cells(8, 16) is None
    with pytest.raises(InputError):
        PointerChasing(0)
    with pytest.raises(InputError):
        MultiQueryRecall(0)
