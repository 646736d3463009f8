"""Composition of functions and of relations: answers by definition, and the pairs that decide them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from separatrix.core.task import Task
from separatrix.tasks.function_composition import FunctionComposition
from separatrix.tasks.relation_composition import RelationComposition
from tasks.cover import assert_cells_cover, words

CASES: list[tuple[Task, int]] = [
    *((FunctionComposition(v), n) for v, n in ((2, 1), (2, 2), (3, 2), (2, 3))),
    *((RelationComposition(), n) for n in (1, 2)),
]


@pytest.mark.parametrize(("task", "n"), CASES, ids=str)
def test_the_groups_of_the_tasks_say_what_they_answer(task: Task, n: int) -> None:
    inputs = words(task.domain(n))
    answers = task.answer(inputs)
    for column, query in enumerate(task.queries(n)):
        groups = list(task.pairs(n, query) or ())
        assert sorted(group.token for group in groups) == np.asarray(task.domain(n).alphabets[query]).tolist()
        for group in groups:
            rows = inputs[:, query] == group.token
            known = np.zeros(len(inputs), dtype=bool)
            for where, what, label in zip(group.positions, group.symbols, group.labels, strict=True):
                held = rows & (inputs[:, where] == what).all(axis=1)
                assert (answers[held, column] == label).all()
                known |= held
            left = rows & ~known
            assert (answers[left, column] == group.rest).all() if group.rest is not None else not left.any()
    if isinstance(task, FunctionComposition):
        assert assert_cells_cover(task, n) > 0


def test_answers_by_definition() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 5):
        for word in FunctionComposition(4).sample(n, 20, rng)[0].tolist():
            g, h, x = word[:n], word[n : 2 * n], word[-1]
            assert FunctionComposition(4).answer(np.array([word])).tolist() == [[h[g[x]]]]
        for word in RelationComposition().sample(n, 20, rng, "sparse")[0].tolist():
            a, b = ([[t >> bit & 1 for t in word[i * n : i * n + n]] for i in range(n)] for bit in (1, 0))
            expected = [int(any(a[i][k] and b[k][j] for k in range(n))) for i in range(n) for j in range(n)]
            assert RelationComposition().answer(np.array([word])).tolist() == [expected]
    task, tokens = RelationComposition(), RelationComposition().sample(6, 300, rng, "sparse")[0]
    assert 0.1 < task.answer(tokens).mean() < 0.9
    box = (np.array([2, 3]), np.array([0, 3]), np.array([1]), np.array([0, 1]))
    for query in range(4):
        values = {int(task.answer(np.array([w]))[0, query]) for w in itertools.product(*map(list, box))}
        expected = values.pop() if len(values) == 1 else None
        assert task.constant(2, query, tuple(box)) == expected
