"""String equality and the two tasks that it factors into."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.tasks.equality import Equality, Mismatch, NoFlag
from tasks.cover import assert_cells_cover


@pytest.mark.parametrize("n", [2, 4, 6])
@pytest.mark.parametrize("symbols", [2, 3])
def test_factors_compose_and_have_covering_cells(n: int, symbols: int) -> None:
    task = Equality(symbols)
    inner, outer = task.factors()["mismatch"]
    inputs = np.array(list(itertools.product(range(symbols), repeat=n)))
    assert np.array_equal(outer.answer(inner.answer(inputs)), task.answer(inputs))
    assert assert_cells_cover(Mismatch(symbols), n) > 0
    assert assert_cells_cover(NoFlag(), n) > 0


def test_samples_are_legal_and_of_both_labels() -> None:
    for distribution in ("uniform", "one"):
        tokens, reals = Equality(3).sample(8, 200, np.random.default_rng(0), distribution)
        labels = Equality(3).answer(tokens)
        assert reals is None and tokens.shape == (200, 8) and 50 < labels.sum() < 150
        assert all(Equality(3).domain(8).contains(row) for row in tokens)
        if distribution == "one":
            assert ((tokens[:, :4] != tokens[:, 4:]).sum(axis=1) <= 1).all()


@pytest.mark.parametrize("n", [0, 1, 7, 2**21])
def test_lengths_are_even_and_positive(n: int) -> None:
    with pytest.raises(InputError, match="even"):
        Equality().domain(n)


def test_unknown_distributions_and_alphabets_are_refused() -> None:
    with pytest.raises(InputError, match="distribution"):
        Equality().sample(4, 1, np.random.default_rng(0), "hard")
    with pytest.raises(InputError, match="symbols"):
        Equality(1)
