"""Disjointness, nearest neighbour, Match3: cells, answers by definition, factors, boxes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from separatrix.core.domain import Labels
from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.tasks.disjointness import AnyFlag, Common, Disjointness
from separatrix.tasks.match3 import Match3
from separatrix.tasks.match_sums import MatchSums
from separatrix.tasks.nearest_neighbour import NearestNeighbour
from tasks.cover import assert_cells_cover, words

SMALL: list[tuple[Task, int]] = [
    *((Common(), n) for n in (2, 4, 8)),
    *((AnyFlag(), n) for n in (1, 2, 6)),
    *((NearestNeighbour(d, 2), n) for d, n in ((1, 1), (1, 3), (2, 2), (3, 1))),
    *((NearestNeighbour(d, labels, True), n) for d, labels, n in ((1, 2, 3), (2, 2, 3), (2, 3, 2))),
]


@pytest.mark.parametrize(("task", "n"), SMALL, ids=str)
def test_cells_cover_the_domain_and_carry_the_answer(task: Task, n: int) -> None:
    assert assert_cells_cover(task, n) > 0


@pytest.mark.parametrize("n", [2, 4, 6, 8])
def test_disjointness_factors(n: int) -> None:
    task, rows = Disjointness(), words(Disjointness().domain(n))
    expected = [[int(any(x[i] and x[i + n // 2] for i in range(n // 2)))] for x in rows.tolist()]
    assert task.answer(rows).tolist() == expected
    for inner, outer in task.factors().values():
        assert np.array_equal(outer.answer(inner.answer(rows)), task.answer(rows))
    assert task.show(rows[1]) == "0" * (n // 2) + " | " + "0" * (n // 2 - 1) + "1"


def test_both_answers_of_disjointness_are_common_in_sparse_samples() -> None:
    tokens, _ = Disjointness().sample(64, 2000, child(0), "sparse")
    assert 0.2 < Disjointness().answer(tokens).mean() < 0.8


@pytest.mark.parametrize("joined", [False, True])
def test_nearest_neighbour_by_definition(joined: bool) -> None:
    task = NearestNeighbour(4, 3, joined)
    for distribution in ("uniform", "near"):
        tokens, _ = task.sample(6, 60, child(1), distribution)
        for row, label in zip(tokens.tolist(), task.answer(tokens)[:, 0].tolist(), strict=True):
            pairs = [divmod(t, 3) for t in row[:-1]] if joined else list(zip(row[:-1:2], row[1::2], strict=True))
            asked = row[-1] - 48 if joined else row[-1]
            vectors = [np.array([1.0 if b >> i & 1 else -1.0 for i in range(4)]) / 2 for b, _ in pairs]
            query = np.array([1.0 if asked >> i & 1 else -1.0 for i in range(4)]) / 2
            products = [float(v @ query) for v in vectors]
            latest = max(i for i, p in enumerate(products) if p == max(products))
            assert label == pairs[latest][1] - (0 if joined else 16)
    assert task.show(tokens[0]).count(":") == 6


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("modulus", [2, 3, 5, 6, 9])
def test_match3_against_the_definition(modulus: int, distinct: bool) -> None:
    task, rng = Match3(modulus, distinct), np.random.default_rng(modulus)
    for n in (1, 2, 3, 5):
        tokens = rng.integers(0, modulus, (40, n))
        expected = [
            [
                int(
                    any(
                        (x[i] + x[j] + x[k]) % modulus == 0
                        for j, k in itertools.product(range(n), repeat=2)
                        if not distinct or len({i, j, k}) == 3
                    )
                )
                for i in range(n)
            ]
            for x in tokens.tolist()
        ]
        assert task.answer(tokens).tolist() == expected


def test_match3_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, _ = Match3(31).sample(6, 100, child(2), "sparse")
    whole = Match3(31).answer(tokens)
    monkeypatch.setattr("separatrix.tasks.match3.BLOCK", 200)
    assert np.array_equal(Match3(31).answer(tokens), whole) and 0 < whole.mean() < 1


@pytest.mark.parametrize("task", [Match3(11), Match3(9, True), Match3(12)], ids=str)
def test_constant_boxes_are_constant(task: Match3) -> None:
    """Of every box that the task decides, every member has that answer; 0 is decided whenever it is right."""
    rng, decided = np.random.default_rng(0), {0: 0, 1: 0}
    for _ in range(300):
        n, query = 4, int(rng.integers(4))
        box = tuple(
            np.sort(rng.choice(task.modulus, 1 if j == query else int(rng.integers(1, 4)), replace=False))
            for j in range(n)
        )
        answers = task.answer(np.array(list(itertools.product(*(b.tolist() for b in box)))))[:, query]
        label = task.constant(n, query, box)
        if label is not None:
            assert (answers == label).all()
            decided[label] += 1
        assert label == 0 or answers.any()
    assert min(decided.values()) > 5
    assert task.constant(2, 0, (np.array([0, 1]), np.array([1]))) is None
    outputs = task.outputs()
    assert isinstance(outputs, Labels) and outputs.k == 2


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (NearestNeighbour, (0,)),
        (NearestNeighbour, (17,)),
        (NearestNeighbour, (3, 1)),
        (Match3, (1,)),
        (Match3, (2**30,)),
    ],
)
def test_bad_parameters_are_input_errors(kind: type, parameters: tuple) -> None:
    with pytest.raises(InputError):
        kind(*parameters)
    with pytest.raises(InputError, match="even"):
        Disjointness().domain(7)


def test_sums_of_three_are_match3() -> None:
    tokens, _ = MatchSums(3, 29).sample(12, 100, np.random.default_rng(0), "sparse")
    answers = MatchSums(3, 29).answer(tokens)
    assert np.array_equal(answers, Match3(29).answer(tokens))
