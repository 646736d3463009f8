"""q-sparse averaging of signs, asked once: both ways of writing an input ask the same."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.tasks.sparse_sign_averaging import FlatSignAveraging, SparseSignAveraging
from tasks.cover import assert_cells_cover


@pytest.mark.parametrize(("q", "n"), [(1, 3), (2, 4), (3, 4)])
def test_cells_cover_the_domain(q: int, n: int) -> None:
    assert assert_cells_cover(SparseSignAveraging(q), n) > 0


@pytest.mark.parametrize(("q", "n"), [(1, 5), (2, 6), (3, 7)])
def test_both_forms_draw_and_answer_alike(q: int, n: int) -> None:
    tokens, _ = SparseSignAveraging(q).sample(n, 300, child(0, "x"))
    none, vectors = FlatSignAveraging(q).sample(n, 300, child(0, "x"))
    assert np.array_equal(2 * tokens[:, :n] - 1, vectors[:, 0, :n])
    assert (vectors[:, 0, n:].sum(axis=1) == q).all()
    counts = SparseSignAveraging(q).answer(tokens)
    assert np.allclose((2 * counts - q) / q, FlatSignAveraging(q).answer(none, vectors)[:, :, 0])
    assert set(np.unique(counts)) == set(range(q + 1))


def test_what_cannot_be_asked() -> None:
    for task in (SparseSignAveraging(3), FlatSignAveraging(3)):
        with pytest.raises(InputError, match="n = 2"):
            task.domain(2)
        with pytest.raises(InputError, match="at most 65536 sets"):
            task.domain(1000)
    with pytest.raises(InputError, match="q = 0"):
        SparseSignAveraging(0)
