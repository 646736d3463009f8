"""Word problems: cells cover, products agree with composing permutations and with a balanced tree of products."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.tasks.word_problem import WordProblem, elements, is_even, products
from tasks.cover import assert_cells_cover

GROUPS = {"z2": 2, "z5": 5, "z64": 64, "s3": 6, "a3": 3, "a4": 12, "s4": 24, "a5": 60, "s5": 120}


@pytest.mark.parametrize(("group", "n"), [("z2", 1), ("z2", 6), ("z3", 4), ("s3", 3), ("a4", 2), ("s4", 2)])
@pytest.mark.parametrize("ask", ["identity", "product"])
def test_cells_cover_the_domain(group: str, n: int, ask: str) -> None:
    assert assert_cells_cover(WordProblem(group, ask), n) == (2 if ask == "identity" else len(elements(group)))


@pytest.mark.parametrize("group", GROUPS)
def test_the_groups_are_groups(group: str) -> None:
    table = products(group)
    every = np.arange(GROUPS[group])
    assert table.shape == (len(every), len(every)) and (table[0] == every).all() and (table[:, 0] == every).all()
    assert all(sorted(row) == every.tolist() for row in table.tolist())
    a, b, c = child(0, group).integers(0, len(every), (3, 2000))
    assert (table[table[a, b], c] == table[a, table[b, c]]).all()


@pytest.mark.parametrize("group", GROUPS)
def test_products_agree_with_permutations_and_with_a_tree_of_products(group: str) -> None:
    task, table = WordProblem(group, "product"), products(group)
    tokens, _ = task.sample(37, 60, child(1, group))
    labels = task.answer(tokens)[:, 0]
    for row, label in zip(tokens[:, :-1].tolist(), labels.tolist(), strict=True):
        points = functools.reduce(
            lambda at, g: [elements(group)[g][p] for p in at], row, range(len(elements(group)[0]))
        )
        assert tuple(points) == elements(group)[label]
    words = np.concatenate([tokens[:, :-1], np.zeros((60, 27), dtype=np.int64)], axis=1)
    while words.shape[1] > 1:
        words = table[words[:, 0::2], words[:, 1::2]]
    assert (words[:, 0] == labels).all()
    assert (WordProblem(group).answer(tokens)[:, 0] == (labels == 0)).all()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("n", [1, 2, 40])
def test_balanced_words_are_the_identity_half_of_the_time(group: str, n: int) -> None:
    task = WordProblem(group)
    tokens, _ = task.sample(n, 4000, child(2, group), "balanced")
    assert abs(task.answer(tokens).mean() - 0.5) < 0.04
    if n > 1:  # the last element alone tells nothing
        share = np.bincount(tokens[:, -2], minlength=len(elements(group))) / 4000
        assert np.abs(share - 1 / len(elements(group))).max() < 0.04


def test_by_hand() -> None:
    assert is_even((1, 2, 0)) and not is_even((1, 0, 2))
    task = WordProblem("s3")
    swap, turn = elements("s3").index((1, 0, 2)), elements("s3").index((1, 2, 0))
    assert task.answer(np.array([[swap, swap, 6], [swap, turn, 6], [turn, turn, 6]])).tolist() == [[1], [0], [0]]
    assert task.show(np.array([swap, turn, 6])) == "213 231 = 1 ?"
    assert elements("s3")[products("s3")[swap, turn]] == (2, 1, 0)  # first swap, then turn
    for bad in ("s6", "z1", "z65", "S5", "", "a2"):
        with pytest.raises(InputError, match="group"):
            WordProblem(bad)
    with pytest.raises(InputError, match="ask"):
        WordProblem("s3", "order")
