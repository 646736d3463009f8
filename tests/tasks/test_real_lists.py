"""Tasks on lists of reals: their closed forms are their answers, and answers agree with brute force."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.closed_form import Delivered, Extreme, OrderStatistic, PrefixMedian
from separatrix.core.domain import Reals
from separatrix.core.errors import InputError
from separatrix.tasks.list_reductions import Greatest, Least, Total
from separatrix.tasks.maximum_subarray import MaximumSubarray
from separatrix.tasks.prefix_extremes import PrefixMaxima, PrefixMinima
from separatrix.tasks.prefix_medians import PrefixMedians
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.tasks.real_list import RealList
from separatrix.tasks.routing import Routing
from separatrix.tasks.sorting import Sorting

TASKS: tuple[RealList | PrefixSums, ...] = (
    PrefixSums(),
    PrefixMinima(),
    PrefixMaxima(),
    Sorting(),
    MaximumSubarray(),
    PrefixMedians(),
    Total(),
    Least(),
    Greatest(),
)


def value(task: RealList | PrefixSums, n: int, query: int, x: np.ndarray) -> np.ndarray:
    """The closed form, evaluated as it says."""
    form = task.closed_form(n, query)
    if isinstance(form, OrderStatistic):
        return np.partition(x, form.rank, axis=1)[:, form.rank]
    if isinstance(form, PrefixMedian):
        return np.sort(x[:, : form.length], axis=1)[:, list(form.ranks)].mean(axis=1)
    assert isinstance(form, Extreme)
    return getattr(np, form.of)(x @ form.forms.T, axis=1)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_answers(task: RealList | PrefixSums) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 5, 8):
        for distribution in ("uniform", "interval"):
            tokens, reals = task.sample(n, 200, rng, distribution)
            assert reals.shape == (200, n, 1) and task.domain(n).contains(tokens[0])
            answer = task.answer(tokens, reals)[:, :, 0]
            for query in task.queries(n):
                assert np.allclose(answer[:, query], value(task, n, query, reals[:, :, 0]), atol=1e-12)
        assert task.show(tokens[0], reals[0]).count(" ") == n - 1


def test_maximum_subarray_by_brute_force() -> None:
    x = np.random.default_rng(1).integers(-5, 6, (100, 7)).astype(float)
    for i in range(7):
        runs = [x[:, a : b + 1].sum(axis=1) for b in range(i + 1) for a in range(b + 1)]
        assert (np.max(runs, axis=0) == MaximumSubarray().of(x)[:, i]).all()


def test_bad_parameters() -> None:
    with pytest.raises(InputError, match="scale = 0"):
        PrefixMinima(scale=0.0)
    with pytest.raises(InputError, match="n = 0"):
        Sorting().domain(0)
    with pytest.raises(InputError, match="distribution 'x'"):
        Sorting().sample(3, 1, np.random.default_rng(0), "x")


def test_routing_answers_with_the_payload_of_each_destination() -> None:
    rng, task = np.random.default_rng(2), Routing(scale=3.0)
    for n in (1, 2, 5, 9):
        tokens, reals = task.sample(n, 50, rng)
        answer = task.answer(tokens, reals)[:, :, 0]
        for row, words in zip(answer, reals, strict=True):
            sent = {int(to): x for to, x in words}
            assert set(sent) == set(range(n)) and row.tolist() == [sent[i] for i in range(n)]
        assert [task.closed_form(n, query) for query in task.queries(n)] == [Delivered(i) for i in range(n)]
    assert task.show(tokens[0, :2], np.array([[1.0, -0.5], [0.0, 2.25]])) == "-0.5→1 2.25→0"
    with pytest.raises(InputError, match="n = 0"):
        task.domain(0)
    with pytest.raises(InputError, match="distribution 'x'"):
        task.sample(3, 1, rng, "x")


def test_what_real_parts_are_legal() -> None:
    routed = Routing().domain(3).reals
    assert routed is not None and routed.contains(np.array([[2.0, -2.0], [0.0, 2.0], [1.0, 0.1]]))
    for first, second in (((0, 1, 1), 0.0), ((0, 1, 3), 0.0), ((-1, 0, 1), 0.0), ((0.0, 1.0, 2.0 + 2e-16 * 2), 0.0),
                          ((0, 1, 2), 2.5), ((0, 1, 2), -2.5), ((0, 1, 2), np.nan), ((np.nan, 1, 2), 0.0)):  # fmt: skip
        assert not routed.contains(np.array([[to, second] for to in first], dtype=float))
    assert not routed.contains(np.zeros((3, 1))) and not routed.contains(np.zeros(3))
    assert Reals("ball", 2).contains(np.array([[0.6, 0.8]])) and not Reals("ball", 2).contains(np.array([[0.7, 0.8]]))
    assert Reals("box", 1, 0.0, 1.0).contains(np.array([[0.0], [1.0]]))
    assert not Reals("box", 1, 0.0, 1.0).contains(np.array([[-0.1], [1.0]]))
    assert Reals("ball", 1).holds_unit and Reals("box", 1).holds_unit and not Reals("box", 1, 0.0, 1.0).holds_unit
    assert not routed.holds_unit
    for kind, dim in (("routed", 1), ("routed", 3), ("sphere", 2)):
        with pytest.raises(InputError, match="take ball, box, or routed"):
            Reals(kind, dim)  # type: ignore[arg-type]
