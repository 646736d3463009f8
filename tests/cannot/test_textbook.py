"""The textbook values, one table: by the theorems, by search without hints, and for functions of a user's file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from separatrix.atlas.portfolio import best_of, own_floors
from separatrix.cannot import bounds_for
from separatrix.cannot.engine.codes import grow
from separatrix.cannot.engine.decoding import decoding_certificate, search
from separatrix.kernel import judge
from separatrix.tasks import make_task, registry
from separatrix.tasks.own import own_task

THEOREMS: list[tuple[str, dict[str, Any], str, int, float]] = [
    ("index-lookup", {"symbols": 2}, "rnn", 512, 512),
    ("index-lookup", {"symbols": 2}, "rnn", 4096, 4096),
    *((name, {}, arch, 512, 256) for name in ("equality", "disjointness", "inner-product", "greater-than")
      for arch in ("rnn", "transformer")),
    ("majority", {}, "rnn", 101, math.log2(52)),
    ("parity", {}, "rnn", 101, 1),
    ("dyck", {}, "rnn", 128, math.log2(6)),
    ("dyck", {}, "transformer", 128, 127),
    ("nearest-neighbour", {"dim": 4}, "rnn", 16, 16),
    ("nearest-neighbour", {"dim": 4}, "transformer", 16, 16),
    ("associative-recall", {"keys": 64, "labels": 2}, "rnn", 64, 64),
    ("associative-recall", {"keys": 64, "labels": 2}, "transformer", 64, 64),
    ("sparse-averaging", {"q": 2, "eps": 0.2}, "rnn", 64, 63),
    ("sparse-averaging", {"q": 2, "eps": 0.2}, "transformer", 64, math.log2(math.comb(63, 2))),
    ("match2", {"modulus": 97}, "rnn", 64, 48),
    ("match3", {"modulus": 257}, "rnn", 32, 30),
    ("match3", {"modulus": 257}, "transformer", 32, 30),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameters", "arch", "n", "bits"), THEOREMS, ids=str)
def test_theorems(name: str, parameters: dict[str, Any], arch: str, n: int, bits: float) -> None:
    task, shown = make_task(name, parameters), []
    for bound in bounds_for(name, arch):
        if bound.vacuous(task, n) is None and bound.measure != "width":
            made = bound.certificate(task, n)
            assert judge(made).accepted, bound.name
            shown.append(float.fromhex(made.claim.bound))
    assert max(shown) >= bits * (1 - 1e-9), shown


SEARCHED: list[tuple[str, dict[str, Any], int, int, float]] = [
    ("index-lookup", {"symbols": 2}, 512, 512, 0.99 * 512),
    ("disjointness", {}, 512, 256, 0.99 * 256),
    ("inner-product", {}, 512, 256, 0.99 * 256),
    ("sparse-averaging", {"q": 2, "eps": 0.2}, 64, 63, 0.99 * 63),
    ("associative-recall", {"keys": 64, "labels": 2}, 64, 128, 60),
    ("nearest-neighbour", {"dim": 6}, 16, 32, 15),
    ("match3", {"modulus": 257}, 32, 30, 8),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters", "n", "cut", "bits"), SEARCHED, ids=str)
def test_codes_without_hints(name: str, parameters: dict[str, Any], n: int, cut: int, bits: float) -> None:
    task = make_task(name, parameters)
    grown = ("associative-recall", "nearest-neighbour", "match3", "sparse-averaging")
    find = grow if name in grown else search
    base, guesses, errors = find(task, n, cut)
    made = decoding_certificate(task, n, base, guesses, cut, errors)
    assert judge(made).accepted and float.fromhex(made.claim.bound) >= bits


def test_sixteen_nearest_neighbours_without_hints() -> None:
    """All 16 bits: points of a 4-cube make room for one another until they are all different."""
    task = make_task("nearest-neighbour", {"dim": 4})
    base, guesses, errors = grow(task, 16, 32)
    made = decoding_certificate(task, 16, base, guesses, 32, errors)
    assert judge(made).accepted and float.fromhex(made.claim.bound) >= 15
    assert sorted(set(base[:32:2].tolist())) == list(range(16)) and {g.position % 2 for g in guesses} == {1}


@pytest.mark.slow
def test_index_of_4096_bits_within_one_percent() -> None:
    task = make_task("index-lookup", {"symbols": 2})
    base, guesses, errors = search(task, 4096, 4096)
    made = decoding_certificate(task, 4096, base, guesses, 4096, errors)
    assert judge(made).accepted and float.fromhex(made.claim.bound) >= 0.99 * 4096


SOURCE = '''
import numpy as np

def f_index(x):
    return x[np.arange(len(x)), x[:, -1] % (x.shape[1] - 1)]

def f_equality(x):
    a, b = x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]
    return (a == b).all(axis=1)

def f_disjointness(x):
    a, b = x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]
    return (a & b).any(axis=1)

def f_inner_product(x):
    a, b = x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]
    return (a & b).sum(axis=1) % 2

def f_greater_than(x):
    a, b = x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]
    weights = 2 ** np.arange(a.shape[1])[::-1]
    return (a @ weights) > (b @ weights)

def f_majority(x):
    return 2 * x.sum(axis=1) > x.shape[1]

def f_parity(x):
    return x.sum(axis=1) % 2

def f_dyck(x):
    """Symbols ( [ ) ]: well nested, at most two deep."""
    answers = []
    for word in x.tolist():
        stack, fine = [], True
        for s in word:
            if s < 2:
                stack.append(s)
                fine = fine and len(stack) <= 2
            else:
                fine = fine and bool(stack) and stack.pop() == s - 2
        answers.append(fine and not stack)
    return np.array(answers)

def f_match2(x):
    """Does the last number have a partner: x_i + x_n = 0 modulo 6?"""
    return ((x + x[:, -1:]) % 6 == 0)[:, :-1].any(axis=1)
'''
OWN: list[tuple[str, int, int, str, float]] = [
    ("f_index", 4, 5, "rnn", 8), ("f_equality", 2, 12, "rnn", 6), ("f_disjointness", 2, 12, "rnn", 6),
    ("f_inner_product", 2, 12, "rnn", 6), ("f_greater_than", 2, 12, "rnn", 6), ("f_parity", 2, 12, "rnn", 1),
    ("f_majority", 2, 11, "rnn", math.log2(7)), ("f_dyck", 4, 6, "rnn", math.log2(6)),
    ("f_dyck", 4, 4, "transformer", 2.3), ("f_match2", 6, 6, "rnn", math.log2(62)),
    ("f_equality", 2, 10, "transformer", 4), ("f_inner_product", 2, 128, "rnn", 63.5),
    ("f_disjointness", 2, 128, "rnn", 63.5), ("f_equality", 2, 128, "rnn", 64),
    ("f_majority", 2, 101, "rnn", math.log2(50)), ("f_parity", 2, 101, "rnn", 1),
]  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    before = dict(registry._entries)
    path = tmp_path / "textbook.py"
    path.write_text(SOURCE)
    yield path
    registry._entries.clear()
    registry._entries.update(before)


@pytest.mark.parametrize(("function", "alphabet", "n", "arch", "bits"), OWN, ids=str)
def test_functions_of_a_file(
    source: Path, tmp_path: Path, function: str, alphabet: int, n: int, arch: str, bits: float
) -> None:
    task = own_task(f"{source}:{function}", alphabet)
    best = best_of(own_floors(task, n, arch, None, tmp_path, seconds=12))
    assert best is not None and best.bits >= bits * (1 - 1e-9), best
    if n <= 12 or n == 101:
        assert best.guarantee == "proved"
