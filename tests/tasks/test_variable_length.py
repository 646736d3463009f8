"""Lists of different lengths: every node answers as on the list alone."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.tasks.variable_length import OF, VariableLength, marked, present


@pytest.mark.parametrize("of", OF)
def test_answers_are_those_of_the_list_alone(of: str) -> None:
    """Also where absent nodes hold numbers, or a mark stands behind the end."""
    rng = np.random.default_rng(0)
    task = VariableLength(of)
    tokens, reals = task.sample(6, 200, rng, "interval")
    noisy = reals.copy()
    noisy[:, :, 0] = np.where(present(reals), reals[:, :, 0], rng.uniform(-2, 2, (200, 6)))
    noisy[:, 5, 1] = np.where(present(reals)[:, 4], reals[:, 5, 1], 1.0)
    answers = task.answer(tokens, reals)
    assert np.array_equal(answers, task.answer(tokens, noisy))
    for row, answer in zip(reals, answers, strict=True):
        length = int(row[:, 1].sum())
        assert 1 <= length <= 6 and np.allclose(answer[:length, 0], OF[of](row[None, :length, 0])[0])
        assert not answer[length:].any()


def test_lengths_are_uniform_and_numbers_in_range() -> None:
    _, reals = VariableLength("min", 3.0).sample(4, 4000, np.random.default_rng(0))
    counts = np.bincount(reals[:, :, 1].sum(axis=1).astype(int), minlength=5)
    assert counts[0] == 0 and (np.abs(counts[1:] - 1000) < 120).all()
    assert 2.9 < np.abs(reals[:, :, 0]).max() <= 3.0
    assert np.array_equal(marked(reals[:, :, 0], reals[:, :, 1].sum(axis=1)), reals)


def test_what_cannot_be_asked() -> None:
    with pytest.raises(InputError, match="of = 'mean'; take sum, min"):
        VariableLength("mean")
    with pytest.raises(InputError, match="n = 0"):
        VariableLength().domain(0)
