"""Fingerprints: every model right on every input, and few primes that confuse any pair of halves."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from separatrix import cannot
from separatrix.can import registry
from separatrix.can.witnesses.fingerprint_elman import mistakes, primes, worst_pair
from separatrix.core.errors import InputError
from separatrix.models import Model, evaluate
from separatrix.tasks.equality import Equality
from separatrix.tasks.fingerprint import Fingerprint
from separatrix.verify.provers import certify
from tasks.cover import assert_cells_cover, words

WITNESS = registry.get("fingerprint-elman")


@pytest.mark.parametrize(("prime", "n"), [(3, 2), (3, 8), (5, 10), (17, 8), (67, 6)])
def test_right_on_every_input_proved_and_of_the_stated_size(prime: int, n: int) -> None:
    task = Fingerprint(prime)
    assert assert_cells_cover(task, n) == 4
    model, stated = WITNESS.build(task, n), WITNESS.size(task, n)
    inputs = words(task.domain(n))
    assert (evaluate(model, inputs, queries=[n - 1]).argmax(axis=2) == task.answer(inputs)).all()
    assert certify(model, task, n, method="automaton").verdict == "proved"
    assert model.size(n, stated.precision) == stated


def test_at_length() -> None:
    assert certify(WITNESS.build(Fingerprint(257), 16), Fingerprint(257), 16, method="automaton").verdict == "proved"


@pytest.mark.slow
def test_at_greater_length() -> None:
    task = Fingerprint(1031)
    assert certify(WITNESS.build(task, 32), task, 32, method="automaton").verdict == "proved"


def test_with_random_primes_every_pair_of_halves_is_told_apart_by_nearly_all_models() -> None:
    """All pairs of halves against all models of a family, by running them; and the exact count against its bound."""
    n, least = 8, 4
    inputs = words(Equality().domain(n))
    equal = Equality().answer(inputs)[:, 0]
    wrong = np.zeros(len(inputs), dtype=np.int64)
    for prime in primes(least):
        found = evaluate(WITNESS.build(Fingerprint(prime), n), inputs, queries=[n - 1])[:, 0].argmax(axis=1)
        assert (found[equal == 1] == 1).all(), "the error is one-sided"
        wrong += found != equal
    assert Fraction(int(wrong.max()), len(primes(least))) == worst_pair(n, least) == Fraction(1, 2)
    for n, least in ((8, 4), (16, 16), (24, 16), (32, 64)):
        assert 0 < worst_pair(n, least) <= mistakes(n, least)


@pytest.mark.parametrize("n", [16, 32, 64, 128])
def test_the_error_is_below_one_over_n_for_primes_from_the_square_on(n: int) -> None:
    """0.35 / N up to there, and the count of primes is the exact one."""
    assert mistakes(n, n * n) <= Fraction(35, 100 * n)
    if n <= 32:
        assert worst_pair(n, n * n) <= mistakes(n, n * n)


def test_no_single_prime_decides_equality_and_the_state_is_below_its_bound() -> None:
    """As it must be: a deterministic model of so few bits would break Theorem 11."""
    n = 32
    task = Fingerprint(1031)
    bits = WITNESS.size(task, n).bits("state")
    assert bits is not None and bits < 5 * 13 + 1
    needed = max(b.bits(Equality(), 512) for _, b in cannot.registry.items() if (b.task, b.arch) == ("equality", "rnn"))
    assert needed == 256 > bits
    differ = np.zeros((1, n), dtype=np.int64)
    differ[0, [k for k in range(16) if 1031 >> k & 1]] = 1  # 1031 against 0
    assert task.answer(differ) == 1 != Equality().answer(differ)


def test_a_wrong_weight_is_refuted() -> None:
    task, n = Fingerprint(5), 8
    model = WITNESS.build(task, n)
    place = np.array(model.tensors["embed.position"])
    place[3, 1] += 1.0
    assert certify(Model(model.arch, {**model.tensors, "embed.position": place}), task, n).verdict == "refuted"


def test_what_is_no_prime_or_too_long_is_refused() -> None:
    for bad in (2, 9, 1, 2**24 + 43):
        with pytest.raises(InputError, match="prime"):
            Fingerprint(bad)
    with pytest.raises(InputError, match="up to"):
        WITNESS.build(Fingerprint(1031), 2048)
    assert Fingerprint(1031).cells(2048, 2047) is None
