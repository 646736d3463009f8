"""Counting pairs by convolution: the task's own answers, and the normaliser summed pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.tasks.match3 import Match3
from separatrix.tasks.pair_sums import cosine_normaliser, has_triple, pair_counts


@pytest.mark.parametrize(("n", "modulus"), [(1, 2), (2, 3), (9, 40), (30, 97), (64, 2053)])
def test_answers_are_the_tasks(n: int, modulus: int) -> None:
    tokens = np.random.default_rng(n).integers(0, modulus, (50, n))
    found = has_triple(tokens, modulus)
    assert np.array_equal(found, Match3(modulus).answer(tokens))
    assert 0 < found.mean() < 1 or n in (1, 2, 30)


def test_counts_and_normaliser_pair_by_pair() -> None:
    tokens, modulus = np.random.default_rng(0).integers(0, 31, (3, 12)), 31
    sums = (tokens[:, :, None] + tokens[:, None, :]).reshape(3, -1) % modulus
    assert np.array_equal(pair_counts(tokens, modulus), [np.bincount(s, minlength=modulus) for s in sums])
    for beta in (0.0, 1.0, 30.0):
        angle = 2 * np.pi * (tokens[:, :, None] + sums[:, None, :]) / modulus
        expected = np.exp(beta * (np.cos(angle) - 1)).sum(axis=2)
        np.testing.assert_allclose(cosine_normaliser(tokens, modulus, beta), expected, rtol=1e-12)


def test_too_long_an_input_is_refused() -> None:
    with pytest.raises(InputError, match="exact here up to n = 5792"):
        pair_counts(np.zeros((1, 6000), dtype=np.int64), 7)
