"""Decoding certificates: the confidence limit, wrong and illegal guesses, real answers, malformed evidence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from separatrix.cannot.engine.decoding import Guess, decoding_certificate
from separatrix.core.certificate import Certificate
from separatrix.kernel import judge
from separatrix.kernel.decoding import entropy, upper
from separatrix.tasks import make_task


def lookup(n: int, wrong: int = 0, errors: float = 0.0, samples: int = 20_000) -> Certificate:
    """INDEX of n bits; the first `wrong` of them are guessed from the neighbour."""
    task = make_task("index-lookup", {"symbols": 2})
    guesses = [Guess(k, 0, 1, ((n, 2 + (k + (k < wrong)) % n),), n, 1) for k in range(n)]
    return decoding_certificate(task, n, np.array([0] * n + [2]), guesses, n, errors, samples)


def test_the_limit_is_valid_and_not_far_from_clopper_and_pearson() -> None:
    from scipy.stats import beta, binom

    for samples in (50, 1000, 100_000):
        for wrong in (0, 1, 7, samples // 10, samples // 2, samples - 1):
            for delta in (1e-6, 1e-9, 1e-12):
                e, exact = upper(wrong, samples, delta), float(beta.isf(delta, wrong + 1, samples - wrong))
                assert binom.cdf(wrong, samples, e) <= delta * (1 + 1e-6)
                assert exact * (1 - 1e-9) <= e <= 1.25 * exact + 1e-9 or e == 1.0
    assert upper(5, 5, 1e-9) == 1.0
    assert upper(0, 100_000, 1e-9) == pytest.approx(1 - 1e-9 ** (1 / 100_000), rel=1e-6)


def test_entropy_is_from_above() -> None:
    assert entropy(0.5) >= 1.0 and entropy(0.0) == 0.0
    assert entropy(0.11) == pytest.approx(0.4999, abs=1e-4) and entropy(1e-12) > 0


@pytest.mark.parametrize("n", [4, 64, 200])
def test_lookup_within_one_percent(n: int) -> None:
    good = lookup(n, samples=100_000)
    verdict = judge(good)
    assert verdict.accepted and str(verdict.guarantee) == "statistical(1e-09)"
    assert 0.99 * n < float.fromhex(good.claim.bound) < n


def test_wrong_guesses_cost_bits() -> None:
    """A quarter of the bits is guessed from a neighbour, wrong half of the time: e = 1/8."""
    honest = lookup(16, 4, 0.125)
    assert judge(honest).accepted
    assert 0 < float.fromhex(honest.claim.bound) < 16 * (1 - 0.54)
    assert "wrong guesses" in judge(lookup(16, 4)).sentence
    blind = lookup(16, 15, 0.49)
    assert float.fromhex(blind.claim.bound) == 0.0 and judge(blind).accepted


def test_claims_beyond_the_task_fail() -> None:
    good = lookup(8)
    for bound in (8.0, 8.0001, 100.0):
        assert not judge(replace(good, claim=replace(good.claim, bound=bound.hex()))).accepted


@pytest.mark.parametrize("n", [8, 64])
def test_averages_carry_every_sign(n: int) -> None:
    """q = 2, eps = 1/4: the last token points at i and at itself, whose real part is 0: half a sign is read."""
    task = make_task("sparse-averaging", {"q": 2, "eps": 0.25})
    base = np.tile([0, 1], (n, 1))
    guesses = [Guess(i, -1, 1, ((n - 1, (i, n - 1)),), n - 1, 0.0) for i in range(n - 1)]
    good = decoding_certificate(task, n, base, guesses, n - 1)
    assert judge(good).accepted and float.fromhex(good.claim.bound) > 0.99 * (n - 1)
    blurred = replace(good, claim=replace(good.claim, parameters=good.claim.parameters | {"eps": (0.5).hex()}))
    assert not judge(blurred).accepted
    off = good.arrays["values"] + 0.3
    assert not judge(replace(good, arrays=good.arrays | {"values": off})).accepted
    assert not judge(replace(good, arrays=good.arrays | {"values": off * np.nan})).accepted
    assert not judge(replace(good, arrays=good.arrays | {"low": good.arrays["low"] * 2})).accepted


def test_illegal_inputs_count_as_wrong() -> None:
    """Associative recall: two equal keys are no input."""
    task = make_task("associative-recall", {"keys": 4, "labels": 2})
    guesses = [Guess(2 * k + 1, 4, 5, ((8, k),), 8, 1) for k in range(4)]
    base = np.array([0, 4, 1, 4, 2, 4, 3, 4, 0])
    good = decoding_certificate(task, 4, base, guesses, 8)
    assert judge(good).accepted
    twice = base.copy()
    twice[6] = 2
    assert "100000 wrong guesses" in judge(replace(good, arrays=good.arrays | {"base": twice})).sentence


def test_one_message_with_a_known_query() -> None:
    """Labels are Alice's, keys Bob's; key 0 asks. The same code with another key asking is refused."""
    task, n = make_task("nearest-neighbour", {"dim": 3}), 5
    base = np.array([1, 8] * n + [0])
    guesses = [Guess(2 * k + 1, 8, 9, ((2 * k, 0),), 2 * n, 1) for k in range(n)]
    assert judge(decoding_certificate(task, n, base, guesses)).accepted
    asked = [replace_changes(g, (*g.changes, (2 * n, 0))) for g in guesses]
    assert "known to both" in judge(decoding_certificate(task, n, base, asked)).sentence


def replace_changes(guess: Guess, changes: tuple[tuple[int, int], ...]) -> Guess:
    return replace(guess, changes=changes)


def test_malformed_evidence() -> None:
    good = lookup(4, samples=200)
    arrays: dict[str, Any] = good.arrays
    assert judge(replace(good, claim=replace(good.claim, bound=(0.0).hex()))).accepted
    for change in (
        {"positions": arrays["positions"][::-1].copy()},
        {"positions": arrays["positions"] + 1},
        {"positions": arrays["positions"][:0]},
        {"low": arrays["low"] + 2},
        {"high": arrays["high"][:2]},
        {"base": arrays["base"] + 9},
        {"base": arrays["base"][:3]},
        {"changes": arrays["changes"] + 1},
        {"changes": arrays["changes"][::-1].copy()},
        {"changes": arrays["changes"] * [1, 0]},
        {"symbols": arrays["symbols"] - 2},
        {"queries": arrays["queries"] - 1},
        {"values": arrays["values"].astype(float)},
        {"extra": arrays["low"]},
    ):
        assert not judge(replace(good, arrays=arrays | change)).accepted, change
    for change in ({"samples": 0}, {"samples": 2**40}, {"samples": True}, {"cut": 3}, {"cut": 5}, {"delta": "1e-9"},
                   {"delta": (1e-3).hex()}, {"delta": "nan"}, {"delta": (0.0).hex()}, {"more": 1}):  # fmt: skip
        assert not judge(replace(good, evidence=good.evidence | change)).accepted, change
    for change in ({"arch": "mlp"}, {"measure": "exchange"}, {"arch": "transformer"}, {"n": 5}):
        assert not judge(replace(good, claim=replace(good.claim, **change))).accepted, change


def test_a_false_claim_is_accepted_with_probability_delta_at_most() -> None:
    """With delta as large as the kernel takes it, hundreds of tries of a slightly false claim all fail."""
    good = lookup(6, 2, 0.0, 3000)  # e = 1/6: two bits of six are guessed from others
    share = 6 * (1 - entropy(1 / 6))
    false = replace(
        good,
        claim=replace(good.claim, bound=(share * 1.0001).hex()),
        evidence=good.evidence | {"delta": (1e-6).hex()},
        guarantee=replace(good.guarantee, delta=1e-6),
    )
    assert not any(judge(false).accepted for _ in range(200))
    assert math.isclose(share, 2.1, abs_tol=0.05)
