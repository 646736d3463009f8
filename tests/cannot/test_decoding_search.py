"""Codes that are searched: textbook values without hints, and honest zeros."""

from __future__ import annotations

import pytest

from separatrix.cannot.engine.decoding import decoding_certificate, search
from separatrix.core.errors import UnknownError
from separatrix.kernel import judge
from separatrix.tasks import make_task


@pytest.mark.parametrize(("name", "parameters", "n", "cut", "bits"), [
    ("index-lookup", {"symbols": 2}, 48, 48, 48), ("index-lookup", {"symbols": 5}, 6, 6, 6),
    ("disjointness", {}, 48, 24, 24), ("inner-product", {}, 48, 24, 24), ("match3", {"modulus": 29}, 6, 4, 4),
])  # fmt: skip
def test_codes_are_found_without_hints(name: str, parameters: dict, n: int, cut: int, bits: int) -> None:
    task = make_task(name, parameters)
    base, guesses, errors = search(task, n, cut)
    good = decoding_certificate(task, n, base, guesses, cut, errors)
    assert judge(good).accepted and float.fromhex(good.claim.bound) > 0.98 * bits


@pytest.mark.parametrize(("name", "n"), [("equality", 24), ("majority", 25), ("parity", 24)])
def test_little_can_be_guessed_where_the_vc_dimension_is_one(name: str, n: int) -> None:
    try:
        base, guesses, errors = search(make_task(name), n, n // 2)
    except UnknownError:
        return
    made = decoding_certificate(make_task(name), n, base, guesses, n // 2, errors)
    assert float.fromhex(made.claim.bound) <= 1.0 and judge(made).accepted


def test_what_is_not_searched() -> None:
    with pytest.raises(UnknownError, match="labels"):
        search(make_task("sparse-averaging"), 8, 7)
    with pytest.raises(UnknownError, match="scored after"):
        search(make_task("majority"), 9, 0)
