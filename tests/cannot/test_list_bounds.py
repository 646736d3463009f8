"""Lists of real numbers: any two words that a bound counts are told apart by the answers, and no bound is too much."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from kernel.test_lists import told_apart
from kernel.test_lists_mutations import most
from separatrix.cannot import registry
from separatrix.cannot.ledger.lists import LISTS, levels, multisets
from separatrix.core.certificate import Certificate
from separatrix.core.errors import UnknownError
from separatrix.kernel import judge
from separatrix.tasks import make_task

NAMES = tuple(kind.name for kind, *_ in LISTS)
LENGTHS = (1, 2, 3, 4, 5, 6, 7)


def made(name: str, n: int, **parameters: Any) -> Certificate:
    return registry.get(f"{name}-recurrent").certificate(make_task(name, parameters), n)


def words(good: Certificate) -> np.ndarray:
    """All words of Alice's that the evidence speaks of."""
    a = good.arrays
    if good.evidence["by"] == "order":
        cut, k = int(good.evidence["cut"]), int(good.evidence["levels"])
        chosen = np.array(list(itertools.combinations_with_replacement(range(k), cut)))
        return a["grid"][0] + chosen * a["grid"][1]
    if good.evidence["by"] == "payloads":
        cut, k = int(good.evidence["cut"]), int(good.evidence["levels"])
        return a["grid"][0] + np.array(list(itertools.product(range(k), repeat=cut))) * a["grid"][1]
    return a["base"] + np.array(list(itertools.product(*map(range, a["levels"].tolist())))) @ a["directions"]


@pytest.mark.parametrize("name", NAMES)
def test_every_two_words_are_told_apart(name: str) -> None:
    """At 2 eps = 0.99; what float64 answers are off by is far below 0.0002, which eps is less in the comparison."""
    task, near, tried = make_task(name, {"eps": 0.495}), make_task(name, {"eps": 0.4949}), 0
    for n in LENGTHS:
        if registry.get(f"{name}-recurrent").vacuous(task, n):
            continue
        good = made(name, n, eps=0.495)
        hers = words(good)
        assert math.log2(len(hers)) == pytest.approx(float.fromhex(good.claim.bound), abs=1e-9)
        if name == "routing":
            payloads = np.pad(hers, ((0, 0), (0, n - hers.shape[1])))
            sent = np.broadcast_to(good.arrays["destinations"], payloads.shape)
            answers = near.answer(np.zeros(payloads.shape), np.stack([sent, payloads], axis=2))[:, hers.shape[1] :, 0]
            gaps = np.abs(answers[:, None] - answers[None]).max(axis=2)
            assert (gaps[~np.eye(len(hers), dtype=bool)] > 2 * 0.4949).all()
        else:
            assert told_apart(near, hers, good.arrays["words"])
        assert float.fromhex(good.claim.bound) <= most(good) + 1e-9
        tried += len(hers) > 1
    assert tried >= 4


@pytest.mark.parametrize("name", NAMES)
def test_certificates_are_accepted_and_claim_what_the_formula_says(name: str) -> None:
    bound = registry.get(f"{name}-recurrent")
    for parameters in ({}, {"eps": 0.3}, {"eps": 1.5}, {"eps": 2.0**-20}):
        task = make_task(name, parameters)
        for n in (*LENGTHS, 16, 64):
            if bound.vacuous(task, n) is not None:
                assert bound.bits(task, n) == 0
                with pytest.raises(UnknownError):
                    bound.certificate(task, n)
                continue
            good = bound.certificate(task, n)
            verdict = judge(good)
            assert verdict.accepted, (name, parameters, n, verdict.sentence)
            assert float.fromhex(good.claim.bound) == pytest.approx(bound.bits(task, n), abs=1e-9)


def test_levels_by_hand() -> None:
    """[-2, 2] holds 3 numbers that lie more than 1 apart, and 4 that lie 4/3 apart or a little less."""
    for eps, count in ((0.5, 4), (0.499, 5), (2.0, 1), (1.999, 2), (1.0, 2), (0.999, 3)):
        k, step = levels(make_task("least", {"eps": eps}), Fraction(4))
        assert k == count == math.ceil(Fraction(2) / Fraction(eps)) and Fraction(step) > 2 * Fraction(eps)
        assert (k - 1) * Fraction(step) <= 4


def test_amounts_by_hand() -> None:
    least = registry.get("least-recurrent").bits(make_task("least"), 16)
    assert least == pytest.approx(math.log2(2e6), abs=1e-6)
    total = registry.get("total-recurrent")
    assert total.bits(make_task("total"), 17) == pytest.approx(least + 4, abs=1e-6)
    assert total.bits(make_task("total"), 2**20 + 1) == pytest.approx(least + 20, abs=1e-5)
    sums = make_task("prefix-sums", {"dim": 3})
    assert registry.get("prefix-sums-recurrent").bits(sums, 101) == pytest.approx(3 * math.log2(1e4), abs=1e-6)
    with pytest.raises(UnknownError, match="one coordinate"):
        registry.get("prefix-sums-recurrent").certificate(sums, 101)
    sort, median = (registry.get(f"{name}-recurrent").bits for name in ("sorting", "prefix-medians"))
    assert sort(make_task("sorting"), 16) == median(make_task("prefix-medians"), 16)
    assert sort(make_task("sorting"), 16) == pytest.approx(math.log2(math.comb(2 * 10**6 + 7, 8)), abs=1e-3)


def test_large_multisets_stay_below_the_exact_count() -> None:
    for k, count in ((2, 1025), (2_000_000, 1025), (50, 3000), (10**6, 4000)):
        exact = math.log2(math.comb(k + count - 1, count))
        assert exact - 3 <= multisets(k, count) <= exact
    assert multisets(2_000_000, 5 * 10**7) > 10**6
