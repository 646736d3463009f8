"""Clauses and regular languages: answers against a plain reading, cells, factors, errors."""

import itertools

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.tasks.clauses import AtLeast, Clauses
from separatrix.tasks.regular import Regular
from tasks.cover import assert_cells_cover

CASES = [
    (Clauses("1 -2, 3 4"), 4),
    (Clauses("1 -2, 3 4", "or", 0), 5),
    (Clauses("1 2 -3, -1 4, 2, 5 -4", "or", 2), 6),
    (Clauses("1 2 -3, -1 4, 2, 5 -4", "and", 3), 7),
    (Clauses("-1"), 1),
]


@pytest.mark.parametrize(("task", "n"), CASES)
def test_the_task_says_what_the_formula_says(task, n):
    inputs = np.array(list(itertools.product(range(2), repeat=n)))
    for row, answer in zip(inputs.tolist(), task.answer(inputs)[:, 0], strict=True):
        held = 0
        for clause in task.formula.split(","):
            literals = [bool(row[abs(int(x)) - 1]) == (int(x) > 0) for x in clause.split()]
            held += all(literals) if task.join == "and" else any(literals)
        assert answer == (held >= (task.least or len(task.formula.split(","))))
    (first, last) = task.factors()["clauses"]
    assert np.array_equal(last.answer(first.answer(inputs)), task.answer(inputs))
    assert assert_cells_cover(first, n) > 0 and assert_cells_cover(last, n) > 0


def test_counting_cells_cover():
    for least, n in ((1, 1), (1, 4), (3, 4), (4, 4), (5, 3)):
        assert assert_cells_cover(AtLeast(least), n) > 0


def test_regular_languages_against_a_walk():
    for transitions, accepting, n in (("0 1, 1 0", "1", 4), ("1 2 0, 1 1 2, 0 2 1", "0 2", 3), ("0", "0", 2)):
        task = Regular(transitions, accepting)
        rows = [list(map(int, row.split())) for row in transitions.split(",")]
        inputs = np.array(list(itertools.product(range(len(rows[0])), repeat=n)))
        for word, answer in zip(inputs.tolist(), task.answer(inputs)[:, 0], strict=True):
            state = 0
            for symbol in word:
                state = rows[state][symbol]
            assert answer == (str(state) in accepting.split())
        assert assert_cells_cover(task, n) > 0


@pytest.mark.parametrize("text", ["", "0 1", "0 1, 1", "0 x, 1 0", "0 2, 1 0"])
def test_bad_automata_are_named(text):
    with pytest.raises(InputError, match="regular"):
        Regular(text, "0")
    with pytest.raises(InputError, match="accepting"):
        Regular("0 1, 1 0", "7")
