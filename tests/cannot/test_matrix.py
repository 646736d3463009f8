"""Communication matrices at small n against hand-computed counts, each with a certificate that the kernel accepts."""

import math

import numpy as np
import pytest

from separatrix.cannot.engine.matrix import Matrix
from separatrix.core.errors import InputError, UnknownError
from separatrix.kernel import judge
from separatrix.tasks import make_task


@pytest.mark.parametrize("n", range(1, 11))
def test_index_has_two_to_the_n_rows(n: int) -> None:
    """One-way cost of INDEX: N bits (2^N rows), shattered by the N indices; a fooling set has N pairs."""
    matrix = Matrix.of(make_task("index-lookup", {"symbols": 2}), n)
    assert matrix.labels.shape == (2**n, n)
    for certificate, bits in (
        (matrix.rows(), n),
        (matrix.shattered(), n),
        (matrix.fooling(), math.log2(n)),
    ):
        assert float.fromhex(certificate.claim.bound) == pytest.approx(bits, abs=1e-9)
        assert judge(certificate).accepted


@pytest.mark.parametrize(("symbols", "n"), [(3, 4), (5, 3), (64, 2)])
def test_lookup_rows_by_alphabet(symbols: int, n: int) -> None:
    matrix = Matrix.of(make_task("index-lookup", {"symbols": symbols}), n)
    assert len(matrix.labels) == symbols**n
    assert judge(matrix.rows()).accepted


@pytest.mark.parametrize(("cut", "rows"), [(1, 2), (2, 4), (3, 8)])
def test_averaging_rows_at_every_cut(cut: int, rows: int) -> None:
    """N = 4, q = 2: every sign before the cut matters."""
    matrix = Matrix.of(make_task("sparse-averaging", {"q": 2}), 4, cut)
    assert len(matrix.labels) == rows
    assert judge(matrix.rows()).accepted and judge(matrix.shattered()).accepted
    with pytest.raises(UnknownError):
        matrix.fooling()


def test_all_measures_of_match2() -> None:
    matrix = Matrix.of(make_task("match2", {"modulus": 7}), 5)
    assert len(matrix.labels) == sum(math.comb(6, k) for k in range(5))
    for certificate in (matrix.rows(), matrix.fooling(), matrix.shattered()):
        assert judge(certificate).accepted
        assert float.fromhex(certificate.claim.bound) <= math.log2(len(matrix.labels))


def test_wide_tolerance_leaves_one_row() -> None:
    matrix = Matrix.of(make_task("sparse-averaging", {"q": 2, "eps": 0.5}), 4, 3)
    assert matrix.labels.shape == (1, 1)
    certificate = matrix.rows()
    assert float.fromhex(certificate.claim.bound) == 0.0 and judge(certificate).accepted


def test_limits() -> None:
    with pytest.raises(UnknownError, match="at most"):
        Matrix.of(make_task("index-lookup"), 10)
    with pytest.raises(InputError, match="cut"):
        Matrix.of(make_task("match2", {"modulus": 3}), 1)
    assert Matrix.of(make_task("match2", {"modulus": 3}), 3, 2).labels.dtype.kind == np.dtype(int).kind
