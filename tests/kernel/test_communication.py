"""Explicit certificates: hand-computed counts, rounding of logarithms, illegal evidence, real answers at the edge."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import Sequence
from separatrix.core.guarantee import PROVED, statistical
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel.needs import inside, log2_low, shown
from separatrix.tasks import make_task


def certificate(
    task: Task, n: int, bound: float, evidence: dict[str, Any], arch: str = "rnn", **arrays: np.ndarray
) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "needs", arch=arch, measure="state", bound=float(bound).hex())
    return Certificate("communication", claim, PROVED, task.source_sha256(), evidence, arrays)


def index(n: int, bound: float, **changes: Any) -> Certificate:
    """All 2^n binary prefixes, all indices."""
    task = make_task("index-lookup", {"symbols": 2})
    prefixes = np.array([[i >> j & 1 for j in range(n)] for i in range(2**n)])
    arrays = {"prefixes": prefixes, "suffixes": 2 + np.arange(n)[:, None]} | changes.pop("arrays", {})
    return certificate(task, n, bound, {"cut": n, "measure": "rows"} | changes, **arrays)


def signs(q: int, eps: float, bound: float, scale: float = 1.0) -> Certificate:
    """N = 3 numbers: Alice holds two with all signs, Bob points at each of them (and at his own, which is 0)."""
    task = make_task("sparse-averaging", {"q": q, "eps": eps})
    z = np.array([[a, b] for a in (1, -1) for b in (1, -1)])[..., None] * scale
    y = np.array([[[0, 2][:q]], [[1, 2][:q]]])
    return certificate(
        task,
        3,
        bound,
        {"cut": 2, "measure": "rows"},
        prefixes=np.tile(np.arange(q), (4, 2, 1)),
        suffixes=y,
        prefix_reals=z.astype(float),
        suffix_reals=np.zeros((2, 1, 1)),
    )


@pytest.mark.parametrize("n", range(1, 11))
def test_index_needs_n_bits(n: int) -> None:
    assert judge(index(n, n)).accepted
    assert judge(index(n, n, measure="shattered")).accepted
    over = judge(index(n, math.nextafter(n, math.inf)))
    assert not over.accepted and over.exit_code == 1


def test_fooling_set_of_index() -> None:
    task = make_task("index-lookup", {"symbols": 2})
    suffixes = 2 + np.arange(3)[:, None]

    def verdict(prefixes: np.ndarray) -> str:
        evidence = {"cut": 3, "measure": "fooling"}
        return judge(certificate(task, 3, 1.58, evidence, prefixes=prefixes, suffixes=suffixes)).sentence

    assert "3 fooling pairs" in verdict(np.eye(3, dtype=np.int64))
    assert "crossings" in verdict(np.ones((3, 3), dtype=np.int64))
    assert "one answer" in verdict(np.diag([1, 1, 0]))


@pytest.mark.parametrize("bound", ["nan", "inf", "-0x1.0p+0", "-0x0.0p+0", "1", "0x1p+1", "two", "0x1.0p+9999", ""])
def test_bounds_that_are_no_canonical_amounts(bound: str) -> None:
    good = index(3, 2)
    verdict = judge(replace(good, claim=replace(good.claim, bound=bound)))
    assert not verdict.accepted and verdict.exit_code == 2


def test_a_bound_of_zero_is_trivial_and_fine() -> None:
    assert judge(index(3, 0.0)).accepted


@pytest.mark.parametrize("change", [{"arch": "transformer"}, {"measure": "width"}, {"statement": "correct"}, {"n": 4}])
def test_other_claims_are_not_shown(change: dict[str, Any]) -> None:
    good = index(3, 3)
    assert not judge(replace(good, claim=replace(good.claim, **change))).accepted


def test_guarantee_is_not_promoted_or_demoted() -> None:
    assert not judge(replace(index(3, 3), guarantee=statistical())).accepted


def test_malformed_evidence() -> None:
    good = index(3, 3)
    rows = good.arrays["prefixes"]
    for arrays in (
        {"prefixes": rows[:, :2]},
        {"prefixes": rows.astype(float)},
        {"prefixes": rows[:0]},
        {"prefixes": rows + 1},  # symbol 2 is an index, not legal here
        {"suffixes": np.array([[0]])},
        {"extra": rows},
        {"prefixes": np.vstack([rows, rows[:1]])},  # a row twice
    ):
        assert not judge(replace(good, arrays=good.arrays | arrays)).accepted, arrays
    suffixes = {"suffixes": np.full((99999, 1), 2)}
    many = replace(good, evidence=good.evidence | {"measure": "shattered"}, arrays=good.arrays | suffixes)
    assert "2^99999 prefixes" in judge(many).sentence
    for evidence in ({"cut": 0}, {"cut": 4}, {"cut": True}, {"measure": "rank"}, {"more": 1}):
        assert not judge(replace(good, evidence=good.evidence | evidence)).accepted, evidence


def test_too_much_work_is_refused_at_once() -> None:
    task = make_task("match2", {"modulus": 2**20})
    many = np.zeros((2**12, 1), dtype=np.int64)
    big = certificate(task, 2, 1, {"cut": 1, "measure": "rows"}, prefixes=many, suffixes=many)
    assert "too many" in judge(big).sentence


@pytest.mark.parametrize(
    ("q", "eps", "accepted"), [(1, 0.99, True), (2, 0.49, True), (2, 0.5, False), (2, 0.5 - 2**-34, False)]
)
def test_real_rows_differ_by_more_than_two_eps(q: int, eps: float, accepted: bool) -> None:
    assert judge(signs(q, eps, 2.0)).accepted is accepted


def test_real_parts_stay_in_the_ball() -> None:
    assert judge(signs(1, 0.01, 2.0, scale=1.0)).accepted
    assert not judge(signs(1, 0.01, 2.0, scale=math.nextafter(1.0, 2))).accepted
    good = signs(1, 0.01, 2.0)
    bad = good.arrays["prefix_reals"].copy()
    bad[0] = np.nan
    assert not judge(replace(good, arrays=good.arrays | {"prefix_reals": bad})).accepted


@pytest.mark.parametrize(("n", "accepted"), [(2**10, True), (2**10 + 1, False)])
def test_sums_of_too_many_numbers_are_not_taken_as_accurate(n: int, accepted: bool) -> None:
    task = make_task("prefix-sums", {"low": -1.0, "high": 1.0, "eps": 0.5})
    reals = {"prefix_reals": np.array([[[-1.0]], [[1.0]]]), "suffix_reals": np.zeros((1, n - 1, 1))}
    tokens = {"prefixes": np.zeros((2, 1), dtype=np.int64), "suffixes": np.zeros((1, n - 1), dtype=np.int64)}
    verdict = judge(certificate(task, n, 1.0, {"cut": 1, "measure": "rows"}, **tokens, **reals))
    assert (verdict.accepted, verdict.exit_code) == ((True, 0) if accepted else (False, 3)), verdict.sentence


def test_fooling_sets_of_real_answers_are_undecided() -> None:
    good = signs(1, 0.01, 2.0)
    verdict = judge(replace(good, evidence=good.evidence | {"measure": "fooling"}))
    assert not verdict.accepted and verdict.exit_code == 3


def test_real_answers_of_the_task_are_accurate_enough() -> None:
    """The kernel takes float64 answers and coefficients to be within 2^-32: compare with rationals."""
    rng = np.random.default_rng(0)
    for q in (1, 3, 7, 11):
        task = make_task("sparse-averaging", {"q": q})
        tokens, z = task.sample(12, 5, rng)
        assert z is not None
        for b, answers in enumerate(task.answer(tokens, z)):
            for i, answer in enumerate(answers):
                exact = sum(Fraction(float(z[b, j, 0])) for j in tokens[b, i]) / q
                assert abs(Fraction(float(answer[0])) - exact) < Fraction(1, 2**45)
                weights = task.coefficients(12, tuple(tokens[b, i].tolist()))  # type: ignore[attr-defined]
                assert all(
                    abs(Fraction(float(w)) - Fraction(int(j in tokens[b, i]), q)) < 2**-45
                    for j, w in enumerate(weights)
                )


def test_logarithms_are_rounded_down() -> None:
    for count in [*range(1, 300), 3**100, 2**500, 2**500 - 1, 2**500 + 1]:
        low = log2_low(count)
        bits = 12
        power = int(low * 2**bits)
        assert 2**power <= count ** (2**bits)  # floor(low 2^12) / 2^12 <= log2 count
        assert abs(float(low) - math.log2(count)) < 1e-12
    assert log2_low(2**77) == 77
    assert log2_low(3) < Fraction(math.nextafter(math.log2(3), 2))
    assert shown(Fraction(1) - Fraction(1, 10**9)) == "0.999999"


def test_legality_agrees_with_the_domain() -> None:
    rng = np.random.default_rng(1)
    for task in (make_task("index-lookup", {"symbols": 3}), make_task("match2", {"modulus": 3})):
        domain: Sequence = task.domain(3)
        places = np.arange(domain.positions)
        for row in rng.integers(-1, 7, (200, domain.positions)):
            assert inside(domain.alphabets, places, row).all() == domain.contains(row)
    domain = make_task("sparse-averaging", {"q": 2}).domain(3)
    for row in rng.integers(-1, 4, (300, 3, 2)):
        assert inside(domain.alphabets, np.arange(3), row).all() == domain.contains(row)
