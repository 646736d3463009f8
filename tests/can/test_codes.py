"""Codes: what their inner products are, and what the papers' counts say."""

import math
from itertools import islice

import numpy as np
import pytest

from separatrix.can.codes import (
    GRID,
    chirp_coherence,
    chirps,
    coherence,
    is_prime,
    least_norm,
    odd_primes,
    random_signs,
    slack,
)
from separatrix.can.witnesses.index_lookup_random import code_width


@pytest.mark.parametrize("prime", [3, 5, 7, 11, 13, 17, 23, 31])
def test_all_chirps_of_a_prime_have_the_coherence_of_a_gauss_sum(prime):
    codes = chirps(prime**2, prime)
    gram = codes.astype(np.float64) @ codes.T.astype(np.float64)
    assert np.abs(gram.diagonal() - 1).max() <= slack(2 * prime)
    np.fill_diagonal(gram, 0)
    assert np.abs(gram).max() <= 1 / math.sqrt(prime) + slack(2 * prime) == chirp_coherence(prime)
    same = np.arange(prime**2) // prime
    assert np.abs(gram[same[:, None] == same]).max() <= slack(2 * prime)  # equal a: orthogonal
    assert coherence(codes) == pytest.approx(gram[~np.eye(prime**2, dtype=bool)].max(), abs=1e-12)


def test_chirps_of_17_are_as_published():
    """289 vectors in 34 dimensions with greatest inner product 0.24254; 23 and 31: 0.2080 and 0.1794."""
    codes = chirps(289, 17)
    assert codes.shape == (289, 34)
    for prime, expected in ((17, 0.24254), (23, 0.2080), (31, 0.1794)):
        gram = chirps(prime**2, prime).astype(np.float64)
        gram = np.abs(gram @ gram.T)
        np.fill_diagonal(gram, 0)
        assert gram.max() == pytest.approx(expected, abs=1e-4)


def test_two_is_no_prime_of_chirps_and_neither_is_nine():
    for count, prime in ((4, 2), (9, 9), (10, 3)):
        with pytest.raises(ValueError):
            chirps(count, prime)


@pytest.mark.parametrize("codes", [chirps(100, 11), random_signs(50, 70)])
def test_codes_lie_on_the_grid_and_in_float32(codes):
    assert codes.dtype == np.float32
    assert np.array_equal(np.rint(codes.astype(np.float64) / GRID) * GRID, codes.astype(np.float64))


def test_random_signs_depend_on_their_arguments_only():
    assert np.array_equal(random_signs(20, 30), random_signs(20, 30))
    assert not np.array_equal(random_signs(20, 30), random_signs(20, 30, seed=1))
    assert least_norm(random_signs(20, 30)) == pytest.approx(1, abs=slack(30))
    assert coherence(random_signs(1, 5)) == -math.inf


def test_counts_of_random_codes():
    """One-sided Hoeffding at gamma = 1/4, delta = 1/2; and the paper's (8/gamma^2) ln 2N."""
    assert [code_width(n) for n in (64, 256, 1024)] == [266, 355, 444]
    paper = [round(128 * math.log(2 * n)) for n in (20, 50, 100, 200, 400, 1000, 10**4)]
    assert all(abs(a - b) <= 1 for a, b in zip(paper, [473, 590, 679, 767, 856, 973, 1268], strict=True))


def test_primes():
    assert list(islice(odd_primes(2), 5)) == [3, 5, 7, 11, 13]
    assert list(islice(odd_primes(90), 2)) == [97, 101]
    assert not is_prime(1) and is_prime(257)
