"""The reduction of every entry of the ledger, as code: exhaustively where the problem is small, at random beyond.

An entry whose argument is about no two parties' bits stands in `ELSEWHERE`, with the test that plays it through.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
import pytest

from cannot.test_problems import CASES
from separatrix.cannot import registry
from separatrix.cannot.bound import Bound
from separatrix.cannot.ledger.lists import LISTS
from separatrix.cannot.reduction import Problem
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.tasks import make_task

WHOLE = 6  # bits up to which all pairs of inputs are tried (INDEX: 2 more)
SAMPLE = 1000
MORE: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    *(("index-lookup", {"symbols": s}, (1, 2, 5, 40)) for s in (2, 5)),
    *(("match2", {"modulus": m, "distinct_indices": d}, (2, 5, 9, 40)) for m in (3, 12, 97) for d in (False, True)),
    *(("sparse-averaging", {"q": q, "dim": d, "eps": 0.9 / q}, (2, 5, 7, 9, 40)) for q in (1, 2, 3, 5) for d in (1, 2)),
    ("sparse-averaging", {"q": 20, "eps": 0.02}, (45,)),
    ("dyck", {"types": 3, "depth": 6}, (8, 20)),
    ("majority", {}, (1023,)),
    ("word-problem", {"group": "z64"}, (7,)),
    ("nearest-neighbour", {"dim": 5}, (12,)),
    ("associative-recall", {"keys": 20, "labels": 2}, (12,)),
    ("multi-query-recall", {"keys": 12, "labels": 2}, (12,)),
    *(("pointer-chasing", {"steps": s}, (12,)) for s in (2, 3)),
    ("match3", {"modulus": 64}, (33,)),
    ("match3-local", {"modulus": 1040}, (5,)),
    ("relation-composition", {}, (11,)),
]
ELSEWHERE = {
    "sparse-averaging-feed-forward":
        ("verify.test_first_layer", "test_any_net_on_a_narrow_layer_errs_by_the_stated_amount"),
    "regular-recurrent": ("cannot.test_automata", "test_the_count_is_that_of_the_whole_matrix"),
    "pointer-chasing-decoder": ("cannot.test_problems", "test_layered_bounds_say_when_they_are_vacuous"),
    "match-sums-recurrent-rows": ("cannot.test_counted", "test_sets_of_residues_are_the_rows_at_the_last_cut"),
    "k-hop-recurrent-rows": ("cannot.test_counted", "test_short_words_are_the_rows_at_the_last_cut"),
    "clauses-recurrent": ("cannot.test_counted", "test_clauses_have_the_rows_of_the_best_cut"),
    **{f"{kind.name}-recurrent": ("cannot.test_list_bounds", "test_every_two_words_are_told_apart")
       for kind, *_ in LISTS},
}  # fmt: skip
SMALL = ("parity-recurrent", "word-problem-recurrent")  # problems of few bits


def inputs(problem: Problem, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs, or a sample of them."""
    whole = k <= WHOLE + 2 * problem.one_hot
    return problem.inputs(k) if whole else problem.sample(k, SAMPLE, child(0, problem.name, k))


@cache
def runs(name: str) -> list[tuple[Bound, Task, int, int]]:
    """(entry, task, n, bits) of everything that is tried for an entry."""
    bound, found = registry.get(name), []
    assert bound.reduction is not None
    for given, parameters, lengths in (*CASES, *MORE):
        if given == bound.task:
            task = make_task(given, parameters)
            for n in lengths:
                k = bound.reduction.bits(task, n)
                if k > 0:
                    found.append((bound, task, n, k))
    return found


@pytest.mark.parametrize("name", [name for name, bound in registry.items() if bound.reduction])
def test_the_tasks_answer_is_the_problems(name: str) -> None:
    for bound, task, n, k in runs(name):
        assert bound.reduction is not None
        problem = bound.reduction.problem
        a, b = inputs(problem, k)
        tokens, reals = bound.reduction.tokens(task, n, a, b)
        domain = task.domain(n)
        assert reals is None or (np.linalg.norm(reals, axis=2) <= 1).all()
        assert all(domain.contains(row) for row in tokens[:: max(1, len(tokens) // 50)])
        wrong = bound.reduction.run(task, n, a, b) != problem.value(a, b)
        assert not wrong.any(), (name, task, n, k, int(wrong.sum()))


@pytest.mark.parametrize("name", [name for name, bound in registry.items() if bound.reduction])
def test_small_ones_are_tried_whole_and_large_ones_at_random(name: str) -> None:
    sizes = {k for *_, k in runs(name)}
    assert any(k <= WHOLE for k in sizes), sizes
    assert any(k > WHOLE for k in sizes) or name in SMALL, sizes


@pytest.mark.parametrize("name", [name for name, bound in registry.items() if bound.reduction])
def test_each_token_depends_on_one_partys_input(name: str) -> None:
    """Another input of Alice's changes no position (token or real part) that another input of Bob's changes."""
    for bound, task, n, k in runs(name)[:6]:
        assert bound.reduction is not None
        rng, problem = child(1, name, n), bound.reduction.problem
        moved = {"a": np.zeros(0, dtype=bool), "b": np.zeros(0, dtype=bool)}
        (a, b), (c, d) = problem.sample(k, 100, rng), problem.sample(k, 100, rng)
        whole = [bound.reduction.tokens(task, n, *pair) for pair in ((a, b), (c, b), (a, d))]
        for party, (tokens, reals) in zip(("a", "b"), whole[1:], strict=True):
            changed = (tokens != whole[0][0]).reshape(len(a), tokens.shape[1], -1).any(axis=(0, 2))
            if reals is not None and whole[0][1] is not None:
                changed = np.concatenate([changed, (reals != whole[0][1]).any(axis=(0, 2))])
            moved[party] = changed
        assert not (moved["a"] & moved["b"]).any(), (name, task, n)
        assert moved["a"].any() and (moved["b"].any() or k == 1), (name, task, n)


@pytest.mark.parametrize("name", [name for name, bound in registry.items() if bound.reduction])
def test_a_bit_that_is_misread_is_noticed(name: str) -> None:
    """Control: with one bit of Alice's turned on the way to the task, the answer is not the problem's any more."""
    for bound, task, n, k in runs(name):
        assert bound.reduction is not None
        a, b = inputs(bound.reduction.problem, k)
        turned = a.copy()
        turned[:, 0] = 1 - turned[:, 0]
        assert (bound.reduction.run(task, n, turned, b) != bound.reduction.problem.value(a, b)).any(), (name, n, k)


def test_every_entry_has_a_reduction_or_stands_elsewhere() -> None:
    assert {name for name, bound in registry.items() if bound.reduction is None} == set(ELSEWHERE)
    for module, name in ELSEWHERE.values():
        assert callable(getattr(importlib.import_module(module), name))
