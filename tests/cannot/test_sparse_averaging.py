"""The arguments behind the sparse averaging entries, played through exhaustively at small sizes."""

import itertools
import math

import numpy as np
import pytest

from separatrix.cannot import registry
from separatrix.core.domain import PointerSets
from separatrix.kernel import judge
from separatrix.tasks import make_task
from separatrix.tasks.sparse_averaging import SparseAveraging


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_disjointness_reduces_to_averaging(q: int) -> None:
    """Token 2q points at 2i + a_i, slot 2i + 1 holds +1 iff b_i: the average is -1 iff a and b are disjoint, else
    at least -1 + 2/q."""
    task, n = SparseAveraging(q), 2 * q + 1
    for a in itertools.product((0, 1), repeat=q):
        for b in itertools.product((0, 1), repeat=q):
            z = np.full((1, n, 1), -1.0)
            for i in range(q):
                if b[i]:
                    z[0, 2 * i + 1] = 1.0
            y = np.tile(np.arange(q), (1, n, 1))
            y[0, -1] = [2 * i + a[i] for i in range(q)]
            value = float(task.answer(y, z)[0, -1, 0])
            common = sum(i & j for i, j in zip(a, b, strict=True))
            assert value == pytest.approx(-1 + 2 * common / q)
            assert (value < -1 + 1 / q) == (common == 0)


@pytest.mark.parametrize(("n", "q", "rows"), [(7, 2, 15), (7, 3, 20), (5, 1, 4), (6, 4, 5)])
def test_rows_of_the_pointer_token(n: int, q: int, rows: int) -> None:
    """C(N - 1, q) different rows over all sign vectors, told apart by more than 2 eps for eps < 1/q."""
    task = SparseAveraging(q, eps=0.99 / q)
    z = np.array(list(itertools.product((1.0, -1.0), repeat=n - 1)))
    sets = list(itertools.combinations(range(n - 1), q))
    table = np.stack([z[:, y].mean(axis=1) for y in sets])
    gaps = [np.abs(table[i] - table[j]).max() for i in range(len(sets)) for j in range(i)]
    assert len(sets) == rows and min(gaps, default=2.0) >= 2 / q - 1e-12
    good = registry.get("sparse-averaging-one-layer").certificate(task, n)
    assert len(good.arrays["pointers"]) == rows and judge(good).accepted
    assert float.fromhex(good.claim.bound) == pytest.approx(math.log2(rows))


@pytest.mark.parametrize(("n", "q"), [(5, 2), (6, 3), (7, 3)])
def test_heads_outputs_make_up_for_a_residual_path(n: int, q: int) -> None:
    """M' sets take at least M' different vectors of averages over the sign corners: rank r, M' <= 2^r <= values."""
    rng = np.random.default_rng(n * q)
    sets = np.array(list(itertools.combinations(range(n - 1), q)))
    z = np.array(list(itertools.product((1, -1), repeat=n - 1)))
    for _ in range(100):
        some = sets[rng.random(len(sets)) < rng.random()]
        if len(some):
            values = len(np.unique(z[:, some].sum(axis=2), axis=0))
            rows = np.zeros((len(some), n - 1))
            np.put_along_axis(rows, some, 1.0, axis=1)
            assert values >= 2 ** int(np.linalg.matrix_rank(rows)) >= len(some)


@pytest.mark.parametrize(("n", "dim", "q"), [(8, 1, 3), (8, 2, 3), (10, 1, 5), (5, 2, 1), (4, 1, 3)])
def test_fooling_pairs_exist_iff_the_rank_is_deficient(n: int, dim: int, q: int) -> None:
    """From the SVD of the first layer's z block: a kernel vector v, inputs +-v, some q-average at least 1/(2q - 1)."""
    rng = np.random.default_rng(7)
    for width in (n * dim - 1, n * dim, n * dim + 2):
        block = rng.standard_normal((width, n * dim))
        _, values, right = np.linalg.svd(block)
        rank = int((values > 1e-9).sum())
        assert rank == min(width, n * dim)
        if rank == n * dim:
            continue
        v = right[-1].reshape(n, dim)
        v = v / np.linalg.norm(v, axis=1).max()
        assert np.abs(block @ v.reshape(-1)).max() < 1e-9
        best = max(np.linalg.norm(v[list(y)].mean(axis=0)) for y in itertools.combinations(range(n), q))
        assert 2 * best >= 2 / (2 * q - 1) - 1e-12


def test_the_constant_of_the_rank_argument_is_attained_and_needs_q_plus_one() -> None:
    """N = 3, q = 2: v = (1, -1/3, -1/3) has averages 1/3, -1/3. N = q = 2: v = (1, -1) has average 0."""
    averages = [np.mean([1, -1 / 3]), np.mean([1, -1 / 3]), np.mean([-1 / 3, -1 / 3])]
    assert max(map(abs, averages)) == pytest.approx(1 / 3)
    task = make_task("sparse-averaging", {"q": 2, "eps": 0.3})
    assert registry.get("sparse-averaging-feed-forward").bits(task, 3) == 3
    assert registry.get("sparse-averaging-feed-forward").bits(task, 2) == 0


def test_coefficients_cells_and_answers_agree() -> None:
    """The kernel reads `coefficients`: compare them with the cells and with the answers, on every pointer set."""
    rng = np.random.default_rng(3)
    for n, q in ((3, 1), (4, 2), (5, 3), (5, 5)):
        task = SparseAveraging(q)
        groups = list(task.cells(n, n - 1))
        alphabet = task.domain(n).alphabets[-1]
        assert isinstance(alphabet, PointerSets) and len(groups) == len(alphabet)
        for group in groups:
            assert isinstance(group.token, tuple) and group.coefficients is not None
            weights = task.coefficients(n, group.token)
            assert np.array_equal(weights, group.coefficients)
            y, z = task.sample(n, 4, rng)
            y[:, -1] = group.token
            assert np.allclose(task.answer(y, z)[:, -1], np.einsum("j,bjd->bd", weights, z), atol=1e-15)
