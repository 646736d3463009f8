"""Formulas: three independent references agree, samples are balanced at every depth, nothing gives the value away."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.tasks.formula_trees import any_trees, combs, complete, subtree_sizes
from separatrix.tasks.formula_value import ArithmeticFormula, BooleanFormula, FormulaValue, algebra
from separatrix.tasks.reductions import barrington
from separatrix.tasks.word_problem import WordProblem, elements
from tasks.cover import assert_cells_cover
from tasks.formula_reference import contract, height, parse

RINGS = ("gf2", "z3", "z6", "z64", "or-and", "min-plus", "matrix2-gf2")
TASKS: list[FormulaValue] = [
    *(BooleanFormula(e) for e in ("infix", "plof")),
    *(ArithmeticFormula(r, e) for r in RINGS for e in ("infix", "plof")),
]
SHAPES = ("uniform", "complete", "comb")


@pytest.mark.parametrize("task", [BooleanFormula(), BooleanFormula("plof"), ArithmeticFormula("z3"),
                                  ArithmeticFormula("or-and", "plof")], ids=str)  # fmt: skip
def test_every_short_word_is_answered_as_the_grammar_says(task: FormulaValue) -> None:
    seen = 0
    for n in range(1, 8):
        if not task.shapes(n) or task.domain(n).log2_inputs() > 14.3:
            continue
        assert assert_cells_cover(task, n) == 0  # no cells are known
        words = np.array(list(itertools.product(range(task.domain(n).vocabulary), repeat=n)))
        for word, label in zip(words.tolist(), task.answer(words)[:, 0].tolist(), strict=True):
            tree = parse(task, word)
            assert label == (task.algebra().size if tree is None else contract(task, tree)[0])
            seen += tree is not None
    assert seen >= 10


@pytest.mark.parametrize("task", TASKS, ids=str)
@pytest.mark.parametrize("distribution", [*SHAPES, "words", "broken"])
def test_stack_machine_and_tree_contraction_agree(task: FormulaValue, distribution: str) -> None:
    for n in (1, 9, 41):
        tokens, _ = task.sample(n, 30, child(1, str(task), distribution), distribution)
        fine = 0
        for row, label in zip(tokens.tolist(), task.answer(tokens)[:, 0].tolist(), strict=True):
            tree = parse(task, row)
            fine += tree is not None
            if tree is None:
                assert label == task.algebra().size
                continue
            value, rounds = contract(task, tree)
            leaves = sum(token < task.algebra().size for token in row)
            assert value == label and rounds <= math.ceil(math.log2(leaves) if leaves > 1 else 0)
        assert fine == 30 or distribution in ("words", "broken")
        assert n == 1 or distribution != "broken" or 8 <= fine <= 29


@pytest.mark.parametrize("encoding", ["infix", "plof"])
def test_barrington_programs_agree_and_link_the_tasks(encoding: str) -> None:
    task, words = BooleanFormula(encoding), WordProblem("s5")
    cycle, back = elements("s5").index((1, 2, 3, 4, 0)), elements("s5").index((4, 0, 1, 2, 3))
    for n, shape in ((1, "uniform"), (4, "uniform"), (9, "uniform"), (33, "uniform"), (61, "complete"), (21, "comb")):
        tokens, _ = task.sample(n, 12, child(2, shape), shape)
        for row in tokens:
            tree = parse(task, row.tolist())
            assert tree is not None
            word = barrington.to_word(task, row)
            assert len(word) <= 4 ** height(tree)
            label = int(task.answer(row[None])[0, 0])
            assert label == contract(task, tree)[0]
            assert int(words.product(word[None])[0]) == (cycle if label else 0)
            asked = np.concatenate([word, [back, 120]])[None]
            assert int(words.answer(asked)[0, 0]) == label
    with pytest.raises(InputError, match="no formula"):
        barrington.to_word(task, np.array([0, 3] if encoding == "plof" else [5, 6]))
    deep, _ = task.sample(301, 1, child(2), "comb")
    with pytest.raises(InputError, match="more than"):
        barrington.to_word(task, deep[0])


@pytest.mark.parametrize("task", TASKS, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_are_uniform_at_every_length_and_tell_no_operation(task: FormulaValue, shape: str) -> None:
    count, size = 1500, task.algebra().size
    for n in (9, 33, 65):
        tokens, _ = task.sample(n, count, child(3, str(task), shape), shape)
        labels = task.answer(tokens)[:, 0]
        share = np.bincount(labels, minlength=size + 1) / count
        assert share[size] == 0 and np.abs(share[:size] - 1 / size).max() < 5 * math.sqrt(1 / size / count)
        if task.written() == "plof":  # the operation at the root stands last
            ops = tokens[:, -1] - size - len(task.algebra().unary)
            for op in range(2):
                own = labels[ops == op]
                assert abs(own.mean() - labels.mean()) < 5 * labels.std() / math.sqrt(max(1, len(own)))


def test_the_share_of_ones_does_not_tell_the_value_of_deep_formulas() -> None:
    """The best threshold on the number of ones, chosen with the labels in hand, stays below 70 %."""
    task = BooleanFormula()
    tokens, _ = task.sample(513, 2000, child(4), "complete")
    labels, ones = task.answer(tokens)[:, 0], (tokens == 1).sum(axis=1)
    best = max(float(((ones >= t) == labels).mean()) for t in np.unique(ones).tolist())
    assert best < 0.70


def test_shapes_are_what_they_say() -> None:
    rng = child(5)
    for b, u in ((0, 0), (3, 0), (5, 4), (0, 3)):
        words = any_trees(b, u, 50, rng)
        assert (subtree_sizes(words)[:, 0] == 2 * b + 1 + u).all()
        assert ((words == 2).sum(axis=1) == b).all() and ((words == 1).sum(axis=1) == u).all()
    trees = any_trees(3, 0, 4000, rng)
    kinds, counts = np.unique(trees, axis=0, return_counts=True)
    assert len(kinds) == 5 and counts.min() > 650  # the Catalan number, all alike
    assert (subtree_sizes(combs(6, 20, rng))[:, 0] == 13).all()
    task = BooleanFormula("plof")
    for shape, expected in (("complete", {5}), ("comb", {16})):
        tokens, _ = task.sample(33, 20, rng, shape)
        trees_of = [parse(task, row) for row in tokens.tolist()]
        assert {height(tree) for tree in trees_of if tree is not None} == expected
    assert subtree_sizes(complete(16)[None])[0, 0] == 33


def test_algebras_are_semirings() -> None:
    for name in RINGS:
        (_, plus), (_, times) = algebra(name).binary
        if name == "or-and":
            plus, times = times, plus
        every = np.arange(algebra(name).size)
        a, b, c = np.meshgrid(every, every, every, indexing="ij")
        assert (plus[plus[a, b], c] == plus[a, plus[b, c]]).all() and (plus == plus.T).all()
        assert (times[times[a, b], c] == times[a, times[b, c]]).all()
        assert (times[a, plus[b, c]] == plus[times[a, b], times[a, c]]).all()
        assert (times[plus[a, b], c] == plus[times[a, c], times[b, c]]).all()
        for table in (plus, times):  # every value can be wanted of every operation
            assert set(table.ravel().tolist()) == set(every.tolist())
    assert algebra("matrix2-gf2").binary[1][1][0b0110, 0b0110] == 0b1001  # a swap, twice
    assert not (algebra("matrix2-gf2").binary[1][1] == algebra("matrix2-gf2").binary[1][1].T).all()


def test_formulas_by_hand() -> None:
    task = ArithmeticFormula("min-plus")
    tokens = np.array([[11, 11, 3, 10, 7, 12, 9, 5, 12], [11, 2, 10, 11, 1, 10, 1, 12, 12]])
    assert task.answer(tokens).tolist() == [[5], [4]]
    assert task.show(tokens[0]) == "((3 + 7) min 5)"
    assert BooleanFormula("plof").show(np.array([1, 2, 0, 3])) == "1 ~ 0 &"
    assert ArithmeticFormula("matrix2-gf2").show(np.array([18, 6, 17, 6, 19])) == "([01;10] * [01;10])"


def test_bad_values_are_input_errors() -> None:
    for make in (lambda: BooleanFormula("prefix"), lambda: ArithmeticFormula("z1"), lambda: ArithmeticFormula("z65"),
                 lambda: ArithmeticFormula("boolean"), lambda: ArithmeticFormula("gf2", "")):  # fmt: skip
        with pytest.raises(InputError):
            make()
    for task, n in ((BooleanFormula(), 2), (BooleanFormula(), 3), (BooleanFormula(), 6), (ArithmeticFormula(), 10),
                    (ArithmeticFormula("z3", "plof"), 10), (BooleanFormula("plof"), 2**17)):  # fmt: skip
        with pytest.raises(InputError, match="n = "):
            task.domain(n)
