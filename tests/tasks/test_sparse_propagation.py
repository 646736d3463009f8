"""Sparse propagation: answers against a plain reading, and against sparse averaging with all arrows turned round."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.tasks import make_task
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.tasks.sparse_propagation import SparsePropagation


@pytest.mark.parametrize(("n", "q", "dim"), [(1, 1, 1), (4, 1, 2), (5, 2, 1), (6, 3, 3), (4, 4, 1)])
@pytest.mark.parametrize("distribution", ["uniform", "signs"])
def test_the_answer_is_the_mean_of_what_arrives(n: int, q: int, dim: int, distribution: str) -> None:
    task = SparsePropagation(q, dim)
    tokens, reals = task.sample(n, 12, np.random.default_rng(n), distribution)
    assert np.linalg.norm(reals, axis=2).max() <= 1 + 1e-12
    for row, z, answer in zip(tokens, reals, task.answer(tokens, reals), strict=True):
        assert task.domain(n).contains(row)
        for i in range(n):
            heard = [z[j] for j in range(n) if i in row[j].tolist()]
            np.testing.assert_allclose(answer[i], np.mean(heard, axis=0) if heard else np.zeros(dim), atol=1e-12)


def test_arrows_turned_round_are_sparse_averaging() -> None:
    """On a circulant pattern every position hears from q others: the ones it would average if arrows were turned."""
    n, q = 7, 3
    out = np.sort((np.arange(n)[:, None] + np.array([1, 2, 4])) % n, axis=1)
    back = np.sort((np.arange(n)[:, None] - np.array([1, 2, 4])) % n, axis=1)
    z = np.random.default_rng(0).uniform(-1, 1, (1, n, 1))
    sent = SparsePropagation(q).answer(out[None], z)
    np.testing.assert_allclose(sent, SparseAveraging(q).answer(back[None], z))


def test_nobody_and_everybody() -> None:
    z = np.array([[[1.0], [-1.0], [0.5]]])
    assert SparsePropagation(1).answer(np.zeros((1, 3, 1), dtype=np.int64), z)[0, :, 0].tolist() == [0.5 / 3, 0.0, 0.0]


@pytest.mark.parametrize("bad", [{"q": 0}, {"dim": 0}, {"eps": 0.0}, {"eps": 1.0}])
def test_plain_errors(bad: dict[str, object]) -> None:
    with pytest.raises(InputError, match="sparse-propagation: "):
        make_task("sparse-propagation", bad)
    with pytest.raises(InputError, match="take q = 3 to"):
        SparsePropagation(3).domain(2)
    with pytest.raises(InputError, match="uniform, signs"):
        SparsePropagation(1).sample(3, 1, np.random.default_rng(0), "more")
