"""Constraints, and the tasks whose cells are no products: majority, associative recall, bounded Dyck languages."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from separatrix.core.domain import Constraint, PointerSets, Sequence
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.tasks import make_task
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.majority import Majority
from tasks.cover import assert_cells_cover, obeys, words

SMALL: list[tuple[Task, int, int]] = [
    *((Majority(), n, n + 1) for n in (1, 3, 5, 7)),
    *((AssociativeRecall(k, 2), n, k * n * 2) for k, n in ((1, 1), (2, 1), (2, 2), (3, 2), (4, 3))),
    *((AssociativeRecall(k, 3, True), n, k * n * 3) for k, n in ((1, 1), (3, 1), (2, 2), (3, 3))),
    *((Dyck(types, depth), n, 2) for types, depth, n in ((1, 1, 2), (1, 1, 6), (1, 2, 8), (1, 3, 8), (2, 2, 6))),
    *((Dyck(types, depth), n, 2) for types, depth, n in ((2, 1, 4), (3, 2, 4), (2, 3, 6))),
]


@pytest.mark.parametrize(("task", "n", "cells"), SMALL, ids=str)
def test_cells_cover_the_domain_and_carry_the_answer(task: Task, n: int, cells: int) -> None:
    assert assert_cells_cover(task, n) == cells


def test_majority_by_hand() -> None:
    tokens = np.array([[1, 1, 1, 0, 0, 2], [0, 0, 1, 0, 1, 2], [1, 0, 1, 0, 1, 2], [0, 0, 0, 0, 0, 2]])
    assert Majority().answer(tokens).tolist() == [[1], [0], [1], [0]]
    assert Majority().show(tokens[0]) == "11100 ?" and Majority().queries(5) == (5,)
    domain = Majority().domain(5)
    assert domain.contains(tokens[0]) and domain.log2_inputs() == 5
    assert not domain.contains(np.array([1, 1, 1, 0, 0, 1])) and not domain.contains(np.array([2, 1, 1, 0, 0, 2]))
    for n in (0, 2, 4, 2**16, -1):
        with pytest.raises(InputError, match="odd"):
            Majority().domain(n)


def test_majority_samples_counts_as_they_are_called() -> None:
    counts, _ = Majority().sample(9, 4000, child(0), "counts")
    ones = (counts == 1).sum(axis=1)
    assert set(ones.tolist()) == set(range(10)) and np.bincount(ones).min() > 300
    close, _ = Majority().sample(9, 500, child(0), "close")
    assert set((close == 1).sum(axis=1).tolist()) == {4, 5}


def test_associative_recall_by_hand() -> None:
    task = AssociativeRecall(keys=3, labels=2)
    tokens = np.array([[2, 3, 0, 4, 2], [2, 3, 0, 4, 0], [1, 4, 2, 4, 2]])
    assert task.answer(tokens).tolist() == [[0], [1], [1]]
    assert task.show(tokens[0]) == "2:0 0:1 ? 2" and task.queries(2) == (4,)
    domain = task.domain(2)
    assert domain.positions == 5 and domain.vocabulary == 5 and all(domain.contains(row) for row in tokens)
    for row in ([2, 3, 2, 4, 2], [2, 3, 0, 4, 1], [2, 0, 0, 4, 2], [2, 3, 0, 4, 3], [2, 3, 0, 4]):
        assert not domain.contains(np.array(row)), row
    assert domain.log2_inputs() == pytest.approx(math.log2(3 * 2 * 2 * 2 * 2))
    joined = AssociativeRecall(keys=3, labels=2, joined=True)
    pairs = np.array([[5, 0, 8], [5, 0, 6], [2, 5, 7]])  # 2:1 0:0 ? 2, 2:1 0:0 ? 0, 1:0 2:1 ? 1
    assert joined.answer(pairs).tolist() == [[1], [0], [0]] and joined.show(pairs[0]) == "2:1 0:0 ? 2"
    domain = joined.domain(2)
    assert domain.positions == 3 and domain.vocabulary == 9 and all(domain.contains(row) for row in pairs)
    for row in ([5, 4, 8], [5, 0, 7], [5, 0, 5], [6, 0, 8]):
        assert not domain.contains(np.array(row)), row
    assert domain.log2_inputs() == pytest.approx(math.log2(3 * 2 * 2 * 2 * 2))
    with pytest.raises(InputError, match="pairs"):
        task.domain(4)


def test_dyck_by_hand() -> None:
    task = Dyck(2, 2)  # ( [ ) ] are 0 1 2 3
    right = ["()", "[]", "()[]", "([])", "[()][]", "(())", "([]())"]
    wrong = [")(", "(]", "([)]", "((", "))", "((()))", "()((", "([([])])", "())("]
    ids = {c: i for i, c in enumerate("([)]")}
    for words_, label in ((right, 1), (wrong, 0)):
        for word in words_:
            row = np.array([[*(ids[c] for c in word), 4]])
            assert task.answer(row).tolist() == [[label]], word
            assert task.show(row[0]) == word and task.domain(len(word)).contains(row[0])
    assert Dyck(2, 3).answer(np.array([[0, 0, 0, 2, 2, 2, 4]])).tolist() == [[1]]
    assert Dyck(5, 1).show(np.array([0, 5, 4, 9, 10])) == "(0 0) (4 4)"
    for n in (0, 1, 3, 9, 2**17):
        with pytest.raises(InputError, match="even"):
            task.domain(n)


@pytest.mark.parametrize(("types", "depth", "counts"), [
    (2, 2, (2, 8, 32, 128, 512)), (1, 2, (1, 2, 4, 8, 16)), (2, 1, (2, 4, 8, 16, 32)), (3, 2, (3, 18, 108, 648, 3888)),
    (2, 3, (2, 8, 40, 208, 1088)),
])  # fmt: skip
def test_dyck_words_are_as_many_as_the_generating_function_says(types: int, depth: int, counts: tuple) -> None:
    task = Dyck(types, depth)
    table = tuple(map(tuple, task.automaton().tolist()))
    assert len(table) == sum(types**d for d in range(depth + 1)) + 1
    accepted, brackets = Constraint("regular", transitions=table, accepting=(0,)), np.arange(2 * types)
    for half, count in enumerate(counts, start=1):
        assert Sequence((brackets,) * (2 * half), 2 * types, accepted).log2_inputs() == pytest.approx(math.log2(count))


def test_dyck_samples_are_balanced() -> None:
    for task, n in ((Dyck(2, 2), 40), (Dyck(1, 3), 8), (Dyck(3, 1), 6)):
        tokens, _ = task.sample(n, 600, child(1), "balanced")
        assert 200 < task.answer(tokens).sum() < 400
        assert task.answer(np.pad(task._right_words(n, 200, child(2)), ((0, 0), (0, 1)))).all()


@pytest.mark.parametrize(("name", "parameters"), [
    ("associative-recall", {"keys": 0}), ("associative-recall", {"labels": 1}), ("associative-recall", {"keys": 2**40}),
    ("associative-recall", {"joined": "maybe"}), ("majority", {"n": 3}), ("dyck", {"types": 0}), ("dyck", {"depth": 0}),
    ("dyck", {"types": 64, "depth": 64}), ("dyck", {"depth": 65}),
], ids=str)  # fmt: skip
def test_bad_parameters_are_input_errors(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make_task(name, parameters)


# ------------------------------------------------------------------------------------------------ constraints

A3, A2 = np.arange(3), np.arange(1, 3)
EVEN = ((0, 1, 0), (1, 0, 1))  # how often symbol 1 was seen, modulo 2
CONSTRAINTS = [
    Constraint("count", symbol=1, count=2),
    Constraint("count", symbol=0, count=0, positions=(0, 2)),
    Constraint("count", symbol=0, count=3),
    Constraint("count", symbol=9, count=1),
    Constraint("distinct"),
    Constraint("distinct", positions=(1, 2)),
    Constraint("distinct", classes=(0, 1, 1), positions=(0, 3)),
    Constraint("distinct", positions=(0, 1), present=3),
    Constraint("distinct", positions=(0, 1), classes=(2, 0, 1), present=2),
    Constraint("regular", transitions=EVEN, accepting=(0,)),
    Constraint("regular", transitions=EVEN, accepting=(1,), positions=(1, 3)),
    Constraint("regular", transitions=EVEN, accepting=()),
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda c: f"{c.kind}-{CONSTRAINTS.index(c)}")
@pytest.mark.parametrize("alphabets", [(A3,) * 4, (A3, A3, A2, A3)], ids=["equal", "mixed"])
def test_membership_and_number_of_words(constraint: Constraint, alphabets: tuple) -> None:
    domain = Sequence(alphabets, 3, constraint)
    every = np.array(list(itertools.product(*alphabets)))
    inside = [domain.contains(row) for row in every]
    assert inside == [obeys(constraint, row) for row in every] and constraint.holds(every).tolist() == inside
    try:
        bits = domain.log2_inputs()
    except UnknownError:
        assert constraint.kind == "distinct" and len(alphabets[2]) == 2
        return
    assert 2.0**bits == pytest.approx(sum(inside)) and (sum(inside) == 0 or len(words(domain)) == sum(inside))


def test_malformed_constraints_are_refused() -> None:
    for bad in (
        {"kind": "sorted"},
        {"kind": "count", "positions": (1, 1)},
        {"kind": "count", "positions": (2, 1)},
        {"kind": "count", "positions": (-1, 1)},
        {"kind": "distinct", "classes": (0, -1)},
        {"kind": "distinct", "present": 2},
        {"kind": "distinct", "present": 1, "positions": (0, 1)},
        {"kind": "distinct", "present": -1, "positions": (0, 1)},
        {"kind": "regular"},
        {"kind": "regular", "transitions": ((),)},
        {"kind": "regular", "transitions": ((0, 1),)},
        {"kind": "regular", "transitions": ((0, -1),)},
        {"kind": "regular", "transitions": ((0, 1), (0,))},
        {"kind": "regular", "transitions": EVEN, "accepting": (2,)},
    ):
        with pytest.raises(InputError):
            Constraint(**bad)
    far = Sequence((A3,) * 2, 3, Constraint("count", positions=(0, 2)))
    with pytest.raises(InputError, match="does not have"):
        far.contains(np.array([0, 1]))


def test_symbols_beyond_the_automaton_are_not_accepted() -> None:
    narrow = Constraint("regular", transitions=((0, 0),), accepting=(0,))
    domain = Sequence((A3,) * 2, 3, narrow)
    assert domain.contains(np.array([0, 1])) and not domain.contains(np.array([0, 2]))
    assert domain.log2_inputs() == 2
    classes = Sequence((A3,) * 2, 3, Constraint("distinct", classes=(0, 1)))
    assert classes.contains(np.array([0, 1])) and not classes.contains(np.array([0, 2])) and classes.log2_inputs() == 1


def test_pointer_sets_are_not_tied() -> None:
    domain = Sequence((PointerSets(3, 1),) * 2, 0, Constraint("distinct"))
    assert not domain.contains(np.array([[0], [1]]))
    with pytest.raises(UnknownError):
        domain.log2_inputs()
