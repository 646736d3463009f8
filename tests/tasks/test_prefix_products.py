"""Prefix products against the word problem, whose answer is the last of them, and against composed permutations."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.tasks import make_task
from separatrix.tasks.prefix_products import PrefixProducts
from separatrix.tasks.word_problem import WordProblem, elements


@pytest.mark.parametrize("group", ["z2", "z7", "s3", "a5"])
def test_every_prefix_is_a_word_problem(group: str) -> None:
    task, n = PrefixProducts(group), 6
    words, _ = task.sample(n, 40, np.random.default_rng(0))
    found = task.answer(words)
    for length in range(1, n + 1):
        ends = np.concatenate([words[:, :length], np.full((40, 1), task.order)], axis=1)
        assert np.array_equal(found[:, length - 1], WordProblem(group, "product").answer(ends)[:, 0])
    image = np.arange(len(elements(group)[0]))
    for g, number in zip(words[0], found[0], strict=True):
        image = np.array(elements(group)[g])[image]
        assert tuple(image.tolist()) == elements(group)[number]


def test_what_is_refused_and_shown() -> None:
    task = make_task("prefix-products", {"group": "s3"})
    assert isinstance(task, PrefixProducts) and task.parameters() == {"group": "s3"}
    assert task.show(np.array([0, 5])) == "123 321" and PrefixProducts("z3").show(np.array([1, 2])) == "1 2"
    for wrong in (lambda: PrefixProducts("q8"), lambda: task.domain(0)):
        with pytest.raises(InputError):
            wrong()
    with pytest.raises(InputError, match="distribution 'balanced'"):
        task.sample(4, 2, np.random.default_rng(0), "balanced")
