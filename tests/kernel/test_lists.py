"""The kind `lists`: what it accepts is what enumeration shows, and evidence that shows nothing does not pass."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kernel.test_bound_mutations import edit
from separatrix.cannot import registry
from separatrix.cannot.bound import certificate
from separatrix.core.certificate import Certificate
from separatrix.core.domain import RealAnswer
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.tasks import make_task

RUNS = ("prefix-sums", "total", "prefix-minima", "prefix-maxima", "least", "greatest", "maximum-subarray")


def told_apart(task: Task, words: np.ndarray, his: np.ndarray) -> bool:
    """Whether any two words of Alice's get answers more than 2 eps apart, at some position, for some word of Bob's."""
    outputs, cut = task.outputs(), words.shape[1]
    assert isinstance(outputs, RealAnswer)
    seen = []
    for word in his:
        x = np.concatenate([words, np.repeat(word[None], len(words), axis=0)], axis=1)
        seen.append(task.answer(np.zeros(x.shape, dtype=np.int64), x[:, :, None])[:, cut:, 0])
    rows = np.concatenate(seen, axis=1)
    apart = (np.abs(rows[:, None] - rows[None]) > 2 * outputs.eps).any(axis=2)
    return bool((apart | np.eye(len(rows), dtype=bool)).all())


def amount(counts: list[int]) -> float:
    return sum(map(math.log2, counts)) * (1 - 1e-12)


@pytest.mark.parametrize("name", RUNS)
def test_accepted_directions_are_told_apart_by_the_answers(name: str) -> None:
    """Random evidence in eighths, where float64 answers are exact."""
    rng, accepted = np.random.default_rng(RUNS.index(name)), 0
    given: dict[str, Any] = {"low": -2.0, "high": 2.0} if name == "prefix-sums" else {"scale": 2.0}
    for _ in range(600):
        n = int(rng.integers(2, 6))
        cut, task = int(rng.integers(1, n)), make_task(name, given | {"eps": float(rng.choice([0.1, 0.25, 0.3, 0.6]))})
        u = int(rng.integers(1, min(2, cut) + 1))
        levels, moves = rng.integers(2, 4, u), rng.choice([0.0, 0.0, 0.25, 0.5, 1.0, -0.75], (u, cut))
        base, his = rng.integers(-8, 9, cut) / 4, rng.choice([-2.0, 2.0, 0.5], (u, n - cut))
        queries = rng.integers(cut, n, u)
        form = task.closed_form(n, int(queries[0]))
        winners = rng.integers(0, len(form.forms), u)
        made = certificate(
            *(task, n, "lists", "rnn", "state", amount(levels.tolist()), {"by": "directions", "cut": cut}),
            base=base,
            directions=moves,
            levels=levels,
            words=his,
            queries=queries,
            winners=winners,
        )
        if judge(made).accepted:
            accepted += 1
            steps = np.array(list(itertools.product(*map(range, levels.tolist()))))
            words = base + steps @ moves
            assert np.abs(words).max() <= 2.0 and told_apart(task, words, his), (name, made)
            assert not judge(edit(made, amount(levels.tolist()) + 0.1)).accepted
    assert accepted >= 5, accepted


@pytest.mark.parametrize("name", ["sorting", "prefix-medians"])
def test_accepted_orders_are_told_apart_by_the_answers(name: str) -> None:
    rng, accepted = np.random.default_rng(5), 0
    for _ in range(600):
        n = int(rng.integers(2, 7))
        cut, task = int(rng.integers(1, n)), make_task(name, {"scale": 2.0, "eps": float(rng.choice([0.1, 0.3, 0.6]))})
        levels, grid = int(rng.integers(2, 4)), np.array([rng.choice([-2.0, -1.0]), rng.choice([0.5, 1.0])])
        his = rng.choice([-2.0, 2.0], (int(rng.integers(1, 4)), n - cut))
        reads = np.array([(w, q) for w in range(len(his)) for q in range(cut, n) if name == "sorting" or q % 2 == 0])
        count = math.comb(levels + cut - 1, cut)
        evidence = {"by": "order", "cut": cut, "levels": levels}
        arrays = {"grid": grid, "words": his, "reads": reads.reshape(-1, 2)}
        made = certificate(task, n, "lists", "rnn", "state", amount([count]), evidence, **arrays)
        if judge(made).accepted:
            accepted += 1
            words = np.array(list(itertools.combinations_with_replacement(range(levels), cut))) * grid[1] + grid[0]
            assert len(words) == count and told_apart(task, words, his), (name, made)
            assert not judge(edit(made, amount([count]) + 0.1)).accepted
    assert accepted >= 10, accepted


def sums(n: int = 4, **parameters: Any) -> Certificate:
    return registry.get("prefix-sums-recurrent").certificate(make_task("prefix-sums", {"eps": 0.3} | parameters), n)


def runs() -> Certificate:
    return registry.get("maximum-subarray-recurrent").certificate(make_task("maximum-subarray", {"eps": 0.1}), 6)


def sort(n: int = 5) -> Certificate:
    return registry.get("sorting-recurrent").certificate(make_task("sorting", {"eps": 0.3}), n)


def test_one_level_more_is_too_many() -> None:
    """3 numbers of [-1, 1] add up to 10 values that lie more than 0.6 apart: 6/0.6, and not 11."""
    good = sums()
    assert good.arrays["levels"].tolist() == [10] and judge(good).accepted
    assert not judge(edit(good, math.log2(11) - 1e-9, levels=np.array([11]))).accepted  # leaves the box
    for step, apart in ((0.2, True), (math.nextafter(0.2, 0), False)):  # 3 x 0.2 against 2 x 0.3, as floats have them
        verdict = judge(edit(good, 3.0, directions=np.full((1, 3), step)))
        assert verdict.accepted == apart and ("told apart" in verdict.sentence) == (not apart)


def test_traps_of_directions() -> None:
    good = runs()
    assert judge(good).accepted
    a, names = good.arrays, ("words", "queries", "winners")
    swapped = edit(good, **{name: a[name][::-1].copy() for name in names})
    assert not judge(swapped).accepted  # each word tells the other number
    assert not judge(edit(good, words=np.zeros((2, 2)))).accepted  # what ends here is not seen
    assert not judge(edit(good, winners=a["winners"] + 1)).accepted
    assert not judge(edit(good, queries=np.array([3, 3]))).accepted  # Alice's own position
    assert not judge(edit(good, base=a["base"] + 1.5)).accepted  # leaves the box
    assert not judge(edit(good, words=a["words"] * 1.5)).accepted
    assert not judge(edit(good, directions=a["directions"] * 0.5)).accepted
    assert not judge(edit(good, directions=a["directions"] + a["directions"][::-1])).accepted  # both with both


def test_traps_of_order() -> None:
    good = sort()
    assert judge(good).accepted and good.evidence["cut"] == 2
    assert not judge(edit(good, reads=good.arrays["reads"][1:])).accepted  # a rank that nobody reads
    assert not judge(edit(good, words=np.zeros((1, 3)))).accepted  # among the levels
    assert not judge(edit(good, words=np.full((1, 3), 2.0))).accepted  # Alice's ranks are then Alice's positions
    assert not judge(edit(good, reads=np.array([[0, 0], [0, 1]]))).accepted
    assert not judge(edit(good, reads=np.array([[1, 3], [1, 4]]))).accepted
    assert not judge(edit(good, grid=np.array([-2.0, 0.6]))).accepted  # exactly 2 eps, as floats have it, or below
    assert not judge(edit(good, grid=np.array([-1.0, good.arrays["grid"][1]]))).accepted  # leaves the box


@pytest.mark.parametrize("good", [sums(), runs(), sort()], ids=["sums", "runs", "sorting"])
def test_malformed_evidence(good: Certificate) -> None:
    for name, array in good.arrays.items():
        for wrong in (array[:0], array.astype(np.float32), array[None], np.full_like(array, 2**60)):
            verdict = judge(edit(good, **{name: wrong}))
            assert not verdict.accepted, (name, verdict.sentence)
        if array.dtype.kind == "f":
            for value in (np.nan, np.inf):
                assert not judge(edit(good, **{name: np.full_like(array, value)})).accepted
        missing = {key: value for key, value in good.arrays.items() if key != name}
        assert not judge(replace(good, arrays=missing)).accepted
    for fields in (
        {"cut": 0},
        {"cut": -1},
        {"cut": 99},
        {"cut": "2"},
        {"by": "rank"},
        {"levels": 10**400},
        {"more": 1},
    ):
        assert not judge(replace(good, evidence=dict(good.evidence) | fields)).accepted
    assert not judge(replace(good, claim=replace(good.claim, measure="message", arch="transformer"))).accepted


def test_other_tasks_are_not_known() -> None:
    good = sums()
    for other, parameters, n in (
        ("prefix-sums", {"dim": 2, "eps": 0.3}, 4),
        ("sparse-averaging", {"q": 2, "eps": 0.3}, 4),
        ("index-lookup", {}, 3),
        ("price-list", {}, 4),
    ):
        task = make_task(other, parameters)
        claim = replace(good.claim, task=other, parameters=task.parameters(), n=n)
        verdict = judge(replace(good, claim=claim, task_sha256=task.source_sha256()))
        assert not verdict.accepted and verdict.exit_code == 3, verdict.sentence


def test_forms_of_long_lists_are_not_built() -> None:
    """A run for every pair of positions would not fit into memory."""
    good = runs()
    claim = replace(good.claim, n=2**16)
    assert judge(replace(good, claim=claim)).exit_code == 3


def test_forms_of_long_lists_are_not_built_by_order_either() -> None:
    good = sort()
    task, n = make_task("maximum-subarray", {}), 2**16
    claim = replace(good.claim, task=task.name, parameters=task.parameters(), n=n)
    arrays = {"grid": np.array([0.0, 1.0]), "words": np.full((1, n - 2), 2.0), "reads": np.array([[0, n - 1]])}
    evidence = dict(good.evidence) | {"levels": 2}
    verdict = judge(replace(good, claim=claim, task_sha256=task.source_sha256(), evidence=evidence, arrays=arrays))
    assert verdict.exit_code == 3 and "by their rank" in verdict.sentence
