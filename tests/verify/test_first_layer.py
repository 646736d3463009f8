"""The fooling pair of narrow first layers: no net on top tells the two inputs apart."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.errors import InputError, UnknownError
from separatrix.tasks import make_task
from separatrix.verify.refuters.first_layer import fooling_pair


@pytest.mark.parametrize(("n", "dim", "q"), [(8, 1, 3), (8, 2, 3), (10, 1, 5), (4, 1, 3), (12, 3, 1), (6, 1, 5)])
def test_any_net_on_a_narrow_layer_errs_by_the_stated_amount(n: int, dim: int, q: int) -> None:
    task = make_task("sparse-averaging", {"q": q, "dim": dim})
    for seed in range(20):
        rng = np.random.default_rng(seed)
        width = int(rng.integers(1, n * dim))
        first, out = rng.normal(size=(n * dim, width)), rng.normal(size=(width, dim)) * 3
        pair = fooling_pair(first, n, q)
        assert pair.error >= 1 / (2 * q - 1) - 1e-9 and pair.leak < 1e-12
        assert np.linalg.norm(pair.reals, axis=2).max() <= 1 + 1e-12
        tokens = np.tile(np.sort(pair.pointers), (2, n, 1))
        assert task.domain(n).contains(tokens[0])
        net = np.tanh(pair.reals.reshape(2, -1) @ first + rng.normal(size=width)) @ out
        assert np.allclose(net[0], net[1], atol=1e-9)
        right = task.answer(tokens, pair.reals)[:, 0]
        assert max(np.linalg.norm(net - right, axis=1)) >= pair.error - 1e-9


def test_a_layer_that_sees_everything_is_not_fooled() -> None:
    with pytest.raises(UnknownError, match="every direction"):
        fooling_pair(np.random.default_rng(0).normal(size=(6, 6)), 6, 2)
    tied = np.random.default_rng(0).normal(size=(6, 9))
    tied[5] = tied[0] + tied[1]  # wide, but of rank 5
    assert fooling_pair(tied, 6, 2).error >= 1 / 3
    for weights, n, q in [(np.ones((5, 2)), 4, 1), (np.ones((4, 2)), 4, 4), (np.full((4, 2), np.nan), 4, 1)]:
        with pytest.raises(InputError):
            fooling_pair(weights, n, q)
