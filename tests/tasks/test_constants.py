"""What tasks say of boxes is what all their words answer, and where it varies they say nothing."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from separatrix.core.task import Task
from separatrix.tasks import make_task, sparse_averaging, sparse_propagation
from separatrix.tasks.match3_bigram import Match3Bigram, Meets, Neighbour
from separatrix.tasks.match_sums import MatchSums
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.tasks.sparse_propagation import SparsePropagation

TASKS = [
    *(("match-sums", {"order": s, "modulus": m}, 4) for s, m in ((2, 5), (3, 4), (4, 7), (5, 3))),
    *(("match3-bigram", {"modulus": m}, 4) for m in (2, 3, 5)),
    *(("k-hop", {"k": k, "symbols": s}, 5) for k in (1, 2, 3, 16) for s in (2, 3)),
    *(("match3", {"modulus": m, "distinct_indices": d}, 4) for m in (2, 4, 7) for d in (False, True)),
    ("relation-composition", {}, 2),
]


def boxes(task: Task, n: int, rng: np.random.Generator, count: int):
    """Random boxes, most of whose positions hold one symbol; all of their words."""
    domain = task.domain(n)
    for _ in range(count):
        sizes = np.where(rng.random(domain.positions) < 0.6, 1, rng.integers(1, 4, domain.positions))
        box = tuple(
            np.sort(rng.choice(np.asarray(a), min(int(k), len(a)), replace=False))
            for a, k in zip(domain.alphabets, sizes, strict=True)
        )
        yield box, np.array(list(itertools.product(*box)))


@pytest.mark.parametrize(("name", "parameters", "n"), TASKS, ids=str)
def test_a_box_has_the_answer_of_all_its_words(name: str, parameters: dict[str, object], n: int) -> None:
    task, rng, told, silent = make_task(name, parameters), np.random.default_rng(7), 0, 0
    for box, words in boxes(task, n, rng, 300):
        answers = task.answer(words)
        for column, query in enumerate(task.queries(n)):
            label, seen = task.constant(n, query, box), set(answers[:, column].tolist())
            assert label is None or seen == {label}, (box, query, label, seen)
            assert label is not None or len(words) > 1, (box, query)
            told, silent = told + (label is not None), silent + (label is None and len(seen) == 1)
    assert told > 200 and silent < told


def test_the_steps_of_a_task_say_nothing() -> None:
    """They are of its class, and answer something else."""
    box = (np.array([1]), np.array([2]), np.array([0]))
    assert Match3Bigram(5).constant(3, 0, box) is not None
    assert Neighbour(5).constant(3, 0, box) is None and Meets(5).constant(3, 0, box) is None


def test_match_sums_are_sums_of_numbers_that_stand_there() -> None:
    """Answers by the definition: all choices of s - 1 positions."""
    rng = np.random.default_rng(3)
    for order, modulus in itertools.product((2, 3, 4, 5), (2, 3, 6, 7, 255, 256)):
        task, words = MatchSums(order, modulus), rng.integers(0, modulus, (20, 5))
        words[::2] = words[::2] // 2 * 2
        chosen = np.array(list(itertools.product(range(5), repeat=order - 1)))
        sums = (words[:, :, None] + words[:, None, chosen].sum(axis=-1)) % modulus
        assert np.array_equal(task.answer(words), (sums == 0).any(axis=2))


def peak(work: Callable[[], object]) -> int:
    """Bytes that were held at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_wide_boxes_and_large_moduli_fit_into_memory() -> None:
    """No table of all pairs of symbols, and none of all shifts of all sets."""
    wide = (np.arange(4000), np.arange(4000, 8000), np.array([5]))
    assert peak(lambda: make_task("match3", {"modulus": 2**20}).constant(3, 2, wide)) < 2**22
    assert peak(lambda: Match3Bigram(1024).constant(3, 2, (np.arange(1024), np.arange(1024), np.array([5])))) < 2**20
    assert peak(lambda: MatchSums(8, 4095).constant(3, 2, (np.arange(1, 4095, 3),) * 2 + (np.array([1]),))) < 2**20
    words = np.random.default_rng(0).integers(0, 512, (512, 3))
    assert peak(lambda: MatchSums(3, 512).answer(words)) < 2**25


def test_answers_of_real_tasks_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither all pairs of positions of all words, nor all numbers pointed at; and the answers are the same."""
    rng, n = np.random.default_rng(2), 32
    reals = rng.uniform(-1, 1, (200, n, 8))
    tokens = np.sort(rng.random((200, n, n)).argsort(axis=2)[:, :, :16], axis=2)
    for task, limit in (
        (SparseAveraging(q=16, dim=8), (sparse_averaging, "MOST_READ")),
        (SparsePropagation(q=16, dim=8), (sparse_propagation, "MOST_AIMS")),
    ):
        before = task.answer(tokens, reals)
        monkeypatch.setattr(*limit, 2**12)
        assert peak(lambda task=task: task.answer(tokens, reals)) < 2**21
        assert np.abs(task.answer(tokens, reals) - before).max() < 1e-14
