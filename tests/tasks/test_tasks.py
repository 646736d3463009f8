"""Every registered task: cells, samplers, answers by hand, parameters."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from core.reference import Mixed
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.tasks import make_task, registry
from separatrix.tasks.fingerprint import Fingerprint
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.tasks.sparse_averaging import SparseAveraging
from tasks.cover import assert_cells_cover

SMALL: list[tuple[Task, int]] = [
    *((IndexLookup(symbols), n) for symbols, n in ((2, 1), (2, 5), (3, 3), (4, 2), (5, 1))),
    *((Match2(modulus, distinct), n) for modulus in (2, 3, 4, 5) for distinct in (False, True) for n in (1, 2, 3)),
    (Match2(6, True), 4),
    *((Fingerprint(prime), n) for prime, n in ((3, 2), (5, 6), (257, 4))),
    *((SparseAveraging(q, dim), n) for q, dim, n in ((1, 1, 1), (1, 2, 3), (2, 1, 3), (2, 3, 3), (3, 1, 4), (2, 1, 4))),
    *((PrefixSums(dim), n) for dim, n in ((1, 1), (1, 4), (2, 3))),
    *((Mixed(4, most, shift), n) for most in (1, 2) for shift in (0, 1, 2) for n in (1, 2, 4)),
]
DISTRIBUTIONS = {
    "match2": ("uniform", "sparse"),
    "sparse-averaging": ("uniform", "signs"),
    "prefix-sums": ("uniform", "corners"),
    "majority": ("uniform", "counts", "close"),
    "dyck": ("uniform", "balanced"),
    "boolean-formula": ("uniform", "complete", "comb", "words", "broken"),
    "arithmetic-formula": ("uniform", "complete", "comb", "words", "broken"),
    "word-problem": ("uniform", "balanced"),
}


def some_length(task: Task) -> int:
    """9, or 10 where lengths are even."""
    try:
        return task.domain(9) and 9
    except InputError:
        return 10


@pytest.mark.parametrize(("task", "n"), SMALL, ids=str)
def test_cells_cover_the_domain_and_carry_the_answer(task: Task, n: int) -> None:
    assert assert_cells_cover(task, n) > 0


def test_every_registered_task_is_covered_here() -> None:
    """A new task adds itself to SMALL, or has a file of tests of its own that calls `assert_cells_cover`."""
    from pathlib import Path

    own = "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py"))
    for name, kind in registry.items():
        assert any(task.name == name for task, _ in SMALL) or f"{kind.__name__}(" in own, name


def test_the_cover_test_itself_notices_mistakes() -> None:
    class Holes(IndexLookup):
        def cells(self, n: int, query: int):
            yield from list(super().cells(n, query))[1:]

    class Labels(IndexLookup):
        def cells(self, n: int, query: int):
            for group in super().cells(n, query):
                assert group.labels is not None
                yield dataclasses.replace(group, labels=group.labels[::-1])

    class Shifted(Match2):
        def cells(self, n: int, query: int):
            for group in super().cells(n, query):
                yield dataclasses.replace(group, background=None)

    for task in (Holes(3), Labels(2), Shifted(3)):
        with pytest.raises(AssertionError):
            assert_cells_cover(task, 2)


def test_cells_are_as_many_as_the_papers_say() -> None:
    assert assert_cells_cover(IndexLookup(3), 4) == 4 * 3
    assert assert_cells_cover(SparseAveraging(2), 4) == 4 * math.comb(4, 2)
    assert assert_cells_cover(Match2(3, True), 3) == 3 * 3 * (2 + 1)


@pytest.mark.parametrize("name", list(registry))
def test_samples_are_legal_and_repeatable(name: str) -> None:
    task = make_task(name)
    n = some_length(task)
    for distribution in DISTRIBUTIONS.get(name, ("uniform",)):
        tokens, reals = task.sample(n, 50, child(3, name), distribution)
        again, reals_again = task.sample(n, 50, child(3, name), distribution)
        other, reals_other = task.sample(n, 50, child(4, name), distribution)
        same = np.array_equal(tokens, other) and (reals is None or np.array_equal(reals, reals_other))
        assert np.array_equal(tokens, again) and not same
        domain = task.domain(n)
        assert len(tokens) == 50 and all(domain.contains(row) for row in tokens)
        assert (reals is None) == (domain.reals is None)
        if reals is not None and reals_again is not None and domain.reals is not None:
            assert np.array_equal(reals, reals_again)
            assert reals.shape == (50, domain.positions, domain.reals.dim)
            assert all(domain.reals.contains(row) for row in reals)
        answers = task.answer(tokens, reals)
        assert answers.shape[:2] == (50, len(task.queries(n)))
        outputs = task.outputs()
        if isinstance(outputs, Labels):
            assert answers.dtype.kind == "i" and answers.min() >= 0 and answers.max() < outputs.k
        assert task.show(tokens[0], None if reals is None else reals[0])
    with pytest.raises(InputError, match="distribution"):
        task.sample(n, 2, child(0), "no-such")


@pytest.mark.parametrize("name", list(registry))
@pytest.mark.parametrize("n", [0, -1, -(2**60), 2**60])
def test_absurd_lengths_are_input_errors(name: str, n: int) -> None:
    with pytest.raises(InputError, match="n ="):
        make_task(name).domain(n)


@pytest.mark.parametrize("name", list(registry))
def test_parameters_round_trip(name: str) -> None:
    task = make_task(name)
    assert make_task(name, task.parameters()) == task
    assert make_task(name, {k: str(v) for k, v in task.parameters().items()}) == task
    assert hash(task) == hash(make_task(name)) and len(task.source_sha256()) == 64
    assert task.gloss and task.source and task.length_word
    n = some_length(task)
    assert task.splits(n) and all(0 < cut < task.domain(n).positions + 1 for cut in task.splits(n))
    with pytest.raises(InputError, match="no parameter"):
        make_task(name, {"no_such": 1})


@pytest.mark.parametrize(("name", "parameters"), [
    ("index-lookup", {"symbols": 1}), ("index-lookup", {"symbols": 2**30}), ("index-lookup", {"symbols": 2.0}),
    ("index-lookup", {"symbols": True}), ("index-lookup", {"symbols": "two"}), ("index-lookup", {"symbols": None}),
    ("index-lookup", {"symbols": "9" * 5000}), ("index-lookup", {"symbols": [2]}),
    ("match2", {"modulus": 1}), ("match2", {"modulus": -5}), ("match2", {"distinct_indices": 1}),
    ("match2", {"distinct_indices": "maybe"}), ("match2", {"modulus": "0x10"}),
    ("sparse-averaging", {"q": 0}), ("sparse-averaging", {"dim": 0}), ("sparse-averaging", {"eps": 0.0}),
    ("sparse-averaging", {"eps": "nan"}), ("sparse-averaging", {"eps": 1}), ("sparse-averaging", {"eps": "1e999"}),
    ("sparse-averaging", {"eps": "0x1p99999"}), ("sparse-averaging", {"eps": "-0x1p-3"}),
], ids=str)  # fmt: skip
def test_bad_parameters_are_input_errors(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make_task(name, parameters)


def test_parameters_may_be_strings() -> None:
    assert make_task("match2", {"modulus": "7", "distinct_indices": "yes"}) == Match2(7, True)
    assert make_task("match2", {"distinct_indices": "0"}) == Match2()
    assert make_task("sparse-averaging", {"eps": (0.25).hex()}) == make_task("sparse-averaging", {"eps": "0.25"})


def test_unknown_tasks_suggest_a_neighbour() -> None:
    with pytest.raises(InputError, match="did you mean index-lookup"):
        make_task("index_lookup")


def test_index_lookup_by_hand() -> None:
    task = IndexLookup(4)
    tokens = np.array([[3, 1, 2, 4], [3, 1, 2, 5], [3, 1, 2, 6], [0, 0, 1, 6]])
    assert task.answer(tokens).tolist() == [[3], [1], [2], [1]]
    assert task.queries(3) == (3,) and task.domain(3).positions == 4 and task.domain(3).vocabulary == 7
    assert task.show(tokens[1]) == "3 1 2 ? 1"
    domain = task.domain(3)
    for row in ([4, 0, 0, 4], [0, 0, 0, 3], [0, 0, 0, 7], [0, 0, 0], [0, 0, 0, 4, 4], [-1, 0, 0, 4]):
        assert not domain.contains(np.array(row))
    assert not domain.contains(np.array([0.0, 0.0, 0.0, 4.0]))


def test_match2_by_hand() -> None:
    tokens = np.array([[0, 1, 6, 3], [2, 2, 5, 5], [0, 0, 1, 1], [4, 4, 4, 4]])
    assert Match2(7).answer(tokens).tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert Match2(7, True).answer(tokens).tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    even = np.array([[4, 1, 2, 3], [4, 4, 0, 0]])
    assert Match2(8).answer(even).tolist() == [[1, 0, 0, 0], [1, 1, 1, 1]]
    assert Match2(8, True).answer(even).tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]


def test_match2_against_the_definition() -> None:
    rng = np.random.default_rng(0)
    for modulus in (2, 5, 6):
        tokens = rng.integers(0, modulus, (40, 5))
        for distinct in (False, True):
            expected = [
                [int(any((x[i] + x[j]) % modulus == 0 for j in range(5) if j != i or not distinct)) for i in range(5)]
                for x in tokens.tolist()
            ]
            assert Match2(modulus, distinct).answer(tokens).tolist() == expected


def test_sparse_averaging_by_hand() -> None:
    z = np.array([[[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]])
    y = np.array([[[0, 1], [1, 2], [0, 2]]])
    assert SparseAveraging(2, 2).answer(y, z).tolist() == [[[0.5, 0.5], [0.25, 0.75], [0.75, 0.25]]]
    assert SparseAveraging(2).coefficients(4, (1, 3)).tolist() == [0.0, 0.5, 0.0, 0.5]
    domain = SparseAveraging(2).domain(3)
    for row in (
        [[1, 0], [0, 1], [0, 1]],
        [[0, 0], [0, 1], [0, 1]],
        [[0, 3], [0, 1], [0, 1]],
        [[-1, 0], [0, 1], [0, 1]],
    ):
        assert not domain.contains(np.array(row))
    assert domain.contains(np.array([[0, 2], [0, 1], [1, 2]])) and not domain.contains(np.array([0, 1, 2]))
    with pytest.raises(InputError, match="n = 1"):
        SparseAveraging(2).domain(1)


def test_log2_of_the_number_of_inputs() -> None:
    assert IndexLookup(4).domain(8).log2_inputs() == 8 * 2 + 3
    assert len(PointerSets(5, 2)) == 10 and SparseAveraging(2).domain(5).log2_inputs() == pytest.approx(
        5 * math.log2(10)
    )
