"""Tasks in steps: the steps compose to the task, and the cells of every step cover what the steps before can leave."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks import make_task, registry
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality
from separatrix.tasks.flags import AllDown
from separatrix.tasks.k_hop import KHop
from separatrix.tasks.match3_bigram import Match3Bigram
from separatrix.tasks.match3_local import Match3Local
from separatrix.tasks.multi_query_recall import MultiQueryRecall
from separatrix.tasks.nearest_neighbour import NearestNeighbour
from tasks.cover import assert_cells_cover, members, words

CASES: list[tuple[Task, int]] = [
    (Equality(3), 4),
    *(
        (Dyck(types, depth), n)
        for types, depth, n in ((1, 1, 6), (1, 2, 8), (2, 2, 6), (1, 3, 8), (2, 3, 4), (3, 2, 4))
    ),
    *((AssociativeRecall(k, s), n) for k, s, n in ((1, 2, 1), (3, 2, 2), (4, 2, 3))),
    *((MultiQueryRecall(k, s), n) for k, s, n in ((1, 2, 1), (2, 2, 2), (3, 2, 2))),
    *((NearestNeighbour(d, s), n) for d, s, n in ((1, 2, 2), (2, 3, 2), (2, 2, 3))),
    *(
        (KHop(k, s), n)
        for k, s, n in (
            (1, 2, 1),
            (1, 3, 4),
            (2, 2, 6),
            (4, 3, 5),
            (8, 2, 7),
            (3, 2, 6),
            (5, 3, 4),
            (6, 2, 5),
            (13, 2, 6),
        )
    ),
    *((Match3Bigram(m), n) for m, n in ((2, 1), (3, 2), (3, 5), (5, 4))),
    *((Match3Local(m, k), n) for m, k, n in ((2, 1, 1), (3, 1, 4), (3, 2, 5), (4, 2, 4))),
]


def check_step(step: Task, n: int, given: np.ndarray) -> int:
    """The cells of a step cover these words and carry its answers on them; the number of cells that hold any."""
    domain, answers, used = step.domain(n), step.answer(given), 0
    assert domain.constraint.holds(given).all()
    assert all(np.isin(given[:, j], alphabet).all() for j, alphabet in enumerate(domain.alphabets))
    for column, query in enumerate(step.queries(n)):
        covered = np.zeros(len(given), dtype=bool)
        for group in step.cells(n, query) or ():
            free = domain
            if step.causal:  # what a cell says of the positions behind its query is void
                anything = np.arange(domain.vocabulary)
                ahead = n if group.background is None else query + 1
                where = (group.background or domain.alphabets)[:ahead] + (anything,) * (domain.positions - ahead)
                group = type(group)(
                    query,
                    group.token,
                    group.positions,
                    group.symbols,
                    group.labels,
                    background=where[: domain.positions],
                )
            for cell in range(len(group)):
                inside = members(group, cell, free, given)
                used += bool(inside.any())
                covered |= inside
                assert group.labels is not None
                assert (answers[inside, column] == group.labels[cell]).all(), (step.name, query, group.token, cell)
        assert covered.all(), f"{step.name}: no cell of {query} holds {given[np.flatnonzero(~covered)[0]]}"
    return used


@pytest.mark.parametrize(("task", "n"), CASES, ids=str)
def test_steps_compose_and_their_cells_cover_what_is_left_to_them(task: Task, n: int) -> None:
    inputs = words(task.domain(n))
    assert task.factors()
    for chain in task.factors().values():
        given = inputs
        for step in chain:
            assert check_step(step, n, np.unique(given, axis=0)) > 0
            given = step.answer(given)
        assert np.array_equal(given, task.answer(inputs))


def test_the_last_flags_are_covered_for_every_word() -> None:
    for n in (1, 2, 4):
        assert assert_cells_cover(AllDown(), n) > 0


def test_a_missing_cell_and_a_wrong_label_are_noticed() -> None:
    class Fewer(AllDown):
        def cells(self, n, query):
            yield from list(super().cells(n, query))[1:]

    class Swapped(AllDown):
        def answer(self, tokens, reals=None):
            return 1 - super().answer(tokens)

    given = np.array(list(itertools.product(range(2), repeat=3)))
    for step in (Fewer(), Swapped()):
        with pytest.raises(AssertionError):
            check_step(step, 2, given)


def test_registered_tasks_are_not_causal() -> None:
    """Only the contract check knows what `causal` means."""
    assert not any(kind.causal for _, kind in registry.items())


def test_hops_by_hand() -> None:
    """The example of the paper, and nowhere from the third hop on."""
    word = np.array([["abcde".index(c) for c in "baebcabebdea"]])
    assert [int(KHop(k, 5).answer(word)[0, -1]) for k in (1, 2, 3, 64)] == [1, 2, 5, 5]


def test_hops_against_the_definition() -> None:
    rng = np.random.default_rng(0)
    for k, symbols, n in ((1, 2, 6), (2, 3, 9), (3, 3, 9), (5, 2, 7), (2**20, 2, 5)):
        for x in rng.integers(0, symbols, (30, n)).tolist():
            found = []
            for i in range(1, n + 1):
                at = i
                for _ in range(min(k, 50)):
                    at = max((j for j in range(2, at + 1) if x[j - 2] == x[at - 1]), default=0) if at else 0
                found.append(x[at - 1] if at else symbols)
            assert KHop(k, symbols).answer(np.array([x])).tolist() == [found]


def test_bad_hops_are_input_errors() -> None:
    for bad in ({"k": 0}, {"symbols": 1}, {"k": 2**40}):
        with pytest.raises(InputError, match="k-hop"):
            make_task("k-hop", bad)
    with pytest.raises(InputError, match="64"):
        KHop(3).factors()["doubling"][2].domain(65)
    with pytest.raises(InputError, match="256"):
        KHop(2).factors()["doubling"][0].domain(300)
