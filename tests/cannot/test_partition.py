"""Partitions that are found, ranks, and certificates of the whole matrix at any partition."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from separatrix.cannot.engine.matrix import Matrix
from separatrix.cannot.engine.partition import bits, worst_by_matrix, worst_by_reading
from separatrix.cannot.engine.rank import PRIME, factor_mod, pack, rank_gf2, rank_mod
from separatrix.core.errors import InputError, UnknownError
from separatrix.kernel import judge
from separatrix.tasks import make_task


@pytest.mark.parametrize("n", [4, 6, 8])
def test_the_alternate_partition_of_dyck_is_found(n: int) -> None:
    """All brackets free: 2^(N - 1); the last bracket known: 2^(N - 2) words and one row more for the dead ones."""
    task = make_task("dyck")
    found = worst_by_reading(task, n, 1)
    assert found.count == 2 ** (n - 1) and bits(found) == n - 1 and found.alice == tuple(range(0, n, 2))
    assert judge(found.certificate).accepted
    known = worst_by_reading(task, n, 1, {n - 1: 2})
    assert known.count == 2 ** (n - 2) and judge(known.certificate).accepted


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 12])
def test_the_alternate_partition_of_longer_words_is_found(n: int) -> None:
    found = worst_by_reading(make_task("dyck"), n, 1)
    assert found.count == 2 ** (n - 1) and found.alice == tuple(range(0, n, 2)) and judge(found.certificate).accepted


def test_long_words_are_searched_by_patterns() -> None:
    found = worst_by_reading(make_task("dyck"), 64, 1)
    assert found.count == 2**63 and judge(found.certificate).accepted


@pytest.mark.parametrize(("n", "rows"), [(4, 9), (6, 33)])
def test_rows_of_dyck_over_all_partitions(n: int, rows: int) -> None:
    """2^(N - 1) + 1 rows: one for each half of a word, and one for the dead ones."""
    found = worst_by_matrix(make_task("dyck"), n)
    assert found.count == rows and judge(found.certificate).accepted


@pytest.mark.parametrize(("name", "parameters", "n", "count"), [
    ("index-lookup", {"symbols": 2}, 6, 2), ("equality", {}, 8, 9), ("disjointness", {}, 8, 9), ("parity", {}, 8, 2),
    ("majority", {}, 9, 6),
])  # fmt: skip
def test_one_attention_layer_with_a_known_query(name: str, parameters: dict, n: int, count: int) -> None:
    """INDEX collapses to one bit; halves of eight bits with the last one known keep log2 9."""
    found = worst_by_matrix(make_task(name, parameters), n)
    assert found.count == count and judge(found.certificate).accepted


@pytest.mark.parametrize(
    ("name", "n", "rank"), [("equality", 8, 16), ("disjointness", 8, 15), ("inner-product", 8, 15)]
)
def test_ranks_of_the_whole_matrix(name: str, n: int, rank: int) -> None:
    """EQ 2^k; DISJ (as intersection) and IP (the 0/1 matrix) 2^k - 1, plus one for the complement."""
    task = make_task(name)
    for matrix in (Matrix.of(task, n, n // 2), Matrix.of(task, n, alice=range(n // 2))):
        good = matrix.rank()
        assert float.fromhex(good.claim.bound) == pytest.approx(math.log2(len(good.arrays["lower"])))
        assert len(good.arrays["lower"]) in (rank, rank + 1) and judge(good).accepted
    assert good.claim.measure == "exchange"


def test_rank_certificates_that_lie() -> None:
    good = Matrix.of(make_task("inner-product"), 6, alice=range(3)).rank()
    lower, upper = good.arrays["lower"], good.arrays["upper"]
    assert judge(good).accepted
    wrong: list[dict[str, Any]] = [
        {"upper": np.triu(upper, 1)},
        {"upper": upper + PRIME},
        {"upper": -upper},
        {"lower": lower * 2 % PRIME},
        {"lower": upper, "upper": lower},
        {"prefixes": good.arrays["prefixes"][::-1].copy()},
        {"lower": lower[:3]},
        {"lower": lower.astype(float)},
        {"upper": upper + np.tril(np.ones_like(upper), -1)},
        {"alice": 1 - good.arrays["alice"]},
        {"alice": np.ones(6, dtype=np.int64)},
    ]
    for change in wrong:
        assert not judge(replace(good, arrays=good.arrays | change)).accepted, change
    for change in ({"value": 5}, {"modulus": 1}, {"modulus": 2}, {"modulus": 2**30}, {"measure": "rows"}):
        assert not judge(replace(good, evidence=good.evidence | change)).accepted, change
    rows = Matrix.of(make_task("equality"), 4, alice=[0, 1], known={3: 1}).rows()
    assert judge(rows).accepted
    assert not judge(replace(rows, claim=replace(rows.claim, measure="exchange"))).accepted
    free = Matrix.of(make_task("equality"), 4, alice=[0, 1]).rows()
    assert "known to both" in judge(free).sentence
    with pytest.raises(UnknownError, match="real parts"):
        Matrix.of(make_task("sparse-averaging", {"q": 1}), 3, alice=[0])


def test_ranks_against_floats_and_by_hand() -> None:
    rng = np.random.default_rng(0)
    for _ in range(150):
        inner = int(rng.integers(1, 9))
        a = rng.integers(0, 3, (int(rng.integers(1, 90)), inner)) @ rng.integers(
            0, 2, (inner, int(rng.integers(1, 150)))
        )
        rows, columns, lower, upper = factor_mod(a)
        assert len(rows) == rank_mod(a) == np.linalg.matrix_rank(a)
        assert not ((lower @ upper - a[np.ix_(rows, columns)]) % PRIME).any()
        assert (lower.diagonal() == 1).all() and upper.diagonal().all()
        bits_ = a % 2
        assert rank_gf2(bits_) <= np.linalg.matrix_rank(bits_)
    vectors = np.array([[i >> j & 1 for j in range(7)] for i in range(128)])
    inner_product = vectors @ vectors.T % 2
    assert rank_gf2(inner_product) == 7 and rank_mod(inner_product) == 127  # GF(2) alone is hopeless
    assert rank_gf2(np.eye(200, dtype=np.int64)) == 200 and rank_gf2(np.zeros((3, 0))) == 0
    assert pack(np.ones((2, 65), dtype=np.int64)).shape == (2, 2)
    with pytest.raises(InputError, match="modulus"):
        factor_mod(np.eye(2), 2**40)


def test_gf2_rank_equals_elimination_by_hand() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        a = (rng.random((int(rng.integers(1, 70)), int(rng.integers(1, 70)))) < 0.2).astype(np.int64)
        words, rank = [int("".join(map(str, row)), 2) for row in a.tolist()], 0
        while words:
            pivot = max(words)
            words.remove(pivot)
            if pivot:
                rank += 1
                words = [w ^ pivot if w.bit_length() == pivot.bit_length() else w for w in words]
        assert rank_gf2(a) == rank
