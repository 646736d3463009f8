"""Tasks on lists of reals: their closed forms are their answers, and answers agree with brute force."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.closed_form import Extreme, OrderStatistic, PrefixMedian
from separatrix.core.errors import InputError
from separatrix.tasks.list_reductions import Greatest, Least, Total
from separatrix.tasks.maximum_subarray import MaximumSubarray
from separatrix.tasks.prefix_extremes import PrefixMaxima, PrefixMinima
from separatrix.tasks.prefix_medians import PrefixMedians
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.tasks.real_list import RealList
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
